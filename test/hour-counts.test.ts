import { describe, expect, test } from 'vitest'
import { countedBy, hourCounts } from '../src/hour-counts.ts'
import { silentMeter } from '../src/meter.ts'

const hourMs = 3_600_000
const noon = 1_800_000_000_000 - (1_800_000_000_000 % hourMs)

describe('what is counted by the hour', () => {
  test('is a sum for each hour, and of what waits the most', () => {
    let now = noon
    const counts = hourCounts(() => now)
    counts.add('sent')
    counts.noteWaiting(7)
    counts.noteWaiting(3)
    now += hourMs - 1
    counts.add('sent')
    now += 1
    counts.add('sent')
    expect(counts.take()).toEqual([
      { hour: noon, name: 'sent', n: 2, at: noon + hourMs - 1 },
      { hour: noon, name: 'waiting', n: 7, at: noon },
      { hour: noon + hourMs, name: 'sent', n: 1, at: noon + hourMs },
    ])
    expect(counts.take()).toEqual([])
    counts.add('sent')
    expect(counts.take()).toMatchObject([{ hour: noon + hourMs, n: 1 }])
  })

  test('and could not be stored is counted again for a day, in a bounded number of names', () => {
    let now = noon
    const counts = hourCounts(() => now)
    counts.add('accepted')
    for (let number = 0; number < 1000; number++) counts.addRefusal('refused', `CODE_${number}`)
    const taken = counts.take()
    expect(taken.length).toBeLessThanOrEqual(201)
    expect(taken.reduce((sum, { n }) => sum + n, 0)).toBe(1001)
    counts.add('accepted')
    counts.putBack(taken)
    expect(counts.take().find(({ name }) => name === 'accepted')).toMatchObject({ n: 2 })
    now += 25 * hourMs
    counts.putBack(taken)
    expect(counts.take()).toEqual([])
  })

  test('of answers are the refusals of callers, with a reason that is a word', () => {
    const counts = hourCounts(() => noon)
    const meter = countedBy(counts, silentMeter)
    meter.answered('/emailservice/:token', 200, 'sent')
    meter.answered('/emailservice/:token', 401, 'token_signature', 'invalid signature')
    meter.answered('/adapters/zitadel', 200, 'claims_invalid', 'missing')
    meter.answered('/emailservice', 400, 'bad_request', 'a:b\n<b>')
    meter.answered('/admin/overview', 401, 'token_signature', 'admin token')
    meter.answered(undefined, 404, 'not_found')
    meter.reported('ses', 'bounced_hard')
    meter.reported('ses', 'bounced_soft')
    meter.reported('ses', 'complained')
    meter.reported('ses', 'delivered')
    expect(counts.take().map(({ name, n }) => `${name} ${n}`)).toEqual([
      'refused:token_signature:invalid signature 1',
      'refused:claims_invalid:missing 1',
      'refused:bad_request:other 1',
      'bounced 2',
      'complained 1',
    ])
  })
})
