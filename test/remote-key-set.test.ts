import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import jwt from 'jsonwebtoken'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fetchKeySet, keysWithSets, remoteKeySet } from '../src/remote-key-set.ts'
import { portOf } from '../src/port.ts'
import { verifyToken } from '../src/token.ts'
import { tokenKey } from '../src/token-key.ts'
import { testApp } from './support/app.ts'
import { askMail } from './support/caller.ts'
import { sampleClaims, secret, signToken } from './support/tokens.ts'

const pairs = {
  ec: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  next: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ed: generateKeyPairSync('ed25519'),
}
type Name = keyof typeof pairs
const jwkOf = (key: KeyObject) => key.export({ format: 'jwk' })
const published = (name: Name, more: object = {}) => ({ ...jwkOf(pairs[name].publicKey), kid: name, ...more })
const privateJwk = (name: Name) => ({ ...jwkOf(pairs[name].privateKey), kid: name })
const sign = (name: 'ec' | 'next' | 'rsa', alg: jwt.Algorithm = 'ES256', header: object = { kid: name }) =>
  jwt.sign(sampleClaims(), pairs[name].privateKey, { algorithm: alg, header: { alg, ...header } })

let answer: RequestListener
let asked: string[] = []
const server = createServer((request, reply) => {
  asked.push(request.url ?? '')
  answer(request, reply)
})
const url = () => new URL(`http://127.0.0.1:${portOf(server)}/jwks`)
const publish = (...keys: object[]) => (answer = (_request, reply) => reply.end(JSON.stringify({ keys })))
const fail = () => (answer = (_request, reply) => reply.writeHead(500).end('sorry'))

