import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../support/port.ts'
import {
  certificate,
  deployment,
  dkimRecord,
  domain,
  examine,
  good,
  lines,
  listening,
  untilTheEnd,
} from '../healthy-deployment.ts'
import { examineDeployment } from '../../../src/doctor/deployment.ts'

const apiKey = 'SG.an-api-key-that-is-not-one.0123456789'

interface StandIn {
  readonly port: number
  readonly authorizations: (string | undefined)[]
}

/** Answers GET /v3/scopes as the documentation says, or as told. */
async function sendGrid(
  answer: (response: ServerResponse) => void = (response) =>
    response.end(JSON.stringify({ scopes: ['mail.send'] })),
  keys: { key: string; cert: string } = good,
): Promise<StandIn> {
  const authorizations: StandIn['authorizations'] = []
  const server: Server = createServer(keys, (request: IncomingMessage, response) => {
    authorizations.push(request.headers.authorization)
    if (request.method === 'POST') response.writeHead(202).end()
    else answer(response)
  })
  server.on('tlsClientError', () => {})
  const port = await listening(server)
  untilTheEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port, authorizations }
}

const only = (port: number): NodeJS.ProcessEnv => ({
  MAILERTOGO_SMTP_HOST: undefined,
  MAILERTOGO_SMTP_PORT: undefined,
  MAILERTOGO_SMTP_USER: undefined,
  MAILERTOGO_SMTP_PASSWORD: undefined,
  SENDGRID_API_KEY: apiKey,
  SENDGRID_API_URL: `https://localhost:${port}`,
})

const zone = {
  [domain]: { TXT: ['v=spf1 include:sendgrid.net ~all'], MX: [[10, 'mx.example.com']] as [number, string][] },
  'sendgrid.net': { TXT: ['v=spf1 ip4:192.0.2.0/24 ~all'] },
  [`s1._domainkey.${domain}`]: { CNAME: 's1.domainkey.u1.wl.sendgrid.net' },
  's1.domainkey.u1.wl.sendgrid.net': { TXT: [dkimRecord.good] },
}

const status = (code: number) => (response: ServerResponse) =>
  void response.writeHead(code).end(JSON.stringify({ errors: [{ message: `key ${apiKey}` }] }))

async function trouble(answer: (response: ServerResponse) => void): Promise<string[]> {
  const { port } = await sendGrid(answer)
  const findings = await examine({ env: only(port), zone, selectors: [] })
  expect(JSON.stringify(findings)).not.toContain(apiKey)
  return lines(findings, 'bad')
}

