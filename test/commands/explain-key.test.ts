import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { explainToken } from '../../src/commands/explain-token.ts'
import { portOf } from '../../src/port.ts'
import { sampleClaims, secret } from '../support/tokens.ts'

const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const pem = (key: typeof pair.publicKey) => key.export({ type: 'spki', format: 'pem' }).toString()
const keys: object[] = [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'one' }]
const server = createServer((_request, reply) => void reply.end(JSON.stringify({ keys })))
beforeAll(() => new Promise<void>((done) => void server.listen(0, '127.0.0.1', done)))
afterAll(() => void server.close())

async function explain(
  env: NodeJS.ProcessEnv,
  header: object = {},
  claims: Record<string, unknown> = {},
  key = pair.privateKey,
) {
  const token = jwt.sign(sampleClaims(claims), key, {
    algorithm: 'ES256',
    header: { alg: 'ES256', ...header },
  })
  const lines: string[] = []
  const out = (line: string) => void lines.push(line)
  const terminal = { out, err: out, paint: (_color: string, text: string) => text }
  const code = await explainToken(token, false, { terminal, env })
  return [code, ...lines.slice(lines.findIndex((line) => line.startsWith('signed with')))]
}
const good = 'good: the service would go on to the mail'
const refused = 'the service would answer token_signature: Problem with token'
const own = { JWT_MAILER_SECRET: secret, JWT_MAILER_PUBLIC_KEY_SHOP: pem(pair.publicKey) }

it('names the public key that a token is signed with', async () => {
  expect(await explain(own)).toEqual([0, 'signed with JWT_MAILER_PUBLIC_KEY_SHOP', good])
  expect(await explain(own, {}, {}, other.privateKey)).toEqual([
    1,
    'signed with none of the secrets and keys in the environment',
    'JWT_MAILER_PUBLIC_KEY_SHOP does not verify the signature',
    refused,
  ])
})

it('says that aud does not hold the audience', async () => {
  const env = { ...own, JWT_MAILER_AUDIENCE: 'mailer' }
  expect(await explain(env, {}, { aud: 'mailer' })).toContain(good)
  expect(await explain(env)).toContain(`${refused}, because aud does not hold JWT_MAILER_AUDIENCE`)
})

it('fetches a key set and says which of its keys it is, or why none is', async () => {
  const env = { JWT_MAILER_JWKS_SHOP: `http://127.0.0.1:${portOf(server)}/` }
  expect(await explain(env, { kid: 'one' })).toEqual([0, 'signed with one of JWT_MAILER_JWKS_SHOP', good])
  expect(await explain(env, { kid: 'two\u001b[31m' })).toContain(
    'JWT_MAILER_JWKS_SHOP has no key with this kid; it has: one',
  )
  keys[0] = { ...keys[0], alg: 'RS256' }
  expect(await explain(env, { kid: 'one' })).toContain(
    'JWT_MAILER_JWKS_SHOP has no key with this kid; it has: none that is used',
  )
  const gone = { JWT_MAILER_JWKS_SHOP: 'http://127.0.0.1:1/' }
  expect(await explain(gone)).toContain('JWT_MAILER_JWKS_SHOP cannot be fetched: ECONNREFUSED')
})
