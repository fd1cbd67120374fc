/** What each API is told of a mail, and what its documented answers mean; what all relays promise is in contract.test.ts. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { joinBody, type Message, type Transport } from '../../src/message.ts'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import { brevoTransport } from '../../src/transport/brevo.ts'
import { mailgunTransport } from '../../src/transport/mailgun.ts'
import { postmarkTransport } from '../../src/transport/postmark.ts'
import { resendTransport } from '../../src/transport/resend.ts'
import { sesTransport } from '../../src/transport/ses.ts'
import { brevoError, brevoServer } from '../support/brevo.ts'
import { type ApiAct, type ApiServer, trustStandIns } from '../support/https-api.ts'
import { mailgunError, mailgunServer } from '../support/mailgun.ts'
import { sampleMessage } from '../support/messages.ts'
import { postmarkError, postmarkServer } from '../support/postmark.ts'
import { resendError, resendServer } from '../support/resend.ts'
import { sesCredentials, sesError, sesRegion, sesServer } from '../support/ses.ts'

let buildMime: BuildMime
beforeAll(async () => {
  trustStandIns()
  buildMime = await mimeBuilder()
})

/** An API, and the transport to it with the right credentials. */
interface Pair<Mail> {
  readonly server: ApiServer<Mail>
  readonly transport: Transport
}
async function pair<Mail>(
  opening: Promise<ApiServer<Mail>>,
  transportTo: (place: { name: string; baseUrl: string }) => Transport,
): Promise<Pair<Mail>> {
  const server = await opening
  onTestFinished(() => server.close())
  const transport = transportTo({ name: 'relay', baseUrl: server.url })
  onTestFinished(() => transport.close())
  return { server, transport }
}

const ses = (...options: Parameters<typeof sesServer>) =>
  pair(sesServer(...options), (place) =>
    sesTransport({
      ...place,
      region: sesRegion,
      credentials: sesCredentials,
      configurationSet: 'mails',
      buildMime,
    }),
  )
const postmark = (...options: Parameters<typeof postmarkServer>) =>
  pair(postmarkServer(...options), (place) =>
    postmarkTransport({ ...place, serverToken: 'server-token', messageStream: 'outbound' }),
  )
const mailgun = (...options: Parameters<typeof mailgunServer>) =>
  pair(mailgunServer(...options), (place) =>
    mailgunTransport({ ...place, apiKey: 'key-test', domain: 'mg.example.com', buildMime }),
  )
const resend = (...options: Parameters<typeof resendServer>) =>
  pair(resendServer(...options), (place) => resendTransport({ ...place, apiKey: 're_test' }))
const brevo = (...options: Parameters<typeof brevoServer>) =>
  pair(brevoServer(...options), (place) => brevoTransport({ ...place, apiKey: 'xkeysib-test' }))

const message = sampleMessage({ id: 'key-1', locale: 'de', replyTo: 'help@example.com' })
const headers = {
  'Message-ID': '<key-1@mail.example.com>',
  'Content-Language': 'de',
  'X-Entity-Ref-ID': 'key-1',
  'Auto-Submitted': 'auto-generated',
  'X-Auto-Response-Suppress': 'All',
}
const bodies = { text: message.text, html: joinBody(message.html) }

async function taken<Mail>(
  { server, transport }: Pair<Mail>,
  mail: Message = message,
): Promise<Mail | undefined> {
  const receipt = await transport.send(mail)
  expect(receipt).toMatchObject({ outcome: 'sent', reason: 'accepted' })
  return server.mails[0]
}

