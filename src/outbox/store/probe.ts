/** Owns the proof that the store takes mails: one is written as every mail is, and is gone again with the commit. */
import { randomBytes } from 'node:crypto'
import type { AcceptOperation } from './operation.ts'
import { tally } from './quotas.ts'
import type { Sql } from './sql.ts'
import type { Steps } from './statement.ts'

/**
 * The transaction touches the tables and indexes that a mail touches, at the places where the next mail touches them,
 * and its commit waits for the disk. Its quota has ended and is deleted with the others.
 */
export function* writeProbe(sql: Sql, now: number): Steps<void> {
  const id = randomBytes(24).toString('base64url')
  const mail: AcceptOperation = {
    op: 'accept',
    id,
    app: 'default',
    kind: 'probe',
    recipient: '',
    body: '',
    leaseId: 1,
    due: now + 60_000,
    expires: now,
    windowMs: 0,
    now,
    quotas: [{ key: `probe:${id}`, max: 1, ends: now, latestEnd: now }],
    scope: 'app',
    lookedFor: '',
  }
  const { leaseId } = mail
  yield [sql.insert([mail]), sql.count(tally([mail]))]
  const settled = { op: 'settle', id, leaseId, state: 'queued', attempts: 1, due: now, now } as const
  yield [sql.settle([{ ...settled, detail: 'other', relay: null, stayUntil: null }])]
  yield [sql.remove([mail])]
}
