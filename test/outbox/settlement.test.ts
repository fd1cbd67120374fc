import { expect, test } from 'vitest'
import type { Receipt } from '../../src/message.ts'
import { settlementOf } from '../../src/outbox/settlement.ts'

const receipt = (over: Partial<Receipt>): Receipt => ({
  outcome: 'deferred',
  relay: 'smtp',
  reason: 'recipient',
  ...over,
})

test.each<[string, Partial<Receipt>, object]>([
  ['a mail that was sent is done', { outcome: 'sent', reason: 'accepted' }, { state: 'sent', relay: 'smtp' }],
  ['a refused mail is dead', { outcome: 'refused' }, { state: 'dead', detail: 'recipient' }],
  ['a deferred mail is tried again', {}, { state: 'queued', detail: 'recipient' }],
  ['a relay may say how long to wait', { retryAfterMs: 7000 }, { state: 'queued', waitMs: 7000 }],
  ['an unknown outcome stays with its relay', { outcome: 'unknown' }, { state: 'queued', stayWith: 'smtp' }],
  [
    'a try that reached no relay does not count',
    { outcome: 'unsent', reason: 'breaker_open' },
    { state: 'queued', uncounted: true },
  ],
  [
    'a try that a shutdown ended does not count, and the next need not wait',
    { outcome: 'unsent', reason: 'closing' },
    { state: 'queued', uncounted: true, waitMs: 0 },
  ],
])('%s', (_, over, settlement) => {
  expect(settlementOf(receipt(over))).toMatchObject(settlement)
})

test('a try that failed to connect counts', () => {
  expect(settlementOf(receipt({ outcome: 'unsent', reason: 'connect' }))).toEqual({
    state: 'queued',
    detail: 'connect',
  })
})