describe('a mail', () => {
  it('goes to SES as our own MIME, with our id as a tag', async () => {
    const mail = await taken(await ses())
    expect(mail).toMatchObject({
      FromEmailAddress: 'noreply@mail.example.com',
      Destination: { ToAddresses: ['ada@example.com'] },
      EmailTags: [{ Name: 'mail', Value: 'key-1' }],
      ConfigurationSetName: 'mails',
    })
    expect(mail?.source).toBe(buildMime(message).toString())
  })

  it('goes to Postmark with our id as metadata, under our Message-ID, with nothing tracked', async () => {
    expect(await taken(await postmark())).toEqual({
      From: '"Example" <noreply@mail.example.com>',
      To: '"Ada" <ada@example.com>',
      ReplyTo: 'help@example.com',
      Subject: message.subject,
      TextBody: bodies.text,
      HtmlBody: bodies.html,
      MessageStream: 'outbound',
      Metadata: { mail: 'key-1' },
      Headers: Object.entries({ ...headers, 'X-PM-KeepID': 'true' }).map(([Name, Value]) => ({
        Name,
        Value,
      })),
      TrackOpens: false,
      TrackLinks: 'None',
    })
  })

  it('goes to Mailgun as our own MIME, with our id as a variable and nothing tracked', async () => {
    expect(await taken(await mailgun())).toEqual({
      fields: { to: 'ada@example.com', 'o:tracking': 'no', 'v:mail': 'key-1' },
      source: buildMime(message).toString('latin1'),
    })
  })

  it('goes to Resend with our id as a tag and as the key that stops repeats', async () => {
    const relay = await resend()
    expect(await taken(relay)).toEqual({
      from: '"Example" <noreply@mail.example.com>',
      to: ['"Ada" <ada@example.com>'],
      reply_to: 'help@example.com',
      subject: message.subject,
      ...bodies,
      headers,
      tags: [{ name: 'mail', value: 'key-1' }],
    })
    expect(relay.server.requests[0]?.headers['idempotency-key']).toBe('key-1')
  })

  it('goes to Brevo with our id as its tag', async () => {
    expect(await taken(await brevo())).toEqual({
      sender: { email: 'noreply@mail.example.com', name: 'Example' },
      to: [{ email: 'ada@example.com', name: 'Ada' }],
      replyTo: { email: 'help@example.com' },
      subject: message.subject,
      textContent: bodies.text,
      htmlContent: bodies.html,
      headers,
      tags: ['key-1'],
    })
  })

  it.each([
    ['Ada, eve@evil.example', '"Ada"', 'Ada <eve@evil.example>', 'Ada\r\nBcc: eve@evil.example', '\\"'],
  ])('has one recipient and one sender, whatever their names are', async (...names) => {
    for (const name of names) {
      const hostile = sampleMessage({
        to: { name, address: 'ada@example.com' },
        from: { name, address: 'noreply@mail.example.com' },
      })
      const quoted = expect.stringMatching(
        /^(?:"[^"\\<>\r\n]+" <noreply@mail\.example\.com>|noreply@mail\.example\.com)$/,
      )
      expect(await taken(await postmark(), hostile)).toMatchObject({ To: 'ada@example.com', From: quoted })
      expect(await taken(await resend(), hostile)).toMatchObject({ to: ['ada@example.com'], from: quoted })
      expect(await taken(await brevo(), hostile)).toMatchObject({ to: [{ email: 'ada@example.com' }] })
    }
  })
})

