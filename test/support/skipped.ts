/** Owns the last lines of a test run on a machine that lacks something: each test that was skipped, which says why in its name. */
import type { Reporter, TestModule, TestSuite } from 'vitest/node'

export default class SkippedTests implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const names = modules.flatMap((module) =>
      skippedIn(module).map((name) => `${module.relativeModuleId}: ${name}`),
    )
    if (names.length > 0)
      process.stdout.write(
        `\n Skipped, for want of what they need:\n${names.map((name) => `   ${name}\n`).join('')}\n`,
      )
  }
}

/** A suite that was skipped as a whole counts as one. */
function skippedIn(parent: TestModule | TestSuite): string[] {
  return [...parent.children].flatMap((child) => {
    if (child.type === 'test') return child.result().state === 'skipped' ? [child.fullName] : []
    return child.options.mode === 'skip' ? [child.fullName] : skippedIn(child)
  })
}
