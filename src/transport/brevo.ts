/** Owns Brevo's transactional email API as a relay: how a mail is told, and what an answer means. */
import { joinBody, type Message, type Transport } from '../message.ts'
import { oneLine } from '../mime/mime.ts'
import type { BrevoRelayConfig } from '../relay-config.ts'
import { type ApiAnswer, fieldOf, meaningBy, type MeaningRow } from './api-answer.ts'
import { apiHeaders, namedMailbox, recipientName } from './api-mail.ts'
import { httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface BrevoOptions extends HttpsRelayOptions, Pick<BrevoRelayConfig, 'apiKey'> {}

/**
 * Sources: [T] developers.brevo.com/reference/sendtransacemail, [H] developers.brevo.com/docs/how-it-works ("HTTP status codes"
 * and "Error codes"), [L] developers.brevo.com/docs/api-limits. `code`: `code`.
 */
const rows: readonly MeaningRow[] = [
  { status: 201, means: ['sent', 'accepted'] }, // [T]
  { status: 202, means: ['sent', 'accepted'] }, // [T] to be sent a little later
  { code: 'not_enough_credits', means: ['deferred', 'quota'] }, // [H] 400, 402
  { status: 402, means: ['deferred', 'quota'] }, // [H]
  { code: 'permission_denied', means: ['deferred', 'policy'] }, // [H] 403: the account is not activated for this
  { code: 'unauthorized', means: ['deferred', 'login'] }, // [H] 401: the key, or our address is not on its list
  { status: 400, says: /\bsender\b/i, means: ['refused', 'sender'] }, // [T]
  { code: 'invalid_parameter', says: /\bin to\b/i, means: ['refused', 'recipient'] }, // [T] "email is not valid in to"
  { status: 400, means: ['refused', 'message'] }, // [H]
  { status: 413, means: ['refused', 'size'] }, // [T]
  { status: 429, means: ['deferred', 'too_many'] }, // [L]
  { status: 500, means: ['unknown', 'unavailable'] }, // [H]
]

export function brevoTransport(options: BrevoOptions): Transport {
  const headers = { 'api-key': options.apiKey, 'content-type': 'application/json' }
  const meaningOf = (answer: ApiAnswer) => meaningBy(rows, answer, fieldOf(answer.body, 'code'))
  return httpsRelay(
    {
      path: '/v3/smtp/email',
      write: (message) => ({ headers, body: JSON.stringify(mailOf(message)) }),
      meaningOf,
      windowEnd,
      question: () => ({ method: 'GET', path: '/v3/account', headers }),
      troubleIn(answer) {
        if (answer.status === 200) return undefined
        const { reason } = meaningOf(answer)
        return reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )

  /** With a 429 Brevo names the seconds until its window ends [L]. */
  function windowEnd({ status, headers: received }: ApiAnswer): number | undefined {
    const seconds = String(received['x-sib-ratelimit-reset'])
    return status === 429 && /^\d{1,6}$/.test(seconds)
      ? (options.epoch ?? Date.now)() + Number(seconds) * 1_000
      : undefined
  }
}

/**
 * Clicks and opens are tracked by account there, and no field of a request turns that off. Brevo's `idempotencyKey` is
 * not used: within its quarter of an hour a mail that was put off would count as a repeat.
 */
function mailOf(message: Message): unknown {
  return {
    sender: namedMailbox(message.from),
    to: [namedMailbox({ name: recipientName(message), address: message.to.address })],
    ...(message.replyTo && { replyTo: { email: message.replyTo } }),
    subject: oneLine(message.subject),
    textContent: message.text,
    htmlContent: joinBody(message.html),
    headers: apiHeaders(message),
    // comes back in Brevo's webhooks
    tags: [message.id],
  }
}
