import jwt from 'jsonwebtoken'
import { describe, expect, it } from 'vitest'
import { failureAnswer } from '../src/contract.ts'
import { invalidClaims } from '../src/errors.ts'
import { claimsOfSealed, verifyToken } from '../src/token.ts'
import { tokenKey } from '../src/token-key.ts'
import { forgeToken, sampleClaims, secret, signToken } from './support/tokens.ts'

const keys = [tokenKey(secret)]
const now = Date.parse('2026-01-02T03:04:05Z')
const seconds = now / 1000
const hs256 = { alg: 'HS256', typ: 'JWT' }
const plain = JSON.stringify(sampleClaims())

function codeOf(token: string, at = now): string {
  try {
    const [fault] = verifyToken(token, keys, at).faults
    return fault ? `claims_invalid ${fault.claim}` : 'verified'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a token signed with HS256 and our secret', () => {
  it('gives its claims, unknown ones included', () => {
    const { claims, exp } = verifyToken(signToken(sampleClaims({ qtn_title: 'Why?' })), keys, now)
    expect(claims).toMatchObject({ user_email: 'ada@example.com', user_aut_key: '7hK2pQ', qtn_title: 'Why?' })
    expect(exp).toBeUndefined()
  })

  it('is verified with any of our keys, so that a secret can be rotated', () => {
    const rotated = [tokenKey('the new secret, long enough for anyone'), ...keys]
    expect(verifyToken(signToken(), rotated, now)).toMatchObject({
      claims: { user_email: 'ada@example.com' },
      outdated: true,
    })
    expect(verifyToken(signToken(), keys, now).outdated).toBe(false)
  })

  it('treats null and the empty string as absent', () => {
    const { claims } = verifyToken(
      signToken(sampleClaims({ user_name: null, locale: '', jti: null })),
      keys,
      now,
    )
    expect(claims.user_name).toBeUndefined()
    expect(claims.locale).toBeUndefined()
  })

  it('ignores every hint at another key', () => {
    const hints = {
      ...hs256,
      kid: '../../dev/null',
      jku: 'http://127.0.0.1:1/',
      x5u: 'http://127.0.0.1:1/',
      jwk: { kty: 'oct', k: 'AA' },
    }
    expect(codeOf(forgeToken(hints, plain))).toBe('verified')
  })
})

