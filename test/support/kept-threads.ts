/**
 * Owns the threads of SQLite that tests use one after the other: to start one costs more than most tests. Each test has
 * a new file, which the thread opens as after a failure.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'

interface LentEngine {
  readonly engine: Engine
  /** After the outbox that used it has been closed. */
  giveBack(): void
}

/** A folder that no disk is behind, on Linux. */
const memory = '/dev/shm'
const free: LentEngine[] = []

/** An engine on a file that does not exist yet. */
export function lendEngine(): LentEngine {
  return free.pop() ?? newEngine()
}

function newEngine(): LentEngine {
  const folder = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'jwt-mailer-test-'))
  const data = join(folder, 'data')
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const lent: LentEngine = {
    engine: { ...sqliteEngine({ path: join(data, 'outbox.sqlite') }), close: async () => undefined },
    giveBack() {
      rmSync(data, { recursive: true, force: true })
      free.push(lent)
    },
  }
  return lent
}
