/** The service as it is deployed: several relays by their variables, one of them behind a private CA. */
import { resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Script, scriptedRelay } from '../support/relay.ts'
import { brevoError, brevoServer } from '../support/brevo.ts'
import { postmarkServer } from '../support/postmark.ts'
import { sesCredentials, sesRegion, sesServer } from '../support/ses.ts'
import { sendgridServer } from '../support/sendgrid.ts'
import { freePort } from '../support/port.ts'
import { startService } from '../support/service.ts'
import { sampleClaims, secret, signToken } from '../support/tokens.ts'

const ca = resolve(import.meta.dirname, '../fixtures/tls/ca.crt')

async function serviceWith(env: Record<string, string>) {
  const service = await startService({
    mode: 'production',
    env: { JWT_MAILER_SECRET: secret, MAIL_FROM: 'noreply@mail.example.com', ...env },
  })
  onTestFinished(async () => void (await service.stop()))
  let count = 0
  return {
    service,
    async send() {
      const token = signToken(sampleClaims({ jti: `mail-${++count}` }))
      return (await (await fetch(`${service.url}/emailservice/${token}`)).json()) as { code: string }
    },
    ready: async (): Promise<unknown> => (await fetch(`${service.url}/health/ready`)).json(),
  }
}

async function relayWith(script: Script = {}) {
  const relay = await scriptedRelay(script)
  onTestFinished(() => relay.close())
  return relay
}

async function sendgrid() {
  const server = await sendgridServer()
  onTestFinished(() => server.close())
  return server
}

const urlOf = ({ port }: { port: number }, options = '') =>
  `smtp://user:password@127.0.0.1:${port}?tls=off${options}`

const refusalsIn = (log: string) =>
  log
    .split('\n')
    .filter((line) => line.includes('relay did not take it'))
    .map((line) => JSON.parse(line) as unknown)

describe('several relays', () => {
  it('stand in for each other: nobody at the first, "later" from the second, SendGrid behind a private CA', async () => {
    const later = await relayWith({ RCPT: () => '451 later' })
    const api = await sendgrid()
    const { send, ready, service } = await serviceWith({
      SMTP_URL: urlOf({ port: await freePort() }),
      SMTP_URL_2: urlOf(later),
      SENDGRID_API_KEY: 'SG.test-key',
      SENDGRID_API_URL: api.url,
      NODE_EXTRA_CA_CERTS: ca,
    })
    expect(await send()).toMatchObject({ code: 'sent' })
    expect(api.mails).toHaveLength(1)
    expect(later.mails).toEqual([])
    expect(await ready()).toMatchObject({
      code: 'ready',
      relays: { smtp: 'connect', smtp2: 'ok', sendgrid: 'ok' },
      breakers: { smtp: 'closed', smtp2: 'closed', sendgrid: 'closed' },
    })
    // the log is written a moment later
    await expect
      .poll(() => refusalsIn(service.output()))
      .toMatchObject([
        { relay: 'smtp', outcome: 'unsent', reason: 'connect' },
        { relay: 'smtp2', outcome: 'deferred', reason: 'recipient', reply: 451 },
      ])
    expect(service.output()).not.toContain('SG.test-key')
  })

  it('may all be APIs: what Brevo and Postmark do not take, SES signs and takes', async () => {
    const [first, second, third] = await Promise.all([
      brevoServer({ body: () => brevoError(402, 'not_enough_credits') }),
      postmarkServer({}, { senders: ['other.example'] }),
      sesServer(),
    ])
    for (const server of [first, second, third]) onTestFinished(() => server.close())
    const { send, ready, service } = await serviceWith({
      RELAYS: 'brevo,postmark,ses',
      BREVO_API_KEY: 'xkeysib-test',
      BREVO_API_URL: first.url,
      POSTMARK_SERVER_TOKEN: 'server-token',
      POSTMARK_API_URL: second.url,
      SES_REGION: sesRegion,
      SES_API_URL: third.url,
      AWS_ACCESS_KEY_ID: sesCredentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: sesCredentials.secretAccessKey,
      NODE_EXTRA_CA_CERTS: ca,
    })
    expect(await send()).toMatchObject({ code: 'sent' })
    expect([first, second, third].map(({ mails }) => mails.length)).toEqual([0, 0, 1])
    expect(await ready()).toMatchObject({ relays: { brevo: 'ok', postmark: 'ok', ses: 'ok' } })
    await expect
      .poll(() => refusalsIn(service.output()))
      .toMatchObject([
        { relay: 'brevo', outcome: 'deferred', reason: 'quota', reply: 402 },
        { relay: 'postmark', outcome: 'refused', reason: 'sender', reply: 422 },
      ])
    expect(service.output()).not.toMatch(/xkeysib-test|server-token|wJalr|ada@/)
  })

  it('follow RELAYS, each with its own sender', async () => {
    const [one, two] = [await relayWith(), await relayWith()]
    const { send } = await serviceWith({
      SMTP_URL: urlOf(one),
      SMTP_URL_2: urlOf(two, '&from=noreply@other.example&connections=1&rate=5/1s'),
      RELAYS: 'smtp2,smtp',
    })
    expect(await send()).toMatchObject({ code: 'sent' })
    expect(one.commands).toEqual([])
    expect(two.commands).toContain('EHLO other.example')
    expect(two.commands).toContain('MAIL FROM:<noreply@other.example>')
    expect(two.mails[0]?.source).toMatch(/^Message-ID: <.*@mail\.example\.com>\r$/m)
  })

  it('that are not trusted get nothing: SendGrid without its CA', async () => {
    const api = await sendgrid()
    const { send, ready } = await serviceWith({ SENDGRID_API_KEY: 'SG.test-key', SENDGRID_API_URL: api.url })
    expect(await send()).toMatchObject({ code: 'queued' })
    expect(api.requests).toEqual([])
    expect(await ready()).toMatchObject({ code: 'relay_unavailable', relays: { sendgrid: 'tls' } })
  })
})
