import { createServer } from 'node:http'
import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { examinePublicKeys, keySetChecks } from '../../src/doctor/app-keys.ts'
import type { Finding } from '../../src/doctor/finding.ts'
import { portOf } from '../../src/port.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = (key: typeof ec.publicKey) => key.export({ type: 'spki', format: 'pem' }).toString()

let text = ''
const server = createServer((_request, reply) => void reply.writeHead(text ? 200 : 302).end(text))
beforeAll(() => new Promise<void>((done) => void server.listen(0, '127.0.0.1', done)))
afterAll(() => void server.close())

const shown = ({ level, says }: Finding) => `${level} ${says.replaceAll(/127\.\S+/g, '')}`
async function findings(env: NodeJS.ProcessEnv): Promise<string[]> {
  const config = readConfig(env)
  const found = examinePublicKeys(config)
  for (const check of keySetChecks(config))
    for await (const finding of check.run(new AbortController().signal)) found.push(finding)
  return found.map(shown)
}
const setOf = () => ({ JWT_MAILER_JWKS_SHOP: `http://127.0.0.1:${portOf(server)}/jwks` })

it('names the algorithms of the keys in the environment', async () => {
  expect(await findings({ JWT_MAILER_PUBLIC_KEY_SHOP: pem(ec.publicKey) + pem(rsa.publicKey) })).toEqual([
    'ok JWT_MAILER_PUBLIC_KEY_SHOP: ES256, RS256 or PS256',
  ])
  expect(await findings({})).toEqual([])
})

it('fetches a key set, names its keys and what is wrong with the others', async () => {
  const jwk = ec.publicKey.export({ format: 'jwk' })
  const keys = [
    { ...jwk, kid: 'one' },
    { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'two\u001b[31m' },
    { ...jwk, alg: 'RS256' },
  ]
  text = JSON.stringify({ keys })
  expect(await findings(setOf())).toEqual([
    'ok JWT_MAILER_JWKS_SHOP: key one (ES256)',
    'bad JWT_MAILER_JWKS_SHOP: key two?[31m is a private key: everybody who reads the set can sign with it, so it is not used',
    'warn JWT_MAILER_JWKS_SHOP: a key without kid has an alg that does not fit it or is not taken',
  ])
  text = '{"keys":[]}'
  expect(await findings(setOf())).toEqual(['bad JWT_MAILER_JWKS_SHOP: the set has no key that is used'])
})

it('says why a key set cannot be fetched', async () => {
  text = ''
  expect(await findings(setOf())).toEqual([
    'bad JWT_MAILER_JWKS_SHOP: the key set cannot be fetched (it redirects, which is not followed: set the address that it leads to)',
  ])
  text = 'hello'
  expect(await findings(setOf())).toEqual([
    'bad JWT_MAILER_JWKS_SHOP: the key set cannot be fetched (the answer is no key set, or one of more than 32 keys)',
  ])
})
