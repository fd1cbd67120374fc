/** Owns Mailgun's messages API as a relay: our own MIME in a form, and what an answer means. */
import { randomBytes } from 'node:crypto'
import type { Message, Transport } from '../message.ts'
import type { BuildMime } from '../mime/mime.ts'
import type { MailgunRelayConfig } from '../relay-config.ts'
import { meaningBy, type MeaningRow } from './api-answer.ts'
import { httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface MailgunOptions extends HttpsRelayOptions, Pick<MailgunRelayConfig, 'apiKey' | 'domain'> {
  readonly buildMime: BuildMime
}

/**
 * Sources: [R] documentation.mailgun.com, "API Response Codes", [M] POST /v3/{domain}/messages.mime there, [D] help.mailgun.com
 * on sandbox domains, [A] there on disabled accounts. Mailgun has no codes of its own, only sentences.
 */
const rows: readonly MeaningRow[] = [
  { status: 200, means: ['sent', 'accepted'] }, // [M]
  { says: /authorized recipients/i, means: ['refused', 'relay_denied'] }, // [D] 400, 403: a sandbox, or a trial account
  { says: /limit (?:exceeded|reached)|exceeded .*limit/i, means: ['deferred', 'quota'] }, // [A] 400, 403, 429: of an hour, a day, a month
  { says: /\b(?:disabled|suspended|activate|verification)\b/i, means: ['deferred', 'policy'] }, // [A] 400, 403: the account or domain
  { says: /not allowed to send/i, means: ['refused', 'sender'] }, // [D] 403: the domain is not verified
  { status: 400, says: /\bto parameter/i, means: ['refused', 'recipient'] }, // [M]
  { status: 400, says: /\bfrom parameter/i, means: ['refused', 'sender'] }, // [M]
  { status: 400, means: ['refused', 'message'] }, // [R]
  { status: 401, means: ['deferred', 'login'] }, // [R]
  { status: 402, means: ['deferred', 'policy'] }, // [R] the parameters were right, the request failed
  { status: 403, means: ['deferred', 'login'] }, // [R]
  { status: 404, means: ['deferred', 'login'] }, // [R] the domain is not of this account, or of the other region
  { status: 413, means: ['refused', 'size'] }, // [M] more than 25 MB
  { status: 429, means: ['deferred', 'too_many'] }, // [R]
  { status: 500, means: ['unknown', 'unavailable'] }, // [R]
]

export function mailgunTransport(options: MailgunOptions): Transport {
  const { apiKey, domain, buildMime } = options
  const path = `/v3/${domain}/messages.mime`
  const authorization = `Basic ${Buffer.from(`api:${apiKey}`).toString('base64')}`
  return httpsRelay(
    {
      path,
      write(message) {
        const { type, body } = formOf(message, buildMime(message))
        return { headers: { authorization, 'content-type': type }, body }
      },
      meaningOf: (answer) => meaningBy(rows, answer),
      // a key that may only send is allowed no other question: a mail without recipient and text is not sent
      question: () => ({ method: 'POST', path, headers: { authorization } }),
      troubleIn(answer) {
        const { reason } = meaningBy(rows, answer)
        return answer.status === 400 || reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )
}

/** multipart/form-data; random bytes in the boundary, so that no mail can hold it. */
function formOf(message: Message, mime: Buffer): { type: string; body: Buffer } {
  const boundary = `mail-${randomBytes(16).toString('hex')}`
  // `v:mail` comes back in Mailgun's webhooks
  const fields = { to: message.to.address, 'o:tracking': 'no', 'v:mail': message.id }
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  )
  const file = `--${boundary}\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\nContent-Type: message/rfc822\r\n\r\n`
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    body: Buffer.concat([Buffer.from(parts.join('') + file), mime, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  }
}
