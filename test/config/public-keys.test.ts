import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { readConfig } from '../../src/config/config.ts'
import { verifyToken } from '../../src/token.ts'
import { askMail } from '../support/caller.ts'
import { testApp } from '../support/app.ts'
import { sampleClaims, secret, signToken } from '../support/tokens.ts'

const pairs = {
  ec: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  other: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
}
const pem = (key: KeyObject) =>
  key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }).toString()
const publicPem = (name: keyof typeof pairs) => pem(pairs[name].publicKey)
const production = {
  NODE_ENV: 'production',
  JWT_MAILER_SECRET: secret,
  MAIL_FROM: 'noreply@example.com',
  SMTP_URL: 'smtp://u:p@relay.example.com',
}
const configWith = (env: NodeJS.ProcessEnv) => readConfig({ ...production, ...env })
const sign = (name: keyof typeof pairs, algorithm: jwt.Algorithm, claims = sampleClaims(), header = {}) =>
  jwt.sign(claims, pairs[name].privateKey, { algorithm, header: { alg: algorithm, ...header } })

function codeOf(env: NodeJS.ProcessEnv, app: string, token: string): string {
  const { keysOf, audience } = configWith(env)
  try {
    verifyToken(token, keysOf(app), Date.now(), audience)
    return 'ok'
  } catch (error) {
    return String(Object(error).code)
  }
}

describe('an app with a public key', () => {
  const shop = { JWT_MAILER_PUBLIC_KEY_SHOP: publicPem('ec') + publicPem('rsa') }

  it.each([
    ['ec', 'ES256'],
    ['rsa', 'RS256'],
    ['rsa', 'PS256'],
  ] as const)('takes tokens that its key %s signs with %s', (name, algorithm) => {
    expect(codeOf(shop, 'shop', sign(name, algorithm))).toBe('ok')
  })

  it('takes tokens by EdDSA, and no other algorithm with that key', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const env = { JWT_MAILER_PUBLIC_KEY_SHOP: pem(publicKey) }
    const token = (alg: string, claims = sampleClaims()) => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const input = `${part({ alg, typ: 'JWT' })}.${part(claims)}`
      return `${input}.${signBytes(null, Buffer.from(input), privateKey).toString('base64url')}`
    }
    expect(codeOf(env, 'shop', token('EdDSA'))).toBe('ok')
    expect(codeOf(env, 'shop', token('EdDSA', sampleClaims({ exp: 1 })))).toBe('token_expired')
    for (const alg of ['ES256', 'RS256', 'HS256', 'none'])
      expect(codeOf(env, 'shop', token(alg))).toBe('token_signature')
    const [head, , signature] = token('EdDSA').split('.')
    const [, body] = token('EdDSA', sampleClaims({ user_name: 'Eve' })).split('.')
    expect(codeOf(env, 'shop', `${head}.${body}.${signature}`)).toBe('token_signature')
    expect(codeOf(env, 'shop', `${head}.${body}.`)).toBe('token_signature')
    expect(codeOf(env, 'shop', `${head}.${body}`)).toBe('token_malformed')
  })

  it('has no key but those of its set, where one is configured', () => {
    const { keySets, keysOf } = configWith({ JWT_MAILER_JWKS_SHOP: 'http://localhost:3000/jwks' })
    expect([...keySets]).toEqual([['JWT_MAILER_JWKS_SHOP', new URL('http://localhost:3000/jwks')]])
    expect(keysOf('shop')).toEqual([])
    expect(keysOf()).toHaveLength(1)
  })

  it('is closed to every secret and to other keys, and opens no other app', () => {
    expect(codeOf(shop, 'shop', signToken())).toBe('token_signature')
    expect(codeOf(shop, 'shop', sign('other', 'ES256'))).toBe('token_signature')
    expect(codeOf(shop, 'default', sign('ec', 'ES256'))).toBe('token_signature')
    expect(codeOf(shop, 'default', signToken())).toBe('ok')
  })

  it.each(['ES256', 'RS256'])(
    'takes no HMAC that has the text of its key as its secret, whatever %s says',
    () => {
      for (const text of [
        publicPem('ec'),
        publicPem('rsa'),
        publicPem('ec').trim(),
        shop.JWT_MAILER_PUBLIC_KEY_SHOP,
      ])
        for (const alg of ['HS256', 'HS512', 'ES256', 'RS256', 'none']) {
          const head = Buffer.from(JSON.stringify({ alg, typ: 'JWT' })).toString('base64url')
          const input = `${head}.${Buffer.from(JSON.stringify(sampleClaims())).toString('base64url')}`
          const signature = createHmac('sha256', text).update(input).digest('base64url')
          for (const token of [`${input}.${signature}`, `${input}.`])
            expect(codeOf(shop, 'shop', token)).toMatch(/^token_(signature|malformed)$/)
        }
    },
  )

  it('reads no key out of a token, and a kid chooses nothing', () => {
    const jwk = pairs.other.publicKey.export({ format: 'jwk' })
    const hints = {
      kid: '../../default',
      jku: 'https://evil.example/jwks',
      x5u: 'https://evil.example/',
      jwk,
    }
    expect(codeOf(shop, 'shop', sign('other', 'ES256', sampleClaims(), hints))).toBe('token_signature')
    expect(codeOf(shop, 'shop', sign('ec', 'ES256', sampleClaims(), hints))).toBe('ok')
  })

  it('must name the audience, where one is configured', () => {
    const env = { ...shop, JWT_MAILER_AUDIENCE: 'https://mailer.example.com' }
    const withAud = (aud: unknown) => codeOf(env, 'shop', sign('ec', 'ES256', sampleClaims({ aud })))
    expect(withAud('https://mailer.example.com')).toBe('ok')
    expect(withAud(['a', 'https://mailer.example.com'])).toBe('ok')
    expect(withAud('https://other.example.com')).toBe('token_signature')
    expect(withAud(undefined)).toBe('token_signature')
    expect(codeOf(env, 'default', signToken())).toBe('ok')
  })

  it('gets its mail, and sees what became of it', async () => {
    const keysOf = configWith({ JWT_MAILER_PUBLIC_KEY_DEFAULT: publicPem('ec') }).keysOf
    const { app, relay } = await testApp({ keysFor: keysOf })
    const token = sign('ec', 'ES256')
    const { status, id } = await askMail(app, token)
    expect(status).toBe(200)
    expect(relay.mails).toHaveLength(1)
    const ask = async (bearer: string) =>
      (await app.inject({ url: `/deliveries/${id}`, headers: { authorization: `Bearer ${bearer}` } }))
        .statusCode
    expect(await ask(token)).toBe(200)
    expect(await ask(signToken())).toBe(404)
  })
})

