import { expect, test } from 'vitest'
import type { MailStatus } from '../../src/outbox/api.ts'
import { waiters } from '../../src/outbox/waiters.ts'

const sending: MailStatus = { state: 'sending', detail: null }
const dead: MailStatus = { state: 'dead', detail: '550' }

test('all waiters of a mail are notified, and no others', async () => {
  const { notify, wait } = waiters(async () => sending)
  const both = [wait('a', 60_000), wait('a', 60_000)]
  const other = wait('b', 20)
  notify('a', dead)
  expect(await Promise.all(both)).toEqual([dead, dead])
  expect(await other).toEqual(sending)
})

test('the status `sending` notifies nobody', async () => {
  const { notify, wait } = waiters(async () => sending)
  const waiting = wait('a', 60_000)
  notify('a', sending)
  notify('a', dead)
  expect(await waiting).toEqual(dead)
})

test('the store is read once for all waiters of a mail, and no more when the last one has left', async () => {
  let reads = 0
  const { wait } = waiters(async () => {
    reads += 1
    return sending
  })
  await Promise.all([wait('a', 10), wait('a', 20), wait('a', 30)])
  const seen = reads
  expect(seen).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(reads).toBe(seen)
})

test('a store that fails once is read again', async () => {
  let reads = 0
  const { wait } = waiters(async () => {
    reads += 1
    if (reads === 1) throw new Error('unavailable')
    return dead
  })
  expect(await wait('a', 60_000)).toEqual(dead)
})
