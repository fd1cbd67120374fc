/** Owns the words of SendGrid's Web API, v3: how a message is told, and what an answer means. */
import type { IncomingMessage } from 'node:http'
import { automatic, messageId, oneLine } from '../mime/mime.ts'
import { joinBody, type Message, type Outcome, type RelayReason } from '../message.ts'

const maxRetryAfterMs = 3_600_000

/** What a status says about the mail. 502 and 504 are a gateway's: the API behind it may have taken the mail. */
export function meaningOf(status: number): { outcome: Outcome; reason: RelayReason } {
  if (status === 202) return { outcome: 'sent', reason: 'accepted' }
  if (status === 400 || status === 413) return { outcome: 'refused', reason: 'message' }
  if (status === 401 || status === 403) return { outcome: 'deferred', reason: 'login' }
  if (status === 429) return { outcome: 'deferred', reason: 'too_many' }
  if (status === 502 || status === 504) return { outcome: 'unknown', reason: 'unavailable' }
  if (status >= 500) return { outcome: 'deferred', reason: 'unavailable' }
  // 200 is the sandbox's: valid, but not sent. Anything else is not this API
  return { outcome: status > 200 && status < 300 ? 'unknown' : 'deferred', reason: 'protocol' }
}

/** Retry-After, else the end of the window that SendGrid names with a 429; a second to an hour from now. */
export function waitAskedFor({ headers, statusCode }: IncomingMessage, now: number): number | undefined {
  const reset = String(headers['x-ratelimit-reset'])
  const windowEnd = statusCode === 429 && /^\d{10}$/.test(reset) ? Number(reset) * 1_000 - now : undefined
  const wait = retryAfterMs(headers['retry-after'], now) ?? windowEnd
  return wait === undefined ? undefined : Math.min(Math.max(wait, 1_000), maxRetryAfterMs)
}

/** RFC 9110 10.2.3: seconds or a date. */
function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  const date = value.endsWith('GMT') ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : date - now
}

/** The body of `POST /v3/mail/send`. SendGrid wants text before HTML, and rewrites links unless told not to. */
export function mailOf(message: Message): unknown {
  const off = { enable: false }
  return {
    personalizations: [{ to: [recipientOf(message)] }],
    from: named(message.from.address, message.from.name),
    ...(message.replyTo && { reply_to: { email: message.replyTo } }),
    subject: oneLine(message.subject),
    content: [
      { type: 'text/plain', value: message.text },
      { type: 'text/html', value: joinBody(message.html) },
    ],
    headers: {
      'Message-ID': messageId(message),
      'Content-Language': message.locale,
      'X-Entity-Ref-ID': message.id,
      ...automatic,
    },
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

/** SendGrid does not quote a recipient's name: a comma in it would begin another address. Such a name stays away. */
function recipientOf({ to }: Message): { email: string; name?: string } {
  return /^[\p{L}\p{M}\p{N} '’_-]+$/u.test(to.name) ? named(to.address, to.name) : { email: to.address }
}

function named(email: string, name: string): { email: string; name?: string } {
  return name === '' ? { email } : { email, name: oneLine(name) }
}
