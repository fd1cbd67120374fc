/** The doctor before the APIs of relays; what it says of SendGrid is in sendgrid.test.ts. */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Level } from '../../../src/doctor/finding.ts'
import { brevoServer } from '../../support/brevo.ts'
import type { ApiServer } from '../../support/https-api.ts'
import { mailgunServer } from '../../support/mailgun.ts'
import { freePort } from '../../support/port.ts'
import { postmarkError, postmarkServer } from '../../support/postmark.ts'
import { resendServer } from '../../support/resend.ts'
import { sesCredentials, sesError, sesRegion, sesServer } from '../../support/ses.ts'
import { examine, lines } from '../healthy-deployment.ts'

const noSmtp: NodeJS.ProcessEnv = {
  MAILERTOGO_SMTP_HOST: undefined,
  MAILERTOGO_SMTP_PORT: undefined,
  MAILERTOGO_SMTP_USER: undefined,
  MAILERTOGO_SMTP_PASSWORD: undefined,
}

/** What the doctor says of the one relay, by level. */
async function findingsOf(
  env: Record<string, string>,
  opening: Promise<ApiServer<unknown>>,
  sendTo?: string,
): Promise<string[]> {
  const server = await opening
  onTestFinished(() => server.close())
  const variable = Object.keys(env).find((name) => name.endsWith('_API_URL'))
  const found = await examine({
    env: { ...noSmtp, ...env, [variable!]: server.url },
    ...(sendTo && { sendTo }),
  })
  const says = (level: Level) =>
    lines(found, level)
      .filter((line) => line.startsWith('relay '))
      .map((line) => `${level} ${line}`)
  const text = JSON.stringify(found)
  for (const [name, value] of Object.entries(env))
    if (/KEY$|TOKEN/.test(name)) expect(text).not.toContain(value)
  expect(lines(found, 'ok').some((line) => line.startsWith('clock: agrees with'))).toBe(true)
  return [...says('bad'), ...says('warn'), ...says('ok')]
}

const ses = {
  SES_REGION: sesRegion,
  SES_API_URL: '',
  AWS_ACCESS_KEY_ID: sesCredentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: sesCredentials.secretAccessKey,
}
const postmark = { POSTMARK_SERVER_TOKEN: 'server-token', POSTMARK_API_URL: '' }
const mailgun = { MAILGUN_API_KEY: 'key-test', MAILGUN_DOMAIN: 'mg.example.com', MAILGUN_API_URL: '' }
const resend = { RESEND_API_KEY: 're_test', RESEND_API_URL: '' }
const brevo = { BREVO_API_KEY: 'xkeysib-test', BREVO_API_URL: '' }

describe('the doctor finds everything well, and its test mail is taken:', () => {
  it.each([
    ['ses', ses, () => sesServer()],
    ['postmark', postmark, () => postmarkServer()],
    ['mailgun', mailgun, () => mailgunServer()],
    ['resend', resend, () => resendServer()],
    ['brevo', brevo, () => brevoServer()],
  ] as [string, Record<string, string>, () => Promise<ApiServer<unknown>>][])(
    '%s',
    async (name, env, open) => {
      const found = await findingsOf(env, open(), 'ada@example.org')
      expect(found.filter((line) => !line.startsWith('ok '))).toEqual([])
      expect(found).toContain(`ok relay ${name}: localhost:PORT answers over TLS`)
      expect(found.at(-1)).toContain(`relay ${name}: took a mail to ada@example.org`)
    },
  )
})

