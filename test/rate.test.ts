import { expect, test } from 'vitest'
import { parseRate } from '../src/rate.ts'

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
