import { generateKeyPairSync } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import jwt from 'jsonwebtoken'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import type { OauthConfig, SmtpRelayConfig } from '../../src/relay-config.ts'
import type { Transport } from '../../src/message.ts'
import { type OauthError, tokenSource } from '../../src/transport/oauth-token.ts'
import { relayTransport } from '../../src/transport/relays.ts'
import { sampleMessage } from '../support/messages.ts'
import { portOf } from '../support/port.ts'
import { scriptedRelay, type Script } from '../support/relay.ts'
import { type TokenAct, type TokenEndpoint, tokenEndpoint } from '../support/token-endpoint.ts'

const user = 'mailer@example.com'
const clientSecret = 'a-client-secret'
const cleanups: (() => Promise<unknown>)[] = []
let buildMime: BuildMime

beforeAll(async () => {
  buildMime = await mimeBuilder()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function endpoint(act?: (count: number) => TokenAct, lifeSeconds?: number): Promise<TokenEndpoint> {
  const made = await tokenEndpoint(act, lifeSeconds)
  cleanups.push(() => made.close())
  return made
}

function credentials(tokenUrl: string): OauthConfig {
  const scope = 'https://outlook.office365.com/.default'
  return { grant: 'client_credentials', tokenUrl, scope, clientId: 'client', clientSecret }
}

const loginsBy = (tokenUrl: string) => ({ user, oauth: credentials(tokenUrl) })

function transportTo(port: number, auth: SmtpRelayConfig['auth'], connections = 1): Transport {
  const transport = relayTransport(
    {
      kind: 'smtp',
      name: 'smtp',
      host: '127.0.0.1',
      port,
      tls: 'off',
      auth,
      connections,
      rate: undefined,
      from: undefined,
    },
    { buildMime, sender: user },
  )
  cleanups.push(() => transport.close())
  return transport
}

/** A relay that lets in with `token-N` only while `accepts` says so. */
async function relayFor(accepts: (token: string) => boolean, options: SMTPServerOptions = {}) {
  const heard: string[] = []
  const mails: string[] = []
  const server = new SMTPServer({
    authMethods: ['LOGIN', 'PLAIN', 'XOAUTH2'],
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth({ method, username, accessToken = '', password }, _session, done) {
      heard.push(`${method} ${username} ${accessToken}${password ?? ''}`)
      if (accepts(accessToken)) done(null, { user: username })
      else done(null, { data: { status: '401', schemes: 'bearer' } })
    },
    onData(stream, _session, done) {
      stream.resume()
      stream.on('end', () => {
        mails.push('mail')
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { port: portOf(server.server), heard, mails }
}

async function scripted(script: Script) {
  const relay = await scriptedRelay(script)
  cleanups.push(() => relay.close())
  return relay
}

describe('a relay that is logged in to by XOAUTH2', () => {
  it('gets a token of the client credentials, and no password mechanism is preferred to it', async () => {
    const tokens = await endpoint()
    const relay = await relayFor(() => true)
    const receipt = await transportTo(relay.port, loginsBy(tokens.url)).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'sent' })
    expect(relay.heard).toEqual([`XOAUTH2 ${user} token-1`])
    expect(tokens.forms.map((form) => Object.fromEntries(form))).toEqual([
      {
        grant_type: 'client_credentials',
        client_id: 'client',
        client_secret: clientSecret,
        scope: 'https://outlook.office365.com/.default',
      },
    ])
  })

  it('gets a token for an assertion that the service account has signed for the user', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const tokens = await endpoint()
    const relay = await relayFor(() => true)
    const oauth: OauthConfig = {
      grant: 'jwt_bearer',
      tokenUrl: tokens.url,
      scope: 'https://mail.google.com/',
      issuer: 'mailer@project.iam.gserviceaccount.com',
      keyId: 'key-1',
      privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
    const receipt = await transportTo(relay.port, { user, oauth }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'sent' })
    const [form] = tokens.forms
    expect(form?.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const verified = jwt.verify(form?.get('assertion') ?? '', pem, { algorithms: ['RS256'], complete: true })
    expect(verified.header).toMatchObject({ alg: 'RS256', kid: 'key-1' })
    expect(verified.payload).toMatchObject({
      iss: oauth.issuer,
      sub: user,
      scope: 'https://mail.google.com/',
      aud: tokens.url,
    })
    const { iat = 0, exp = 0 } = verified.payload as jwt.JwtPayload
    expect(exp - iat).toBeLessThanOrEqual(3600)
  })

  it('shares one token among all connections', async () => {
    const tokens = await endpoint()
    const relay = await relayFor(() => true)
    const transport = transportTo(relay.port, loginsBy(tokens.url), 5)
    const receipts = await Promise.all(Array.from({ length: 20 }, () => transport.send(sampleMessage())))
    expect(receipts.filter(({ outcome }) => outcome !== 'sent')).toEqual([])
    // the others may log in after the first has sent all mails
    await expect.poll(() => relay.heard.length).toBeGreaterThan(1)
    expect(tokens.forms).toHaveLength(1)
  })

  it('gets a new token when it refuses the old one, by a challenge', async () => {
    const tokens = await endpoint()
    const relay = await relayFor((token) => token === 'token-2')
    const receipt = await transportTo(relay.port, loginsBy(tokens.url)).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'sent' })
    expect(relay.heard).toEqual([`XOAUTH2 ${user} token-1`, `XOAUTH2 ${user} token-2`])
  })

  it('gets a new token when it refuses the old one at once', async () => {
    const tokens = await endpoint()
    const relay = await scripted({
      EHLO: () => '250-relay.test\r\n250 AUTH LOGIN XOAUTH2',
      AUTH: (count) => (count === 1 ? '535 5.7.3 expired' : '235 welcome'),
    })
    const receipt = await transportTo(relay.port, loginsBy(tokens.url)).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'sent' })
    expect(tokens.forms).toHaveLength(2)
  })

  it('has login trouble when it refuses the new token too, and the receipt holds nothing secret', async () => {
    const tokens = await endpoint()
    const relay = await relayFor(() => false)
    const receipt = await transportTo(relay.port, loginsBy(tokens.url)).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login', reply: 535 })
    expect(relay.heard).toHaveLength(2)
    expect(tokens.forms).toHaveLength(2)
    expect(JSON.stringify(receipt)).not.toMatch(/token-|secret|mailer/)
  })

  it('is not asked for a new token when it is only busy', async () => {
    const tokens = await endpoint()
    const relay = await scripted({ EHLO: () => '250-r\r\n250 AUTH XOAUTH2', AUTH: () => '454 later' })
    const receipt = await transportTo(relay.port, loginsBy(tokens.url)).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login', reply: 454 })
    expect(tokens.forms).toHaveLength(1)
  })
})

describe('a relay that does not offer the login', () => {
  const password = { user, pass: 'a-password' }
  it.each([
    ['only XOAUTH2, and we have a password', '250-relay.test\r\n250 AUTH XOAUTH2', 'password'],
    ['only what we do not speak', '250-relay.test\r\n250 AUTH GSSAPI SCRAM-SHA-256', 'password'],
    ['only passwords, and we have a token', '250-relay.test\r\n250 AUTH PLAIN LOGIN', 'token'],
    ['no login', '250 relay.test', 'token'],
  ])('gets none, and nothing secret: %s', async (_title, ehlo, kind) => {
    const tokens = await endpoint()
    const relay = await scripted({ EHLO: () => ehlo })
    const auth = kind === 'password' ? password : loginsBy(tokens.url)
    const receipt = await transportTo(relay.port, auth).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login_not_offered' })
    expect(relay.commands.filter((line) => line.startsWith('AUTH'))).toEqual([])
    expect(tokens.forms).toEqual([])
  })

  it('gets no password after HELO, which offers nothing', async () => {
    const relay = await relayFor(() => true, { disabledCommands: ['STARTTLS', 'EHLO'] })
    const receipt = await transportTo(relay.port, password).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login_not_offered' })
    expect(relay.heard).toEqual([])
  })
})

describe('a token endpoint in trouble', () => {
  const json = (status: number, body: unknown) => (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const troubles: [string, (elsewhere: string) => TokenAct, Partial<OauthError>, answerMs?: number][] = [
    ['hangs', () => () => {}, { responseCode: undefined, originalCode: 'ETIMEDOUT' }, 500],
    [
      'drips for ever',
      () => (response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write(' '), 50)
        response.on('close', () => clearInterval(timer))
      },
      { responseCode: 200 },
      1_500,
    ],
    ['grows', () => json(200, { access_token: 'x', more: 'y'.repeat(100_000) }), { responseCode: 200 }],
    ['gives a token too long', () => json(200, { access_token: 'x'.repeat(8_001) }), { responseCode: 200 }],
    [
      'gives a token with a line break',
      () => json(200, { access_token: 'x\r\nRSET' }),
      { responseCode: 200 },
    ],
    ['refuses', () => json(401, { error: 'invalid_client' }), { responseCode: 401 }],
    [
      'redirects',
      (elsewhere) => (response) => {
        response.writeHead(307, { location: elsewhere })
        response.end()
      },
      { responseCode: 307 },
    ],
    ['cuts the connection', () => (response) => void response.destroy(), { originalCode: 'ECONNRESET' }],
  ]
  it.each(troubles)('gives no token: it %s', async (_title, act, expected, answerMs) => {
    const elsewhere = await endpoint()
    const tokens = await endpoint(() => act(elsewhere.url))
    const source = tokenSource(credentials(tokens.url), user, { answerMs: answerMs ?? 20_000 })
    await expect(source.current()).rejects.toMatchObject({ name: 'OauthError', ...expected })
    expect(elsewhere.forms).toEqual([])
  })

  it('is login trouble of the relay, with its status, and the next mail asks again', async () => {
    const tokens = await endpoint((count) =>
      count === 1 ? json(401, { error_description: 'secret words' }) : undefined,
    )
    const relay = await relayFor(() => true)
    const transport = transportTo(relay.port, loginsBy(tokens.url))
    const receipt = await transport.send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login', reply: 401 })
    expect(JSON.stringify(receipt)).not.toContain('secret')
    expect(relay.heard).toEqual([])
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
  })
})

describe('a token', () => {
  it('is renewed early while the old one goes on, and is not used when its life is over', async () => {
    let time = 0
    const tokens = await endpoint()
    const source = tokenSource(credentials(tokens.url), user, { now: () => time })
    expect(await source.current()).toBe('token-1')
    time = 2_600_000
    expect(await source.current()).toBe('token-1')
    expect(tokens.forms).toHaveLength(1)
    time = 2_800_000
    expect(await source.current()).toBe('token-1')
    await expect.poll(() => source.current()).toBe('token-2')
    expect(tokens.forms).toHaveLength(2)
    time += 3_600_000
    expect(await source.current()).toBe('token-3')
  })

  it('is used to its end when the renewal fails, and the endpoint is asked seldom', async () => {
    let time = 0
    const tokens = await endpoint((count) =>
      count === 1 ? undefined : (response) => void response.writeHead(503).end(),
    )
    const source = tokenSource(credentials(tokens.url), user, { now: () => time })
    await source.current()
    time = 2_800_000
    expect(await source.current()).toBe('token-1')
    await expect.poll(() => tokens.forms.length).toBe(2)
    // until the failure has come; before, every question joins the same request
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (let count = 0; count < 5; count++) expect(await source.current()).toBe('token-1')
    expect(tokens.forms).toHaveLength(2)
    time = 3_500_000
    await expect(source.current()).rejects.toMatchObject({ responseCode: 503 })
  })

  it('is renewed once for all whose login it refused', async () => {
    const tokens = await endpoint()
    const source = tokenSource(credentials(tokens.url), user)
    const old = await source.current()
    const renewed = await Promise.all([source.renew(old), source.renew(old), source.renew(old)])
    expect(new Set(renewed)).toEqual(new Set(['token-2']))
    expect(await source.renew(old)).toBe('token-2')
    expect(tokens.forms).toHaveLength(2)
  })
})