beforeAll(() => new Promise<void>((done) => void server.listen(0, '127.0.0.1', done)))
beforeEach(() => {
  asked = []
  publish(published('ec'))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** A set with a clock of its own, and what a token of its app is worth. */
function scene() {
  let ms = 0
  let log = ''
  const sink = pino({ base: null }, { write: (line: string) => void (log += line) })
  const set = remoteKeySet({ url: url(), variable: 'JWT_MAILER_JWKS_SHOP', log: sink, now: () => ms })
  const sets = new Map([['shop', set]])
  const keysFor = keysWithSets(
    () => [tokenKey(secret)],
    sets,
    (app) => app,
  )
  async function codeOf(token: string, app: string | undefined = 'shop'): Promise<string> {
    try {
      verifyToken(token, await keysFor(app, token))
      return 'ok'
    } catch (error) {
      return String(Object(error).code)
    }
  }
  return { set, keysFor, codeOf, pass: (seconds: number) => (ms += seconds * 1_000), log: () => log }
}

describe('a key set', () => {
  it('is fetched once for all that wait, and then answers at once', async () => {
    const { codeOf, keysFor } = scene()
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(sign('ec'))))
    expect(new Set(codes)).toEqual(new Set(['ok']))
    expect(keysFor('shop', sign('ec'))).toHaveLength(1)
    expect(asked).toEqual(['/jwks'])
  })

  it('opens its app alone, which no secret and no other key opens', async () => {
    const { codeOf } = scene()
    expect(await codeOf(sign('ec'))).toBe('ok')
    expect(await codeOf(signToken())).toBe('token_signature')
    expect(await codeOf(sign('next', 'ES256', { kid: 'ec' }))).toBe('token_signature')
    expect(await codeOf(sign('ec'), 'other')).toBe('token_signature')
    expect(await codeOf(signToken(), 'other')).toBe('ok')
  })

  it('is asked for at most once a minute, whatever kid tokens hold', async () => {
    const { codeOf, pass } = scene()
    await codeOf(sign('ec'))
    pass(59)
    for (const kid of [
      'next',
      '../ec',
      'https://evil.example/jwks',
      '__proto__',
      '',
      "' or 1=1",
      'x'.repeat(5_000),
    ])
      expect(await codeOf(sign('next', 'ES256', { kid }))).toBe('token_signature')
    expect(asked).toHaveLength(1)
    pass(1)
    for (let n = 0; n < 5; n += 1) await codeOf(sign('next', 'ES256', { kid: `unknown ${n}` }))
    expect(asked).toHaveLength(2)
  })

  it('rotates: a new key opens at once, a removed one nothing after five minutes', async () => {
    const { codeOf, pass } = scene()
    await codeOf(sign('ec'))
    publish(published('next'))
    pass(60)
    expect(await codeOf(sign('next'))).toBe('ok')
    expect(await codeOf(sign('ec'))).toBe('token_signature')
    publish()
    pass(299)
    expect(await codeOf(sign('next'))).toBe('ok')
    pass(1)
    expect(await codeOf(sign('next'))).toBe('token_signature')
  })

  it('is kept while it cannot be fetched, and no request waits for it then', async () => {
    const { codeOf, keysFor, pass, log } = scene()
    await codeOf(sign('ec'))
    fail()
    pass(300)
    expect(await codeOf(sign('ec'))).toBe('ok')
    pass(3_600)
    expect(keysFor('shop', sign('ec'))).toHaveLength(1)
    // a key that may be new is no wrong key
    expect(await codeOf(sign('next'))).toBe('keys_unavailable')
    expect(asked).toHaveLength(3)
    expect(log()).toContain('"reason":"status","kept":true')
    publish(published('next'))
    pass(60)
    expect(await codeOf(sign('next'))).toBe('ok')
  })

  it('that nobody has had yet is asked for again after five seconds', async () => {
    fail()
    const { codeOf, pass } = scene()
    expect(await codeOf(sign('ec'))).toBe('keys_unavailable')
    publish(published('ec'))
    expect(await codeOf(sign('ec'))).toBe('keys_unavailable')
    pass(5)
    expect(await codeOf(sign('ec'))).toBe('ok')
  })

  it('pins the algorithm of each key', async () => {
    publish(published('rsa', { alg: 'RS256', use: 'sig' }), published('ed', { key_ops: ['verify'] }))
    const { codeOf } = scene()
    expect(await codeOf(sign('rsa', 'RS256'))).toBe('ok')
    expect(await codeOf(sign('rsa', 'RS256', {}))).toBe('ok')
    expect(await codeOf(sign('rsa', 'PS256'))).toBe('token_signature')
    expect(await codeOf(sign('rsa', 'RS512'))).toBe('token_signature')
    expect(await codeOf(sign('ec', 'ES256', { kid: 'rsa' }))).toBe('token_signature')
    expect(await codeOf(sign('rsa', 'RS256', { kid: 'ed' }))).toBe('token_signature')
  })

  it('is no secret: neither its text nor a key of it verifies an HMAC, and none verifies itself', async () => {
    const { codeOf } = scene()
    const jwk = published('ec')
    const pem = pairs.ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const texts = [pem, pem.trim(), JSON.stringify(jwk), JSON.stringify({ keys: [jwk] }), String(jwk.x), '']
    const body = Buffer.from(JSON.stringify(sampleClaims())).toString('base64url')
    for (const alg of ['HS256', 'ES256', 'EdDSA', 'none', 'None', '', undefined, ['ES256'], null])
      for (const text of texts) {
        const head = Buffer.from(JSON.stringify({ alg, kid: 'ec' })).toString('base64url')
        const signature = createHmac('sha256', text).update(`${head}.${body}`).digest('base64url')
        for (const token of [`${head}.${body}.${signature}`, `${head}.${body}.`])
          expect(await codeOf(token)).toMatch(/^token_(signature|malformed)$/)
      }
    expect(await codeOf('no.token')).toBe('token_malformed')
    expect(await codeOf(`${Buffer.from('null').toString('base64url')}.e30.x`)).toMatch(/^token_/)
  })

  it('is not looked for where a token points, and its own key is none', async () => {
    const { codeOf } = scene()
    const evil = new URL('/evil', url()).href
    const hints = { jku: evil, x5u: evil, jwk: published('next'), x5c: ['MIIB'] }
    expect(await codeOf(sign('next', 'ES256', { kid: 'ec', ...hints }))).toBe('token_signature')
    expect(await codeOf(sign('next', 'ES256', hints))).toBe('token_signature')
    expect(await codeOf(sign('ec', 'ES256', { kid: 'ec', ...hints }))).toBe('ok')
    expect(asked).toEqual(['/jwks'])
  })

  it('uses neither symmetric nor private nor other keys, and says so', async () => {
    const oct = { kty: 'oct', k: Buffer.from(secret).toString('base64url'), kid: 'oct', alg: 'HS256' }
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    publish(
      oct,
      privateJwk('next'),
      published('rsa', { use: 'enc' }),
      { ...jwkOf(small), kid: 'small' },
      published('ec', { alg: 'RS256' }),
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
      { kid: 7 },
    )
    const { keys, faults } = await fetchKeySet(url())
    expect(keys).toEqual([])
    expect(faults.map(({ fault }) => fault)).toEqual([
      'symmetric',
      'private',
      'use',
      'kind',
      'alg',
      'kind',
      'kind',
    ])
    const { codeOf, log } = scene()
    expect(await codeOf(signToken())).toBe('token_signature')
    expect(await codeOf(sign('next'))).toBe('token_signature')
    expect(log()).toContain('"faults":["symmetric","private","use","kind","alg"]')
  })

  it.each<[string, string, RequestListener]>([
    ['hangs', 'timeout', () => undefined],
    ['hangs half way', 'timeout', (_request, reply) => void reply.write('{"keys":[')],
    ['grows', 'size', (_request, reply) => void reply.end(`{"keys":[]${' '.repeat(70_000)}}`)],
    [
      'redirects',
      'redirect',
      (_request, reply) => void reply.writeHead(302, { location: '/elsewhere' }).end(),
    ],
    ['breaks off', 'ECONNRESET', (request) => void request.socket.destroy()],
    ['is gone', 'status', (_request, reply) => void reply.writeHead(404).end()],
    ['is a page', 'body', (_request, reply) => void reply.end('<html>')],
    [
      'holds too many keys',
      'body',
      (_request, reply) => void reply.end(JSON.stringify({ keys: Array.from({ length: 33 }, () => ({})) })),
    ],
  ])('that %s is none (%s)', async (_title, reason, listener) => {
    answer = listener
    await expect(fetchKeySet(url(), reason === 'timeout' ? 1_000 : 20_000)).rejects.toMatchObject({ reason })
    expect(asked).toEqual(['/jwks'])
  })
})

