/** Owns SendGrid's Web API, v3, as a relay: how a mail is told, and what an answer means. */
import { joinBody, type Message, type Transport } from '../message.ts'
import { oneLine } from '../mime/mime.ts'
import type { SendgridRelayConfig } from '../relay-config.ts'
import { type ApiAnswer, meaningBy, type MeaningRow } from './api-answer.ts'
import { apiHeaders, namedMailbox, recipientName } from './api-mail.ts'
import { httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface SendgridOptions extends HttpsRelayOptions, Pick<SendgridRelayConfig, 'apiKey'> {}

/**
 * Sources: [E] docs/sendgrid/api-reference/mail-send/errors at twilio.com, [R] …/how-to-use-the-sendgrid-v3-api/responses
 * there, [S] "Sender Identity" there, [C] support.sendgrid.com on credits.
 */
const rows: readonly MeaningRow[] = [
  { status: 202, means: ['sent', 'accepted'] }, // [R]
  { status: 200, means: ['deferred', 'protocol'] }, // [R] the sandbox's: valid, but not sent
  { status: 400, says: /personalizations\.0\.to/, means: ['refused', 'recipient'] }, // [E]
  { status: 400, means: ['refused', 'message'] }, // [E]
  { says: /verified Sender Identity/i, means: ['refused', 'sender'] }, // [S] 403
  { says: /Maximum credits exceeded/i, means: ['deferred', 'quota'] }, // [C] 401
  { status: 401, means: ['deferred', 'login'] }, // [R]
  { status: 403, means: ['deferred', 'login'] }, // [R]
  { status: 413, means: ['refused', 'size'] }, // [R] 30 MB
  { status: 429, means: ['deferred', 'too_many'] }, // [R]
  { status: 500, means: ['deferred', 'unavailable'] }, // [R]
  { status: 502, means: ['unknown', 'unavailable'] }, // a gateway: the API behind it may have taken the mail
  { status: 503, means: ['deferred', 'unavailable'] }, // [R]
  { status: 504, means: ['unknown', 'unavailable'] },
]

export function sendgridTransport(options: SendgridOptions): Transport {
  const headers = { authorization: `Bearer ${options.apiKey}`, 'content-type': 'application/json' }
  return httpsRelay(
    {
      path: '/v3/mail/send',
      write: (message) => ({ headers, body: JSON.stringify(mailOf(message)) }),
      meaningOf: (answer) => meaningBy(rows, answer),
      windowEnd,
      // what the key may do
      question: () => ({ method: 'GET', path: '/v3/scopes', headers }),
      troubleIn(answer) {
        if (answer.status === 200) return undefined
        const { reason } = meaningBy(rows, answer)
        return reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )
}

/** The end of the window that SendGrid names with a 429, in epoch seconds. */
function windowEnd({ status, headers }: ApiAnswer): number | undefined {
  const reset = String(headers['x-ratelimit-reset'])
  return status === 429 && /^\d{10}$/.test(reset) ? Number(reset) * 1_000 : undefined
}

/** The body of `POST /v3/mail/send`. SendGrid wants text before HTML, and rewrites links unless told not to. */
function mailOf(message: Message): unknown {
  const off = { enable: false }
  return {
    personalizations: [{ to: [namedMailbox({ name: recipientName(message), address: message.to.address })] }],
    from: namedMailbox(message.from),
    ...(message.replyTo && { reply_to: { email: message.replyTo } }),
    subject: oneLine(message.subject),
    content: [
      { type: 'text/plain', value: message.text },
      { type: 'text/html', value: joinBody(message.html) },
    ],
    headers: apiHeaders(message),
    // comes back in SendGrid's event webhook
    custom_args: { mail: message.id },
    tracking_settings: {
      click_tracking: { enable: false, enable_text: false },
      open_tracking: off,
      subscription_tracking: off,
      ganalytics: off,
    },
  }
}
