import jwt from 'jsonwebtoken'
import { describe, expect, test, vi } from 'vitest'
import { linkToken } from '../../client/src/node.ts'
import { forgeToken } from '../support/tokens.ts'

const secret = 'a secret that the mailer does not have'
const purpose = 'confirm-address'
const sign = (changes: Partial<Parameters<typeof linkToken.sign>[0]> = {}) =>
  linkToken.sign({ purpose, subject: 'user-42', secret, expiresInS: 60, ...changes })
const verify = (token: string, changes: Partial<Parameters<typeof linkToken.verify>[1]> = {}) =>
  linkToken.verify(token, { purpose, secret, ...changes })

test('a good link says whom it is about, and what was put in', async () => {
  const token = sign({ data: { address: 'ada@example.com' } })
  expect(token).toMatch(/^[A-Za-z0-9._-]+$/)
  const link = await verify(token)
  expect(link).toMatchObject({ ok: true, subject: 'user-42', data: { address: 'ada@example.com' } })
  expect(link.ok && link.expires.getTime() - Date.now()).toBeGreaterThan(50_000)
  expect(sign()).not.toBe(sign())
})

describe('a bad link', () => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { aud: purpose, sub: 'user-42', jti: 'x', exp: now + 60 }
  test.each([
    ['of another purpose', () => sign({ purpose: 'reset' }), 'wrong_purpose'],
    ['signed with another secret', () => sign({ secret: 'of somebody else' }), 'forged'],
    [
      'with another payload',
      () => sign().replace(/\.[^.]+\./, `.${Buffer.from('{"sub":"1"}').toString('base64url')}.`),
      'forged',
    ],
    ['with no algorithm', () => jwt.sign(claims, '', { algorithm: 'none' }), 'forged'],
    ['with another algorithm', () => jwt.sign(claims, secret, { algorithm: 'HS512' }), 'forged'],
    ['without a signature', () => sign().replace(/[^.]+$/, ''), 'forged'],
    ['that is no token', () => 'hello', 'malformed'],
    ['that is empty', () => '', 'malformed'],
    ['that is a text', () => forgeToken({ alg: 'HS256' }, '"hello"', { key: secret }), 'malformed'],
    ['without measure', () => `${sign()}${'a'.repeat(10_000)}`, 'malformed'],
    ['for several purposes', () => jwt.sign({ ...claims, aud: [purpose] }, secret), 'wrong_purpose'],
    ['without a subject', () => jwt.sign({ ...claims, sub: undefined }, secret), 'malformed'],
    ['without an end', () => jwt.sign({ aud: purpose, sub: 'user-42', jti: 'x' }, secret), 'malformed'],
  ])('%s', async (_what, make, reason) => {
    const use = vi.fn<() => boolean>(() => true)
    const link = await verify(make(), { use })
    expect(link).toMatchObject({ ok: false, reason })
    expect(link).not.toHaveProperty('subject')
    expect(use).not.toHaveBeenCalled()
  })

  test('that is over still says whom it was about, and is not burned', async () => {
    const use = vi.fn<() => boolean>(() => true)
    const token = jwt.sign({ ...claims, exp: now - 1 }, secret)
    expect(await verify(token, { use })).toEqual({ ok: false, reason: 'expired', subject: 'user-42' })
    expect(use).not.toHaveBeenCalled()
  })
})

describe('a link that works once', () => {
  const once = () => {
    const used = new Set<string>()
    return async (id: string) => {
      await Promise.resolve()
      return !used.has(id) && used.add(id).has(id)
    }
  }

  test('is good for one of two who come at once', async () => {
    const [token, use] = [sign(), once()]
    // either may be first: their signatures are checked side by side
    const links = await Promise.all([verify(token, { use }), verify(token, { use })])
    expect(links.filter(({ ok }) => ok)).toHaveLength(1)
    expect(links).toContainEqual({ ok: false, reason: 'used', subject: 'user-42' })
  })

  test('is still good after it was only looked at', async () => {
    const [token, use] = [sign(), once()]
    await verify(token)
    await verify(token)
    expect(await verify(token, { use })).toMatchObject({ ok: true })
  })

  test('is not lost in an outage of the store: what the callback throws is thrown', async () => {
    const use = () => Promise.reject(new Error('database is away'))
    await expect(verify(sign(), { use })).rejects.toThrow('database is away')
  })
})

test('a purpose that is forgotten is not that of a token without one', async () => {
  const token = jwt.sign({ sub: 'user-42', jti: 'x' }, secret, { expiresIn: 60 })
  const forgotten = JSON.parse('{}') as { purpose: string }
  expect(await linkToken.verify(token, { ...forgotten, secret })).toMatchObject({ reason: 'wrong_purpose' })
})

test('while secrets are rotated, links of the old one work and new ones have the new one', async () => {
  const [fresh, old] = ['the new secret', secret]
  expect(await verify(sign(), { secret: [fresh, old] })).toMatchObject({ ok: true })
  expect(await verify(sign({ secret: [fresh, old] }), { secret: fresh })).toMatchObject({ ok: true })
  expect(await verify(sign(), { secret: fresh })).toMatchObject({ reason: 'forged' })
})

test('what only a programmer can mend is thrown', async () => {
  expect(() => sign({ secret: '' })).toThrow(TypeError)
  expect(() => sign({ secret: [] })).toThrow(TypeError)
  expect(() => sign({ expiresInS: 0 })).toThrow(TypeError)
  expect(() => sign({ subject: '' })).toThrow(TypeError)
  expect(() => sign({ data: { much: 'x'.repeat(5_000) } })).toThrow(TypeError)
  await expect(verify(sign(), { secret: '' })).rejects.toThrow(TypeError)
})