describe('a forged token', () => {
  const [head = '', body = '', signature = ''] = signToken().split('.')
  it.each([
    ['signed with another secret', signToken(sampleClaims(), 'another secret'), 'token_signature'],
    ['signed with the empty string', forgeToken(hs256, plain, { key: '' }), 'token_signature'],
    ['signed with "undefined"', forgeToken(hs256, plain, { key: 'undefined' }), 'token_signature'],
    [
      'with alg none and no signature',
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${body}.`,
      'token_signature',
    ],
    ['with alg NONE and our signature', forgeToken({ alg: 'NONE' }, plain), 'token_signature'],
    ['with HS512', forgeToken({ alg: 'HS512' }, plain, { hash: 'sha512' }), 'token_signature'],
    ['with HS384', forgeToken({ alg: 'HS384' }, plain, { hash: 'sha384' }), 'token_signature'],
    ['with RS256 in the header', forgeToken({ alg: 'RS256' }, plain), 'token_signature'],
    ['without alg', forgeToken({ typ: 'JWT' }, plain), 'token_signature'],
    ['with an array as alg', forgeToken({ alg: ['HS256'] }, plain), 'token_signature'],
    ['with its signature stripped', `${head}.${body}.`, 'token_signature'],
    ['with a signature of zeros', `${head}.${body}.${'A'.repeat(43)}`, 'token_signature'],
    ['with half its signature', `${head}.${body}.${signature.slice(0, 20)}`, 'token_signature'],
    [
      'with another payload',
      `${head}.${Buffer.from('{"user_email":"eve@evil.example"}').toString('base64url')}.${signature}`,
      'token_signature',
    ],
    [
      'with another header',
      `${Buffer.from('{"alg":"HS256","kid":"x"}').toString('base64url')}.${body}.${signature}`,
      'token_signature',
    ],
  ])('%s is refused', (_title, token, code) => {
    expect(codeOf(token)).toBe(code)
  })

  it.each([
    '',
    '.',
    '..',
    '...',
    'a',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    '\0',
    '💌',
    'null',
    `${'a'.repeat(70_000)}.b.c`,
  ])('that is garbage is refused: %j', (token) => expect(codeOf(token)).toBe('token_malformed'))
})

describe('a token that nobody has signed', () => {
  const parts = (...texts: string[]) => texts.map((text) => Buffer.from(text).toString('base64url'))
  const heads = parts('{"alg":"HS256","typ":"JWT"}', '{"alg":"HS256"}', '5', 'null', '[]', '{', '"é"')
  const bodies = parts(plain, '{"exp":', 'null', '7', '"text"', 'text')

  it('is malformed exactly where jsonwebtoken cannot read it', () => {
    const tokens = heads.flatMap((head) =>
      bodies.flatMap((body) => ['wrong', '', '=', 'a.b', '\n'].map((end) => `${head}.${body}.${end}`)),
    )
    const isReadable = (token: string) => {
      try {
        return jwt.decode(token, { complete: true }) !== null
      } catch {
        return false
      }
    }
    expect(tokens.map((token) => codeOf(token))).toEqual(
      tokens.map((token) => (isReadable(token) ? 'token_signature' : 'token_malformed')),
    )
  })
})

describe('a signed token that is not a plain JSON object', () => {
  it.each([
    ['a critical header', { ...hs256, crit: ['exp'] }, plain],
    ['an unencoded payload', { ...hs256, b64: false, crit: ['b64'] }, plain],
    ['compression', { ...hs256, zip: 'DEF' }, plain],
    ['null', hs256, 'null'],
    ['a number', hs256, '7'],
    ['a string', hs256, '"text"'],
    ['an array', hs256, '[{"user_email":"ada@example.com"}]'],
    ['no JSON', hs256, 'user_email=ada@example.com'],
    [
      'broken UTF-8',
      hs256,
      Buffer.concat([
        Buffer.from('{"user_email":"ada@example.com","user_name":"'),
        Buffer.from([0xc3, 0x28]),
        Buffer.from('"}'),
      ]),
    ],
    ['a token in a token', { ...hs256, cty: 'JWT' }, signToken()],
  ] as [string, unknown, string | Buffer][])('is refused: %s', (_title, header, payload) =>
    expect(codeOf(forgeToken(header, payload))).toBe('token_malformed'),
  )
})

describe('time', () => {
  it.each([
    [{ exp: seconds + 1 }, 'verified'],
    [{ exp: seconds - 59 }, 'verified'],
    [{ exp: seconds - 61 }, 'token_expired'],
    [{ nbf: seconds + 59 }, 'verified'],
    [{ nbf: seconds + 61 }, 'token_not_yet_valid'],
    [{ iat: seconds + 59 }, 'verified'],
    [{ iat: seconds + 61 }, 'token_not_yet_valid'],
    [{ exp: seconds + 9 * 365 * 86_400 }, 'verified'],
    [{ exp: seconds + 11 * 366 * 86_400 }, 'claims_invalid exp'],
    [{ exp: now + 3_600_000 }, 'claims_invalid exp'],
    [{ nbf: now }, 'claims_invalid nbf'],
    [{ iat: now }, 'claims_invalid iat'],
    [{ email_link_exp: seconds + 3_600 }, 'verified'],
    [{ email_link_exp: seconds - 3_600 }, 'verified'],
    [{ email_link_exp: null }, 'verified'],
    [{ email_link_exp: now + 3_600_000 }, 'claims_invalid email_link_exp'],
    [{ email_link_exp: String(seconds) }, 'claims_invalid email_link_exp'],
    [{ email_link_exp: [seconds] }, 'claims_invalid email_link_exp'],
    [{ exp: 'tomorrow' }, 'token_malformed'],
    [{ exp: null }, 'token_malformed'],
    [{ nbf: '0' }, 'token_malformed'],
    [{ iat: [1] }, 'token_malformed'],
  ] as [Record<string, unknown>, string][])('%j is %s', (times, code) => {
    expect(codeOf(forgeToken(hs256, JSON.stringify({ ...sampleClaims(), ...times })))).toBe(code)
  })

  it('is refused where the same signature is spelt otherwise', () => {
    const token = signToken()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // the last two bits of 43 characters are no part of 32 bytes
    const last = alphabet[alphabet.indexOf(token.at(-1)!) ^ 1]
    const bytesOf = (one: string) => Buffer.from(one.slice(one.lastIndexOf('.') + 1), 'base64url')
    const other = `${token.slice(0, -1)}${last}`
    expect(bytesOf(other)).toEqual(bytesOf(token))
    for (const spelling of [other, `${token}=`]) expect(codeOf(spelling), spelling).not.toBe('verified')
  })

  it('that cannot be meant is named, with what to do', () => {
    const token = forgeToken(hs256, plain.replace('{', `{"exp":${now},"iat":${now},`))
    const { answer } = failureAnswer(invalidClaims(verifyToken(token, keys, now).faults))
    expect(answer).toMatchObject({ claim: 'exp', reason: 'time', claims: ['exp', 'iat'] })
    expect(answer.msg).toContain('in seconds')
  })

  it('must be finite', () => {
    expect(codeOf(forgeToken(hs256, plain.replace('{', '{"exp":1e999,')))).toBe('token_malformed')
  })
})

describe('a token kept under our seal', () => {
  it('gives its claims also when its time is over', () => {
    const token = signToken(sampleClaims({ exp: seconds - 3_600 }))
    expect(codeOf(token)).toBe('token_expired')
    expect(claimsOfSealed(token).user_email).toBe('ada@example.com')
  })
})

describe('claims of the wrong kind are named, their values are not', () => {
  it.each([
    [{ user_email: undefined }, 'user_email'],
    [{ user_email: null }, 'user_email'],
    [{ user_email: '' }, 'user_email'],
    [{ user_email: 7 }, 'user_email'],
    [{ user_email: ['ada@example.com'] }, 'user_email'],
    [{ user_email: { address: 'ada@example.com' } }, 'user_email'],
    [{ user_email: 'ada@example.com, eve@evil.example' }, 'user_email'],
    [{ user_aut_key: { path: '/etc/passwd' } }, 'user_aut_key'],
    [{ email_link_url: ['https://app.example.com/'] }, 'email_link_url'],
    [{ user_name: 7 }, 'user_name'],
    [{ locale: {} }, 'locale'],
    [{ jti: 7 }, 'jti'],
  ] as [Record<string, unknown>, string][])('%j', (changes, claim) => {
    expect(codeOf(signToken(sampleClaims(changes)))).toBe(`claims_invalid ${claim}`)
  })

  it('leaves out what is wrong, so that the mail can be asked about the rest', () => {
    const token = signToken(sampleClaims({ exp: now, user_email: 'nobody', user_name: 7, locale: 'it' }))
    const { claims, faults } = verifyToken(token, keys, now)
    expect(faults.map(({ claim }) => claim)).toEqual(['exp', 'user_email', 'user_name'])
    expect(claims).toMatchObject({ user_email: '', locale: 'it', user_aut_key: '7hK2pQ' })
    expect(claims.user_name).toBeUndefined()
  })

  it('does not take inherited claims for own ones', () => {
    expect(codeOf(forgeToken(hs256, '{"__proto__":{"user_email":"ada@example.com"}}'))).toBe(
      'claims_invalid user_email',
    )
  })

  it('takes the last of two claims of one name', () => {
    const token = forgeToken(hs256, plain.replace('{', '{"user_email":"eve@evil.example",'))
    expect(verifyToken(token, keys, now).claims.user_email).toBe('ada@example.com')
  })
})

it('an empty secret never becomes a key', () => expect(() => tokenKey('')).toThrow(TypeError))
