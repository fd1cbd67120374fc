import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import LongestFirst from './test/support/longest-first.ts'
import { testFilesByProject } from './test/support/projects.ts'

// Each test of a whole service starts a thread, which otherwise compiles TypeScript anew: a third of a second of CPU.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'jwt-mailer-compile-cache')

const { unit, system, stores } = testFilesByProject()

export default defineConfig({
  test: {
    // only what hangs comes to these ends: a machine that is slow or busy is no fault
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    sequence: { sequencer: LongestFirst },
    // most files wait as long as they compute
    maxWorkers: availableParallelism() + 2,
    reporters: ['default', './test/support/skipped.ts'],
    projects: [
      // these files share a worker's modules, compiled mails and threads of SQLite; those of a file that run side by side wait
      { extends: true, test: { name: 'unit', include: [...unit], isolate: false, maxConcurrency: 12 } },
      {
        extends: true,
        test: { name: 'system', include: [...system], globalSetup: 'test/support/shared-browser.ts' },
      },
      {
        extends: true,
        test: { name: 'stores', include: [...stores], globalSetup: 'test/support/shared-postgres.ts' },
      },
    ],
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text-summary'] },
  },
})
