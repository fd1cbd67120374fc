import { expect, test } from 'vitest'
import { parseRate } from '../src/rate.ts'
import { quotasFor } from '../src/outbox/store/quotas.ts'

test.each([
  ['30/1h', { max: 30, windowMs: 3_600_000 }],
  ['5/10s', { max: 5, windowMs: 10_000 }],
  ['1000/15m', { max: 1000, windowMs: 900_000 }],
  ['1/7d', { max: 1, windowMs: 604_800_000 }],
  ['off', undefined],
])('%s is read', (text, limit) => {
  expect(parseRate(text)).toEqual(limit)
})

test.each(['', '30', '0/1h', '30/0h', '-1/1h', '30/1w', '30 / 1h', '3e1/1h', 'OFF'])(
  '%j is refused with a sentence',
  (text) => {
    expect(() => parseRate(text)).toThrow('a limit is written like 30/1h or off')
  },
)

test('a mail counts for its app and its recipient until the full hour', () => {
  const hourMs = 3_600_000
  const limits = { recipient: { max: 30, windowMs: hourMs }, app: { max: 100, windowMs: 60_000 } }
  expect(quotasFor(limits, 'hidden', 'default', 10 * hourMs + 1)).toEqual([
    { key: 'app:default:60000', max: 100, ends: 10 * hourMs + 60_000 },
    { key: 'recipient:hidden:3600000', max: 30, ends: 11 * hourMs },
  ])
  expect(quotasFor({}, 'hidden', 'default', 0)).toEqual([])
})
