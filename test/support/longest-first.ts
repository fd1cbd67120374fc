/** Owns the order of the test files: those that wait longest begin first, so that no worker is left alone with one at the end. */
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

export const longest = [
  'test/crash.test.ts',
  'test/fuzz.test.ts',
  'test/outbox/postgres-faults.test.ts',
  'test/http/routes/preview.browser.test.ts',
  'test/examples/signup.test.ts',
  'test/delivery/idempotency.test.ts',
  'test/server.test.ts',
  'test/store-outage.test.ts',
  'test/memory.test.ts',
  'test/package.test.ts',
  'test/client/mailer.test.ts',
  'test/http/app.test.ts',
]

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ project, moduleId }: TestSpecification) => {
      const rank = longest.indexOf(relative(project.config.root, moduleId))
      return rank < 0 ? longest.length : rank
    }
    // oxlint-disable-next-line unicorn/no-array-sort -- the method of the sequencer, not of an array
    return (await super.sort(files)).toSorted((a, b) => rankOf(a) - rankOf(b))
  }
}