it('gives an app its mails, its deliveries and a clear answer while there is none', async () => {
  const { keysFor, pass } = scene()
  const { app, relay, log } = await testApp({
    keysFor: (name, token, needsAll) => keysFor(name && 'shop', token, needsAll),
  })
  fail()
  const token = sign('ec')
  const early = await askMail(app, token)
  expect([early.status, early.code]).toEqual([503, 'keys_unavailable'])
  expect(log()).toContain('"reason":"status"')
  const deliveries = (bearer: string) =>
    app.inject({ url: '/deliveries/x', headers: { authorization: `Bearer ${bearer}` } })
  expect((await deliveries(token)).json()).toMatchObject({ code: 'keys_unavailable' })
  expect((await deliveries(token)).statusCode).toBe(503)
  // the sets have no key that could have signed this one
  expect((await deliveries(signToken({}, 'of a stranger, and long enough'))).statusCode).toBe(401)
  publish(published('ec'))
  pass(5)
  const { status, id } = await askMail(app, token)
  expect([status, relay.mails.length]).toEqual([200, 1])
  const headers = { authorization: `Bearer ${token}` }
  expect((await app.inject({ url: `/deliveries/${id}`, headers })).statusCode).toBe(200)
  expect(log()).not.toContain('127.0.0.1')
})
