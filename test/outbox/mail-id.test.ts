import { describe, expect, test } from 'vitest'
import { mailId, mailOfMessage, messageIdOf, windowMs } from '../../src/outbox/mail-id.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const identity = { app: 'default', kind: 'confirmation', token: 'header.payload.signature' }

describe('the id of a mail', () => {
  test('fits where a message id must fit', () => {
    expect(mailId(identity)).toMatch(/^[\w-]{32}$/)
  })

  test('does not change with the spelling of the signature', () => {
    expect(mailId({ ...identity, token: 'header.payload.another' })).toBe(mailId(identity))
    expect(mailId({ ...identity, token: 'header.payload.' })).toBe(mailId(identity))
  })

  test('changes with what is signed, with app and with kind', () => {
    const others = [{ token: 'header.other.signature' }, { app: 'shop' }, { kind: 'resetkey' }]
    const ids = others.map((other) => mailId({ ...identity, ...other }))
    expect(new Set([mailId(identity), ...ids]).size).toBe(4)
  })

  test('follows the jti alone when there is one', () => {
    const first = mailId({ ...identity, jti: '1' })
    expect(mailId({ ...identity, jti: '1', token: 'another.payload.signature' })).toBe(first)
    expect(mailId({ ...identity, jti: '2' })).not.toBe(first)
    expect(mailId({ ...identity, jti: 'header.payload' })).not.toBe(mailId(identity))
  })

  test('cannot be made the same by moving letters from one name to the next', () => {
    expect(mailId({ ...identity, app: 'ab', kind: 'c' })).not.toBe(
      mailId({ ...identity, app: 'a', kind: 'bc' }),
    )
  })
})

describe('the window in which a repeat is the same mail', () => {
  const now = 1_800_000_000_000

  test('is a day for a mail with a link or key and five minutes for a notification', () => {
    expect(windowMs({ carriesSecret: true, now })).toBe(dayMs)
    expect(windowMs({ carriesSecret: false, now })).toBe(5 * minuteMs)
  })

  test('lasts with a jti until the token ends, tolerance included, or a week', () => {
    expect(windowMs({ jti: '1', exp: now / 1000 + 3600, carriesSecret: false, now })).toBe(61 * minuteMs)
    expect(windowMs({ jti: '1', exp: now / 1000 - 30, carriesSecret: false, now })).toBe(minuteMs)
    expect(windowMs({ jti: '1', carriesSecret: false, now })).toBe(7 * dayMs)
  })

  test('is ten years at most, however far the end of the token lies', () => {
    for (const exp of [9_999_999_999_999, Number.MAX_SAFE_INTEGER, 1e300]) {
      const due = now + windowMs({ jti: '1', exp, carriesSecret: false, now })
      expect(due).toBeGreaterThan(now + 10 * 365 * dayMs)
      expect(due).toBeLessThan(now + 11 * 365 * dayMs)
      expect(Number.isSafeInteger(due)).toBe(true)
    }
  })

  test('is not changed by an end of the token when there is no jti', () => {
    expect(windowMs({ exp: now / 1000 + 3600, carriesSecret: true, now })).toBe(dayMs)
  })
})

test('the id of a message leads back to its mail', () => {
  for (const id of [mailId(identity), '-', 'a-b_c-', 'x'.repeat(64)]) {
    const mail = { id, created: 1_800_000_000_123 }
    expect(messageIdOf(mail)).toMatch(/^[\w-]+$/)
    expect(mailOfMessage(messageIdOf(mail))).toEqual(mail)
  }
  for (const strange of ['', 'x', '-mf1x2k3', 'a-MF1X2K3', 'a-mf1x2k3\n', `${'x'.repeat(65)}-mf1x2k3`])
    expect(mailOfMessage(strange)).toBeUndefined()
})
