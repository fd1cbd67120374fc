import { expect, test } from 'vitest'
import { quotasFor } from '../../../src/outbox/store/quotas.ts'

test('a mail counts for its app and its recipient until the full hour', () => {
  const hourMs = 3_600_000
  const limits = { recipient: { max: 30, windowMs: hourMs }, app: { max: 100, windowMs: 60_000 } }
  expect(quotasFor(limits, 'hidden', 'default', 10 * hourMs + 1)).toEqual([
    { key: 'app:default:60000', max: 100, ends: 10 * hourMs + 60_000, latestEnd: 10 * hourMs + 180_000 },
    { key: 'recipient:hidden:3600000', max: 30, ends: 11 * hourMs, latestEnd: 12 * hourMs },
  ])
  expect(quotasFor({}, 'hidden', 'default', 0)).toEqual([])
})