const not = (status: number): ApiAct => ({ status })
const tables = {
  ses: [
    [
      sesError(
        400,
        'MessageRejected',
        'Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: ada@example.com',
      ),
      'refused sender',
    ],
    [sesError(400, 'MailFromDomainNotVerifiedException'), 'refused sender'],
    [sesError(400, 'MessageRejected', 'Transaction failed: the message has a virus'), 'refused message'],
    [sesError(400, 'BadRequestException'), 'refused message'],
    [sesError(400, 'BadRequestException', 'Message length is more than 41943040 bytes long'), 'refused size'],
    [sesError(400, 'AccountSuspendedException'), 'deferred policy'],
    [sesError(400, 'SendingPausedException'), 'deferred policy'],
    [sesError(400, 'LimitExceededException'), 'deferred quota'],
    [sesError(404, 'NotFoundException', 'Configuration set <mails> does not exist.'), 'deferred policy'],
    [sesError(429, 'TooManyRequestsException', 'Daily message quota exceeded.'), 'deferred quota'],
    [sesError(429, 'TooManyRequestsException', 'Maximum sending rate exceeded.'), 'deferred too_many'],
    [sesError(403, 'AccessDeniedException'), 'deferred login'],
    [sesError(403, 'SignatureDoesNotMatch'), 'deferred login'],
    [sesError(403, 'ExpiredTokenException'), 'deferred login'],
    [sesError(500, 'InternalFailure'), 'unknown unavailable'],
    [sesError(503, 'ServiceUnavailable'), 'deferred unavailable'],
  ],
  postmark: [
    [postmarkError(401, 10), 'deferred login'],
    [postmarkError(503, 100), 'deferred unavailable'],
    [postmarkError(422, 300), 'refused message'],
    [postmarkError(422, 300, "Invalid 'To' address: 'ada@example.com'."), 'refused recipient'],
    [postmarkError(422, 400), 'refused sender'],
    [postmarkError(422, 401), 'refused sender'],
    [postmarkError(422, 405), 'deferred quota'],
    [postmarkError(422, 406), 'refused recipient'],
    [postmarkError(422, 412), 'deferred policy'],
    [postmarkError(422, 413), 'deferred policy'],
    [postmarkError(429, 429), 'deferred too_many'],
    [not(413), 'refused size'],
    [not(500), 'unknown unavailable'],
  ],
  mailgun: [
    [
      mailgunError(400, 'to parameter is not a valid address. please check documentation'),
      'refused recipient',
    ],
    [mailgunError(400, 'from parameter is not a valid address'), 'refused sender'],
    [mailgunError(400, 'message parameter is missing'), 'refused message'],
    [
      mailgunError(
        403,
        'Domain mg.example.com is not allowed to send: Sandbox subdomains are for test purposes only. Please add your own domain or add the address to authorized recipients in Account Settings.',
      ),
      'refused relay_denied',
    ],
    [
      mailgunError(
        403,
        'Domain mg.example.com is not allowed to send: The domain is unverified and requires DNS configuration.',
      ),
      'refused sender',
    ],
    [
      mailgunError(
        403,
        'Domain mg.example.com is not allowed to send: recipient limit exceeded, try again after 1 hour',
      ),
      'deferred quota',
    ],
    [mailgunError(400, 'Please activate your Mailgun account.'), 'deferred policy'],
    [{ status: 401, body: 'Forbidden' }, 'deferred login'],
    [mailgunError(402), 'deferred policy'],
    [mailgunError(404, 'Domain not found: mg.example.com'), 'deferred login'],
    [not(413), 'refused size'],
    [not(429), 'deferred too_many'],
    [not(500), 'unknown unavailable'],
  ],
  resend: [
    [resendError(401, 'missing_api_key'), 'deferred login'],
    [resendError(403, 'invalid_api_key'), 'deferred login'],
    [
      resendError(
        403,
        'validation_error',
        'The example.com domain is not verified. Please, add and verify your domain.',
      ),
      'refused sender',
    ],
    [
      resendError(
        403,
        'validation_error',
        'You can only send testing emails to your own email address (owner@example.com).',
      ),
      'refused relay_denied',
    ],
    [
      resendError(
        422,
        'validation_error',
        'Invalid `to` field. The email address needs to follow the `email@example.com` format.',
      ),
      'refused recipient',
    ],
    [resendError(422, 'missing_required_field'), 'refused message'],
    [resendError(409, 'invalid_idempotent_request'), 'sent accepted'],
    [resendError(409, 'concurrent_idempotent_requests'), 'unknown unavailable'],
    [resendError(429, 'daily_quota_exceeded'), 'deferred quota'],
    [resendError(429, 'rate_limit_exceeded'), 'deferred too_many'],
    [resendError(451, 'security_error'), 'deferred policy'],
    [resendError(500, 'application_error'), 'unknown unavailable'],
  ],
  brevo: [
    [brevoError(400, 'invalid_parameter', 'email is not valid in to'), 'refused recipient'],
    [
      brevoError(
        400,
        'invalid_parameter',
        'Sending has been rejected because the sender you used noreply@mail.example.com is not valid.',
      ),
      'refused sender',
    ],
    [brevoError(400, 'missing_parameter'), 'refused message'],
    [brevoError(401, 'unauthorized'), 'deferred login'],
    [brevoError(402, 'not_enough_credits'), 'deferred quota'],
    [
      brevoError(403, 'permission_denied', 'Unable to send email. Your SMTP account is not yet activated.'),
      'deferred policy',
    ],
    [not(413), 'refused size'],
    [not(429), 'deferred too_many'],
    [not(500), 'unknown unavailable'],
  ],
} satisfies Record<string, [ApiAct, string][]>
const relays = { ses, postmark, mailgun, resend, brevo }

