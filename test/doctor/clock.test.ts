import { describe, expect, it } from 'vitest'
import { examineClock } from '../../src/doctor/clock.ts'
import { lines } from './healthy-deployment.ts'

const { signal } = new AbortController()

describe('the doctor looks at the clock', () => {
  const source = (skewMs: number) => () =>
    Promise.resolve({ owner: 'SendGrid', epochMs: Date.now() - skewMs })

  it('and says how far it is off', async () => {
    const judged = await Promise.all(
      [0, 5000, -30_000, 120_000].map((skew) => examineClock([source(skew)], signal)),
    )
    expect(judged.map(({ level, says }) => `${level}: ${says}`)).toMatchInlineSnapshot(`
      [
        "ok: agrees with SendGrid",
        "ok: 5 s ahead of SendGrid",
        "warn: 30 s behind SendGrid",
        "bad: 120 s ahead of SendGrid: valid tokens are refused, or expired ones accepted",
      ]
    `)
  })

  it('and asks the next one when the first is silent, and says so when there is none', async () => {
    const silent = () => Promise.reject(new Error('silent'))
    expect((await examineClock([silent, source(0)], signal)).says).toBe('agrees with SendGrid')
    expect(lines([await examineClock([silent], signal)], 'warn')).toMatchInlineSnapshot(`
      [
        "clock: unknown: neither the database nor the API of a relay could be asked for the time → Compare \`date -u\` with a clock you trust; more than a minute off, and tokens are refused.",
      ]
    `)
  })
})