describe('JWT_MAILER_PUBLIC_KEY_<APP>', () => {
  it('may have its line breaks written out', () => {
    const env = { JWT_MAILER_PUBLIC_KEY_SHOP: publicPem('ec').replaceAll('\n', '\\n') }
    expect(codeOf(env, 'shop', sign('ec', 'ES256'))).toBe('ok')
  })

  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).publicKey
  const edwards = generateKeyPairSync('ed448').publicKey
  const jwks = 'https://app.example.com/jwks'
  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['no PEM', { JWT_MAILER_PUBLIC_KEY_SHOP: 'abc' }, /holds no PEM/],
    ['a broken PEM', { JWT_MAILER_PUBLIC_KEY_SHOP: publicPem('ec').replace('M', '') }, /another kind/],
    ['a private key', { JWT_MAILER_PUBLIC_KEY_SHOP: pem(pairs.ec.privateKey) }, /holds a PRIVATE KEY/],
    ['a small RSA key', { JWT_MAILER_PUBLIC_KEY_SHOP: pem(small) }, /another kind/],
    ['another curve', { JWT_MAILER_PUBLIC_KEY_SHOP: pem(curve) }, /another kind/],
    ['Ed448', { JWT_MAILER_PUBLIC_KEY_SHOP: pem(edwards) }, /another kind/],
    [
      'both',
      { JWT_MAILER_PUBLIC_KEY_SHOP: publicPem('ec'), JWT_MAILER_JWKS_SHOP: jwks },
      /JWKS_SHOP: is set beside/,
    ],
    [
      'a set beside a secret',
      { JWT_MAILER_JWKS_SHOP: jwks, JWT_MAILER_SECRET_SHOP: secret },
      /is set beside/,
    ],
    ['a set by http', { JWT_MAILER_JWKS_SHOP: 'http://app.example.com/jwks' }, /no address of a key set/],
    [
      'a set with a login',
      { JWT_MAILER_JWKS_SHOP: 'https://u:p@app.example.com/' },
      /no address of a key set/,
    ],
    ['a set in a file', { JWT_MAILER_JWKS_SHOP: 'file:///etc/jwks.json' }, /no address of a key set/],
    ['no app', { JWT_MAILER_JWKS_: jwks }, /is not read/],
    ['an app in small letters', { JWT_MAILER_PUBLIC_KEY_shop: publicPem('ec') }, /is not read/],
    [
      'a secret beside it',
      { JWT_MAILER_PUBLIC_KEY_SHOP: publicPem('ec'), JWT_MAILER_SECRET_SHOP: secret },
      /is set beside/,
    ],
  ])('is refused with %s, without its value', (_title, env, sentence) => {
    expect(() => configWith(env)).toThrow(ConfigError)
    expect(() => configWith(env)).toThrow(sentence)
    expect(() => configWith(env)).not.toThrow(/M[A-Za-z0-9+/]{30}/)
  })
})
