/** Owns Resend's email API as a relay: how a mail is told, and what an answer means. */
import { joinBody, type Message, type Transport } from '../message.ts'
import { oneLine } from '../mime/mime.ts'
import type { ResendRelayConfig } from '../relay-config.ts'
import { type ApiAnswer, fieldOf, meaningBy, type MeaningRow } from './api-answer.ts'
import { apiHeaders, quotedMailbox, recipientName } from './api-mail.ts'
import { httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface ResendOptions extends HttpsRelayOptions, Pick<ResendRelayConfig, 'apiKey'> {}

/** Sources: [E] resend.com/docs/api-reference/errors, [I] resend.com/docs/dashboard/emails/idempotency-keys. `code`: `name`. */
const rows: readonly MeaningRow[] = [
  { status: 200, means: ['sent', 'accepted'] },
  { code: 'missing_api_key', means: ['deferred', 'login'] }, // [E] 401
  { code: 'restricted_api_key', means: ['deferred', 'login'] }, // [E] 401
  { code: 'invalid_api_key', means: ['deferred', 'login'] }, // [E] 403
  { status: 403, says: /only send testing emails/i, means: ['refused', 'relay_denied'] }, // [E] validation_error
  { status: 403, says: /not verified/i, means: ['refused', 'sender'] }, // [E] validation_error
  { code: 'invalid_from_address', means: ['refused', 'sender'] }, // [E] 422
  { code: 'validation_error', says: /`to`/, means: ['refused', 'recipient'] }, // [E] 400, 422
  { code: 'validation_error', says: /`from`/, means: ['refused', 'sender'] }, // [E] 400, 422
  { code: 'invalid_idempotent_request', means: ['sent', 'accepted'] }, // [E] 409 [I] this mail was sent before, in other words
  { code: 'concurrent_idempotent_requests', means: ['unknown', 'unavailable'] }, // [E] 409: the first one is on its way
  { code: 'daily_quota_exceeded', means: ['deferred', 'quota'] }, // [E] 429
  { code: 'monthly_quota_exceeded', means: ['deferred', 'quota'] }, // [E] 429
  { code: 'rate_limit_exceeded', means: ['deferred', 'too_many'] }, // [E] 429
  { code: 'security_error', means: ['deferred', 'policy'] }, // [E] 451
  { status: 422, means: ['refused', 'message'] }, // [E]
  { status: 500, means: ['unknown', 'unavailable'] }, // [E] application_error
]

export function resendTransport(options: ResendOptions): Transport {
  const login = { authorization: `Bearer ${options.apiKey}`, 'content-type': 'application/json' }
  const meaningOf = (answer: ApiAnswer) => meaningBy(rows, answer, fieldOf(answer.body, 'name'))
  return httpsRelay(
    {
      path: '/emails',
      // the key of a mail is its id: for 24 hours Resend sends it once
      write: (message) => ({
        headers: { ...login, 'idempotency-key': message.id },
        body: JSON.stringify(mailOf(message)),
      }),
      meaningOf,
      knowsRepeats: true,
      question: () => ({ method: 'GET', path: '/domains', headers: login }),
      troubleIn(answer) {
        // a key that may only send is the better one, and may not ask
        if (fieldOf(answer.body, 'name') === 'restricted_api_key') return undefined
        const { outcome, reason } = meaningOf(answer)
        return outcome === 'sent' || reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )
}

/** Clicks and opens are tracked by domain there, and only when its owner asks for that: the doctor looks. */
function mailOf(message: Message): unknown {
  return {
    from: quotedMailbox(message.from),
    to: [quotedMailbox({ name: recipientName(message), address: message.to.address })],
    ...(message.replyTo && { reply_to: message.replyTo }),
    subject: oneLine(message.subject),
    text: message.text,
    html: joinBody(message.html),
    headers: apiHeaders(message),
    // comes back in Resend's webhooks
    tags: [{ name: 'mail', value: message.id }],
  }
}
