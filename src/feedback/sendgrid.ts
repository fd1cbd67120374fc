/** Owns what SendGrid reports: its signed Event Webhook, and which of its events means what. */
import { createPublicKey, verify } from 'node:crypto'
import { z } from 'zod'
import { MailerError } from '../errors.ts'
import type { Feedback } from '../feedback.ts'
import {
  aheadMs,
  type FeedbackSettings,
  type FeedbackSource,
  idInMessageId,
  itemsIn,
  repeatedForMs,
} from '../feedback-source.ts'

const text = z.string().optional().catch(undefined)
const eventSchema = z.object({
  event: z.string(),
  /** Our `custom_args`, which SendGrid merges into the event. */
  mail: text,
  'smtp-id': text,
  type: text,
  reason: text,
})
type Event = z.infer<typeof eventSchema>

const signatureHeader = 'x-twilio-email-event-webhook-signature'
const timestampHeader = 'x-twilio-email-event-webhook-timestamp'

export function sendgridFeedback({ proofs }: FeedbackSettings): FeedbackSource {
  const keys = proofs.map((proof) =>
    createPublicKey({ key: Buffer.from(proof, 'base64'), format: 'der', type: 'spki' }),
  )
  return {
    // SendGrid gathers events for a second, or until they are 768 kB
    maxBytes: 1024 * 1024,
    open({ headers, body, now }) {
      const [signature, time] = [headers[signatureHeader], headers[timestampHeader]]
      if (typeof signature !== 'string' || typeof time !== 'string' || !/^\d{1,12}$/.test(time))
        throw new MailerError('token_signature', { reason: 'no signature' })
      const ageMs = now - Number(time) * 1000
      if (ageMs > repeatedForMs || ageMs < -aheadMs)
        throw new MailerError('token_signature', { reason: 'stale' })
      const signed = Buffer.concat([Buffer.from(time), body])
      if (!keys.some((key) => verify('sha256', signed, key, Buffer.from(signature, 'base64'))))
        throw new MailerError('token_signature', { reason: 'invalid signature' })
      return itemsIn(body)
    },
    readReport(item) {
      const { data: event } = eventSchema.safeParse(item)
      const feedback = event && feedbackOf(event)
      const messageId = event?.mail ?? idInMessageId(event?.['smtp-id'])
      return feedback && messageId ? { messageId, feedback } : undefined
    },
  }
}

function feedbackOf({ event, type, reason }: Event): Feedback | undefined {
  switch (event) {
    case 'delivered':
      return 'delivered'
    case 'deferred':
      return 'delayed'
    case 'bounce':
      // "blocked" is about us or the mail, not about the address
      return type === 'blocked' ? 'bounced_soft' : 'bounced_hard'
    case 'dropped':
      return droppedFor(reason)
    case 'spamreport':
      return 'complained'
    default:
      return undefined
  }
}

/** Other reasons are faults of the mail or of the account. */
function droppedFor(reason = ''): Feedback | undefined {
  if (/^(?:bounced|spam reporting|unsubscribed) address/i.test(reason)) return 'suppressed_by_relay'
  return /^invalid\b/i.test(reason) && !/smtpapi/i.test(reason) ? 'bounced_hard' : undefined
}