describe.each(Object.keys(tables) as (keyof typeof tables)[])('what %s answers', (name) => {
  it.each(tables[name].map(([reply, means]) => [JSON.stringify(reply).slice(0, 160), means, reply] as const))(
    '%s: %s',
    async (_title, means, reply) => {
      const { transport } = await relays[name]({ body: () => reply })
      const receipt = await transport.send(sampleMessage())
      expect(`${receipt.outcome} ${receipt.reason}`).toBe(means)
      expect(JSON.stringify(receipt)).not.toContain('example.com')
    },
  )
})

describe('the question whether we are let in', () => {
  it.each([
    ['SES: yes', () => ses(), undefined],
    ['SES: a user that may only send', () => ses({}, { maySendOnly: true }), undefined],
    ['SES: another secret', () => ses({}, { secretAccessKey: 'another' }), 'login'],
    ['Postmark: yes', () => postmark(), undefined],
    ['Postmark: another token', () => postmark({}, { serverToken: 'another' }), 'login'],
    ['Mailgun: yes', () => mailgun(), undefined],
    ['Mailgun: a sending key', () => mailgun({}, { maySendOnly: true }), undefined],
    ['Mailgun: another key', () => mailgun({}, { apiKey: 'another' }), 'login'],
    ['Mailgun: another domain', () => mailgun({}, { domain: 'other.example.com' }), 'login'],
    ['Resend: yes', () => resend(), undefined],
    ['Resend: a key that may only send', () => resend({}, { maySendOnly: true }), undefined],
    ['Resend: another key', () => resend({}, { apiKey: 'another' }), 'login'],
    ['Brevo: yes', () => brevo(), undefined],
    ['Brevo: another key', () => brevo({}, { apiKey: 'another' }), 'login'],
  ] as [string, () => Promise<Pair<unknown>>, string | undefined][])('%s', async (_title, open, trouble) => {
    const { server, transport } = await open()
    expect(await transport.check()).toBe(trouble)
    expect(server.questions).toHaveLength(1)
    expect(server.mails).toEqual([])
  })
})

describe('Resend knows a mail that it gets twice', () => {
  it('taken, and cut before the answer: repeated at once, and one mail', async () => {
    const { server, transport } = await resend({ body: (count) => (count === 1 ? 'take' : undefined) })
    expect(await transport.send(message)).toMatchObject({ outcome: 'sent' })
    expect(server.mails).toHaveLength(1)
    expect(server.requests).toHaveLength(2)
  })

  it('in other words: it has been sent', async () => {
    const { server, transport } = await resend()
    await transport.send(message)
    expect(await transport.send({ ...message, text: 'Another text\n' })).toMatchObject({ outcome: 'sent' })
    expect(server.mails).toHaveLength(1)
  })

  it.each(['reset', 'close', { status: 502 }] as const)('ended by %o: repeated at once', async (act) => {
    const { server, transport } = await resend({ body: (count) => (count === 1 ? act : undefined) })
    expect(await transport.send(message)).toMatchObject({ outcome: 'sent' })
    expect(server.mails).toHaveLength(1)
  })
})
