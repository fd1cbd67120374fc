import { expect, test } from 'vitest'
import { MailerError } from '../../src/errors.ts'
import type { StoreReason } from '../../src/message.ts'
import { pendingWrites } from '../../src/outbox/pending-writes.ts'

const requeue = { op: 'requeue', id: 'a', expires: 2, limit: 1, diedBy: 1, now: 1 } as const
const rows = [{ id: 'a' }]

/** Pending writes over a store that fails with each of `failures` and then works. */
function writesOver(failures: readonly Error[], trouble?: StoreReason) {
  const left = [...failures]
  const reasons: unknown[] = []
  const log = { error: (fields: unknown) => reasons.push(fields) }
  const store = { trouble: () => trouble, restored: () => Promise.resolve() }
  const rowsOf = async () => {
    const failure = left.shift()
    if (failure !== undefined) throw failure
    return rows
  }
  return { ...pendingWrites({ rowsOf, store, log }), reasons }
}
const unavailable = () => new MailerError('store_unavailable', { reason: 'down' })

test('a write that succeeds at once is not delayed', async () => {
  let delays = 0
  expect(await writesOver([]).write(requeue, () => (delays += 1))).toEqual(rows)
  expect(delays).toBe(0)
})

test('a write is tried until the store takes it, and drained waits for that', async () => {
  let delays = 0
  const { write, drained } = writesOver([unavailable(), unavailable()])
  const writing = write(requeue, () => (delays += 1))
  await new Promise(setImmediate)
  expect(delays).toBe(1)
  await drained()
  expect(delays).toBe(2)
  expect(await writing).toEqual(rows)
})

test.each<[string, Error[], StoreReason | undefined, string]>([
  ['the operation itself is at fault', [new Error('a bug')], undefined, 'internal'],
  ['the store is closed', [unavailable()], 'closed', 'closed'],
])('a write is given up when %s, with a line in the log', async (_, failures, trouble, reason) => {
  const { write, reasons } = writesOver(failures, trouble)
  expect(await write(requeue)).toBeUndefined()
  expect(reasons).toEqual([{ op: 'requeue', reason }])
})
