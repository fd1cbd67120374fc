/** The portable client: signatures of every kind, checked by a library that is not ours. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMailer, linkToken, mintToken, type PrivateKey } from '../../client/src/index.ts'
import * as forNode from '../../client/src/node.ts'
import { testApp } from '../support/app.ts'
import { startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'

const to = 'ada@example.com'
const pairs: Record<PrivateKey['alg'], { publicKey: KeyObject; privateKey: KeyObject }> = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
}
const pemOf = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }) as string

describe.each(Object.keys(pairs) as PrivateKey['alg'][])('a token signed with %s', (alg) => {
  const { publicKey, privateKey } = pairs[alg]
  const spellings = {
    'a PEM': pemOf(privateKey),
    'a PEM whose line breaks are written out': pemOf(privateKey).replaceAll('\n', '\\n'),
    'a JWK that says what it is for': {
      ...privateKey.export({ format: 'jwk' }),
      use: 'sig',
      alg,
      key_ops: [],
    },
  }
  test.each(Object.entries(spellings))('by %s holds', async (_what, key) => {
    const token = await mintToken({ to, secret: { alg, key, kid: 'k1' }, audience: 'mailer' })
    const [head = '', body = ''] = token.split('.')
    expect(JSON.parse(Buffer.from(head, 'base64url').toString())).toEqual({ alg, typ: 'JWT', kid: 'k1' })
    expect(JSON.parse(Buffer.from(body, 'base64url').toString())).toMatchObject({
      user_email: to,
      aud: 'mailer',
    })
    expect(jwt.verify(token, publicKey, { algorithms: [alg], audience: 'mailer' })).toBeTruthy()
  })
})

test('a token by HS256 holds, of both clients', async () => {
  for (const token of [await mintToken({ to, secret }), forNode.mintToken({ to, secret })])
    expect(jwt.verify(token, secret, { algorithms: ['HS256'] })).toMatchObject({ user_email: to })
})

test('a link of one client opens with the other', async () => {
  const options = { purpose: 'p', secret }
  const signing = { ...options, subject: 'ü', expiresInS: 60, data: { é: 'ß' } }
  const [portable, ofNode] = [await linkToken.sign(signing), forNode.linkToken.sign(signing)]
  for (const token of [portable, ofNode])
    for (const { verify } of [linkToken, forNode.linkToken])
      expect(await verify(token, options)).toMatchObject({ ok: true, subject: 'ü', data: { é: 'ß' } })
})

test('what only a programmer can mend is thrown', async () => {
  const url = 'http://127.0.0.1:9'
  const key = pemOf(pairs.RS256.privateKey)
  expect(() => createMailer({ url, secret: '' })).toThrow('the secret is empty')
  expect(() => createMailer({ url, secret: { alg: 'HS256' as 'ES256', key } })).toThrow('alg must be')
  const pkcs1 = pairs.RS256.privateKey.export({ type: 'pkcs1', format: 'pem' }) as string
  expect(() => createMailer({ url, secret: { alg: 'RS256', key: pkcs1 } })).toThrow('openssl pkcs8')
  await expect(mintToken({ to: '', secret })).rejects.toThrow(TypeError)
  await expect(mintToken({ to, secret: { alg: 'ES256', key } })).rejects.toThrow(TypeError)
  await expect(linkToken.sign({ purpose: 'p', subject: '1', secret: '', expiresInS: 1 })).rejects.toThrow(
    TypeError,
  )
})

test('a base address with slashes at its end is the same address', async () => {
  const service = await testApp()
  const mailer = createMailer({ url: `${await service.url()}//`, secret })
  const link = { url: 'https://app.example.com/confirm/', token: 'abc' }
  expect(await mailer.send('confirmation', { to, link, accessKey: '7hK2pQ' })).toMatchObject({ ok: true })
})

test('a running service that has the public halves takes a mail by each, and none by a secret', async () => {
  const publicKeys = Object.values(pairs).map(({ publicKey }) =>
    publicKey.export({ type: 'spki', format: 'pem' }),
  )
  const service = await startService({
    mode: 'development',
    env: { JWT_MAILER_SECRET: secret, JWT_MAILER_PUBLIC_KEY_DEFAULT: publicKeys.join('\n') },
  })
  onTestFinished(async () => void (await service.stop()))
  const mail = { to, link: 'https://app.example.com/confirm?token=abc', accessKey: '7hK2pQ' }
  for (const [alg, { privateKey }] of Object.entries(pairs)) {
    const mailer = createMailer({
      url: service.url,
      secret: { alg: alg as PrivateKey['alg'], key: pemOf(privateKey) },
    })
    const answer = await mailer.send('confirmation', mail)
    expect([alg, answer]).toEqual([alg, expect.objectContaining({ ok: true })])
    expect(await mailer.status((answer as { id: string }).id)).toMatchObject({ ok: true })
  }
  const stranger = createMailer({ url: service.url, secret })
  expect(await stranger.send('confirmation', mail)).toMatchObject({ code: 'token_signature' })
})
