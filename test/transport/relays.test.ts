/** The service as it is deployed: several relays by their variables, one of them behind a private CA. */
import { resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Script, scriptedRelay } from '../support/relay.ts'
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
    const refusals = () =>
      service
        .output()
        .split('\n')
        .filter((line) => line.includes('relay did not take it'))
        .map((line) => JSON.parse(line) as unknown)
    // the log is written a moment later
    await expect.poll(refusals).toMatchObject([
      { relay: 'smtp', outcome: 'unsent', reason: 'connect' },
      { relay: 'smtp2', outcome: 'deferred', reason: 'recipient', reply: 451 },
    ])
    expect(service.output()).not.toContain('SG.test-key')
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