describe('the doctor looks at SendGrid', () => {
  it('and finds everything well, its DKIM selectors without being told them, and the time', async () => {
    const { port, authorizations } = await sendGrid()
    const findings = await examine({ env: only(port), zone, selectors: [] })
    expect([...lines(findings, 'bad'), ...lines(findings, 'warn')]).toEqual([])
    // how many there are is no matter of SendGrid
    const fine = lines(findings, 'ok').map((line) => line.replace(/^mails: \d+ mails/, 'mails: MANY mails'))
    expect(fine).toMatchInlineSnapshot(`
      [
        "node: 24.21.0",
        "configuration: complete, for production",
        "secrets: JWT_MAILER_SECRET is strong enough (32 bytes)",
        "mails: MANY mails compile",
        "feedback: sendgrid could report what becomes of a mail: set SENDGRID_FEEDBACK_KEY",
        "feedback: no relay may report, so no bounce is heard of and no address is suppressed",
        "relay sendgrid: localhost:PORT answers over TLS",
        "relay sendgrid: the key may send mail",
        "domain mail.example.com: SPF is sound (1 of 10 lookups)",
        "domain mail.example.com: SPF includes SendGrid",
        "domain mail.example.com: DKIM key s1._domainkey.mail.example.com is good (RSA, 2048 bits)",
        "domain mail.example.com: DMARC at _dmarc.mail.example.com: reject",
        "domain mail.example.com: mails by SendGrid pass DMARC by SPF and DKIM",
        "domain mail.example.com: bounces go to mx.example.com",
        "links: links of default may lead anywhere; link_origins in app.json narrows that",
        "store: DATA/outbox.sqlite is made when the service starts",
        "clock: agrees with SendGrid",
      ]
    `)
    expect(authorizations).toContain(`Bearer ${apiKey}`)
  })

  it('and sends a mail through it when asked to', async () => {
    const { port } = await sendGrid()
    const findings = await examine({ env: only(port), zone, selectors: [], sendTo: 'ada@example.org' })
    expect(lines(findings, 'ok').join('\n')).toContain('relay sendgrid: took a mail to ada@example.org')
  })

  it('and says what is wrong with the key', async () => {
    expect(await trouble(status(401))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: the key is wrong or was deleted (401) → Make an API key with the permission "Mail Send" and put it into SENDGRID_API_KEY.",
      ]
    `)
    expect(await trouble(status(403))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: the key is refused (403) → Look at IP Access Management and the state of the account at SendGrid, and at the region: EU accounts use https://api.eu.sendgrid.com.",
      ]
    `)
    expect(await trouble((response) => response.end('{"scopes":["stats.read"]}'))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: the key may not send mail (mail.send is not among its scopes) → Make an API key with the permission "Mail Send" and put it into SENDGRID_API_KEY.",
      ]
    `)
  })

  it('and tells trouble of SendGrid from trouble of ours', async () => {
    expect(await trouble(status(503))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: SendGrid has a fault of its own (503) → Look at status.sendgrid.com and try again.",
      ]
    `)
    expect(await trouble(status(429))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: SendGrid is asked too often (429) → Try again in a minute.",
      ]
    `)
    expect(await trouble((response) => response.end('<html>hello</html>'))).toMatchInlineSnapshot(`
      [
        "relay sendgrid: the server there is not SendGrid's API (200) → Check SENDGRID_API_URL.",
      ]
    `)
  })

  it('and says that its certificate is not good, and keeps the key to itself', async () => {
    const keys = { key: certificate('elsewhere.key'), cert: certificate('elsewhere.crt') }
    const { port, authorizations } = await sendGrid(undefined, keys)
    expect(lines(await examine({ env: only(port), zone, selectors: [] }), 'bad')).toMatchInlineSnapshot(`
      [
        "relay sendgrid: localhost:PORT shows a certificate that is not valid for it (ERR_TLS_CERT_ALTNAME_INVALID) → Correct SENDGRID_API_URL; if it is right, something intercepts the connection, perhaps a proxy of your own.",
      ]
    `)
    expect(authorizations).toEqual([])
  })

  it('and says that nobody is there', async () => {
    expect(
      lines(await examine({ env: only(await freePort()), zone, selectors: [] }), 'bad'),
    ).toMatchInlineSnapshot(`
      [
        "relay sendgrid: localhost:PORT cannot be reached (ECONNREFUSED) → Check SENDGRID_API_URL, and whether outgoing HTTPS is open here.",
      ]
    `)
  })

  it('and only warns when SPF leaves it out and its keys are there: bounces may have a subdomain', async () => {
    const { port } = await sendGrid()
    const without = { ...zone, [domain]: { ...zone[domain], TXT: ['v=spf1 mx ~all'] } }
    const findings = await examine({ env: only(port), zone: without, selectors: [] })
    expect(lines(findings, 'bad')).toEqual([])
    expect(lines(findings, 'warn')).toMatchInlineSnapshot(`
      [
        "domain mail.example.com: SPF does not include SendGrid (sendgrid.net) → Nothing, when SendGrid returns bounces to a subdomain of its own (em….mail.example.com). Else: Add include:sendgrid.net to the SPF record of mail.example.com.",
      ]
    `)
  })

  it('and asks for its DKIM keys', async () => {
    const { port } = await sendGrid()
    const without = { ...zone, [`s1._domainkey.${domain}`]: undefined }
    const findings = await examine({ env: only(port), zone: without, selectors: [] })
    expect(lines(findings, 'bad')).toMatchInlineSnapshot(`
      [
        "domain mail.example.com: no DKIM key of SendGrid (s1._domainkey.mail.example.com, s2._domainkey.mail.example.com) → Authenticate mail.example.com at SendGrid and add the records it shows, or name the selector: --dkim-selector",
      ]
    `)
  })

  it('beside MailerToGo, each with its own line of SPF and DMARC', async () => {
    const { port } = await sendGrid()
    const both = {
      ...zone,
      [domain]: { ...zone[domain], TXT: ['v=spf1 include:_spf.mailertogo.net include:sendgrid.net -all'] },
    }
    const { options } = await deployment({
      zone: both,
      env: { SENDGRID_API_KEY: apiKey, SENDGRID_API_URL: `https://localhost:${port}` },
    })
    const said = lines(await examineDeployment(options), 'ok')
    for (const line of [
      'SPF includes MailerToGo',
      'SPF includes SendGrid',
      'mails by MailerToGo pass DMARC by SPF and DKIM',
      'mails by SendGrid pass DMARC by SPF and DKIM',
    ])
      expect(said).toContain(`domain ${domain}: ${line}`)
  })
})
