/** A short run of `npm run fuzz:crash`; by hand it runs for as long as one likes. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { titled } from './support/missing.ts'
import { postgresMissing } from './support/postgres.ts'

const run = promisify(execFile)
const cwd = fileURLToPath(new URL('..', import.meta.url))

for (const [engine, missing] of [['sqlite'], ['postgres', postgresMissing()]] as const) {
  const title = titled(`replicas on ${engine} that are killed at random`, missing)
  describe.skipIf(missing !== undefined)(title, () => {
    it('lose nothing, and send nothing twice but under one Message-ID', { timeout: 240_000 }, async () => {
      const words = ['run', '--silent', 'fuzz:crash', '--', '--seconds', '8', '--engine', engine, '--json']
      const { stdout } = await run('npm', words, { cwd, timeout: 230_000 })
      const figures = JSON.parse(stdout)
      expect(figures).toMatchObject({ lost: 0, differentMessageIds: 0, uncleanStops: 0, unsent: 0 })
      expect(figures.accepted).toBeGreaterThan(20)
      expect(figures.kills + figures.stops).toBeGreaterThan(0)
    })
  })
}