describe('the doctor says what is wrong with', () => {
  it('SES: sandbox, stopped, a used-up quota, a domain that is not verified', async () => {
    const account = {
      ProductionAccessEnabled: false,
      SendingEnabled: false,
      SendQuota: { Max24HourSend: 200, MaxSendRate: 1, SentLast24Hours: 199 },
    }
    expect(
      await findingsOf(ses, sesServer({}, { account, verified: ['other.example'] })),
    ).toMatchInlineSnapshot(`
      [
        "bad relay ses: SES has stopped the sending of this account in eu-central-1 → Read the mails and the support cases of AWS.",
        "bad relay ses: neither mail.example.com nor a domain above it is verified in eu-central-1 → Verify mail.example.com there and add the DKIM records that SES shows, unless the address itself is verified.",
        "warn relay ses: the account is in the sandbox of eu-central-1: it sends to verified addresses only → Request production access in the console of SES.",
        "warn relay ses: 199 of 200 mails of the last 24 hours are used → Request a higher quota in the console of SES.",
        "ok relay ses: localhost:PORT answers over TLS",
        "ok relay ses: AWS accepts the credentials",
      ]
    `)
  })

  it('SES: a domain above the sender’s is verified', async () => {
    const found = await findingsOf(ses, sesServer({}, { verified: ['example.com'] }))
    expect(found).toContain('ok relay ses: SES may send for example.com')
  })

  it('the credentials of SES', async () => {
    expect(await findingsOf(ses, sesServer({}, { maySendOnly: true }))).toMatchInlineSnapshot(`
      [
        "warn relay ses: the credentials may not ask for the account: sandbox, quota and domains are not known from here → Allow ses:GetAccount and ses:GetEmailIdentity as well, or look into the console of SES.",
        "ok relay ses: localhost:PORT answers over TLS",
        "ok relay ses: AWS accepts the credentials",
      ]
    `)
    expect(await findingsOf(ses, sesServer({}, { secretAccessKey: 'another' }))).toMatchInlineSnapshot(`
      [
        "bad relay ses: AWS refuses the signature (SignatureDoesNotMatch) → AWS_SECRET_ACCESS_KEY is wrong or belongs to another AWS_ACCESS_KEY_ID, or the clock of this machine is off.",
        "ok relay ses: localhost:PORT answers over TLS",
      ]
    `)
    const unknown = { ...ses, AWS_ACCESS_KEY_ID: 'AKIDUNKNOWN' }
    expect(await findingsOf(unknown, sesServer())).toMatchInlineSnapshot(`
      [
        "bad relay ses: AWS does not know the key (UnrecognizedClientException) → Correct AWS_ACCESS_KEY_ID; temporary credentials need AWS_SESSION_TOKEN too.",
        "ok relay ses: localhost:PORT answers over TLS",
      ]
    `)
    const ended = sesServer({ question: () => sesError(403, 'ExpiredTokenException') })
    expect(await findingsOf(ses, ended)).toMatchInlineSnapshot(`
      [
        "bad relay ses: the temporary credentials have ended → Renew AWS_SESSION_TOKEN and its key.",
        "ok relay ses: localhost:PORT answers over TLS",
      ]
    `)
  })

  it('Postmark: the token, a sandbox, the stream', async () => {
    expect(await findingsOf(postmark, postmarkServer({}, { serverToken: 'another' }))).toMatchInlineSnapshot(`
      [
        "bad relay postmark: the token is wrong or was deleted (401) → Copy a server API token (not the account token) into POSTMARK_SERVER_TOKEN.",
        "ok relay postmark: localhost:PORT answers over TLS",
      ]
    `)
    const other = { ...postmark, POSTMARK_MESSAGE_STREAM: 'letters' }
    const sandbox = postmarkServer({}, { server: { DeliveryType: 'Sandbox' } })
    expect(await findingsOf(other, sandbox)).toMatchInlineSnapshot(`
      [
        "bad relay postmark: the server has no message stream letters → Set POSTMARK_MESSAGE_STREAM to the id that the stream has at Postmark, such as outbound.",
        "warn relay postmark: the server is a sandbox: it takes mails and delivers none → Use the token of a live server for real mails.",
        "ok relay postmark: localhost:PORT answers over TLS",
        "ok relay postmark: the token opens a server",
      ]
    `)
  })

  it('Mailgun: the key, the region, the state of the domain', async () => {
    expect(await findingsOf(mailgun, mailgunServer({}, { apiKey: 'another' }))).toMatchInlineSnapshot(`
      [
        "bad relay mailgun: the key is wrong, or not for this domain (401) → Put an API key or a sending key of the domain into MAILGUN_API_KEY.",
        "ok relay mailgun: localhost:PORT answers over TLS",
      ]
    `)
    expect(await findingsOf(mailgun, mailgunServer({}, { domain: 'other.example' }))).toMatchInlineSnapshot(`
      [
        "bad relay mailgun: Mailgun does not know the domain mg.example.com here (404) → Check MAILGUN_DOMAIN, and the region: domains in the EU need MAILGUN_API_URL=https://api.eu.mailgun.net.",
        "ok relay mailgun: localhost:PORT answers over TLS",
      ]
    `)
    expect(await findingsOf(mailgun, mailgunServer({}, { state: 'unverified' }))).toMatchInlineSnapshot(`
      [
        "bad relay mailgun: the domain mg.example.com is not verified → Open the domain at Mailgun and follow what it says there.",
        "ok relay mailgun: localhost:PORT answers over TLS",
        "ok relay mailgun: the key may send for mg.example.com",
      ]
    `)
    const sending = await findingsOf(mailgun, mailgunServer({}, { maySendOnly: true }))
    expect(sending.filter((line) => !line.startsWith('ok '))).toEqual([])
  })

  it('Resend: the key, the domains, their tracking', async () => {
    expect(await findingsOf(resend, resendServer({}, { apiKey: 'another' }))).toMatchInlineSnapshot(`
      [
        "bad relay resend: the key is wrong or was deleted (403) → Make an API key with "Sending access" and put it into RESEND_API_KEY.",
        "ok relay resend: localhost:PORT answers over TLS",
      ]
    `)
    const pending = [{ name: 'mail.example.com', status: 'pending', click_tracking: true }]
    expect(await findingsOf(resend, resendServer({}, { domains: pending }))).toMatchInlineSnapshot(`
      [
        "bad relay resend: mail.example.com is not verified at Resend → Add mail.example.com at resend.com/domains with the records it shows.",
        "warn relay resend: Resend tracks the mails of mail.example.com → Turn off the tracking of clicks and opens of that domain.",
        "ok relay resend: localhost:PORT answers over TLS",
        "ok relay resend: the key is good",
      ]
    `)
    expect(await findingsOf(resend, resendServer({}, { maySendOnly: true }))).toMatchInlineSnapshot(`
      [
        "ok relay resend: localhost:PORT answers over TLS",
        "ok relay resend: the key may send mail, and nothing else: the domains are not known from here",
      ]
    `)
  })

  it('Brevo: the key, the domains', async () => {
    expect(await findingsOf(brevo, brevoServer({}, { apiKey: 'another' }))).toMatchInlineSnapshot(`
      [
        "bad relay brevo: the key is refused (401) → Put an API key (not an SMTP key) into BREVO_API_KEY, and add our address to the authorised IPs if Brevo asks for it.",
        "ok relay brevo: localhost:PORT answers over TLS",
      ]
    `)
    expect(await findingsOf(brevo, brevoServer({}, { domains: [] }))).toMatchInlineSnapshot(`
      [
        "warn relay brevo: mail.example.com is not authenticated at Brevo → Authenticate mail.example.com at Brevo with the records it shows.",
        "ok relay brevo: localhost:PORT answers over TLS",
        "ok relay brevo: the key is good",
      ]
    `)
  })

  it('a mail that was not taken, in the words of the API, without addresses', async () => {
    const error = postmarkError(422, 406, 'You tried to send to ada@example.org, which is inactive.')
    const found = await findingsOf(postmark, postmarkServer({ body: () => error }), 'ada@example.org')
    expect(found[0]).toMatch(
      /^bad relay postmark: did not take a mail to ada@example.org \(refused: recipient, 422\)/,
    )
    expect(found[0]).toContain(
      'it says: 422 {"ErrorCode":406,"Message":"You tried to send to ***@example.org, which',
    )
  })

  it('an API that has a fault, is another server, or is not there', async () => {
    const answers = (status: number) => () => ({ status })
    expect(await findingsOf(brevo, brevoServer({ question: answers(503) }))).toMatchInlineSnapshot(`
      [
        "bad relay brevo: Brevo has a fault of its own (503) → Look at status.brevo.com and try again.",
        "ok relay brevo: localhost:PORT answers over TLS",
      ]
    `)
    expect(await findingsOf(resend, resendServer({ question: answers(302) }))).toMatchInlineSnapshot(`
      [
        "bad relay resend: the server there is not Resend's API (302) → Check RESEND_API_URL.",
        "ok relay resend: localhost:PORT answers over TLS",
      ]
    `)
    const env = { ...noSmtp, ...ses, SES_API_URL: `https://localhost:${await freePort()}` }
    expect(
      lines(await examine({ env }), 'bad').filter((line) => line.startsWith('relay ')),
    ).toMatchInlineSnapshot(`
      [
        "relay ses: localhost:PORT cannot be reached (ECONNREFUSED) → Check SES_API_URL, and whether outgoing HTTPS is open here.",
      ]
    `)
  })
})
