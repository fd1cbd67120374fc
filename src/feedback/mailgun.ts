/**
 * Owns what Mailgun reports: its webhooks, and which of its events means what.
 *
 * Mailgun signs a time and a token, not the event. Whoever has seen one signature could write another event over it: a
 * token is therefore good for one event only, and not for long.
 */
import { createHash, createHmac, createSecretKey } from 'node:crypto'
import { z } from 'zod'
import { MailerError } from '../errors.ts'
import type { Feedback } from '../feedback.ts'
import {
  aheadMs,
  type FeedbackSettings,
  type FeedbackSource,
  idInMessageId,
  itemsIn,
} from '../feedback-source.ts'
import { anyEqual } from '../signed-request.ts'

const signatureSchema = z.object({
  timestamp: z.coerce.string().regex(/^\d{1,12}$/),
  token: z.string().min(1).max(200),
  signature: z.string().max(200),
})
const bodySchema = z.object({ signature: signatureSchema, 'event-data': z.unknown() })

const text = z.string().optional().catch(undefined)
const eventSchema = z.object({
  event: z.string(),
  severity: text,
  reason: text,
  'delivery-status': z
    .object({ code: z.number().optional().catch(undefined), 'enhanced-code': text })
    .optional()
    .catch(undefined),
  'user-variables': z.object({ mail: text }).optional().catch(undefined),
  message: z
    .object({ headers: z.object({ 'message-id': text }) })
    .optional()
    .catch(undefined),
})
type Event = z.infer<typeof eventSchema>

/** Mailgun repeats an event for eight hours. */
const goodForMs = 9 * 3_600_000
const maxTokens = 20_000

export function mailgunFeedback({ proofs }: FeedbackSettings): FeedbackSource {
  const keys = proofs.map((proof) => createSecretKey(proof, 'utf8'))
  const isFirstEvent = tokenMemory()
  return {
    open({ body, now }) {
      const read = bodySchema.safeParse(itemsIn(body)[0])
      if (!read.success) throw new MailerError('token_signature', { reason: 'no signature' })
      const { timestamp, token, signature } = read.data.signature
      const ageMs = now - Number(timestamp) * 1000
      if (ageMs > goodForMs || ageMs < -aheadMs) throw new MailerError('token_signature', { reason: 'stale' })
      const expected = keys.map((key) =>
        createHmac('sha256', key)
          .update(timestamp + token)
          .digest('hex'),
      )
      if (!anyEqual(expected, [signature]) || !isFirstEvent(token, body))
        throw new MailerError('token_signature', { reason: 'invalid signature' })
      return [read.data['event-data']]
    },
    readReport(item) {
      const { data: event } = eventSchema.safeParse(item)
      const feedback = event && feedbackOf(event)
      const messageId =
        event?.['user-variables']?.mail ?? idInMessageId(event?.message?.headers['message-id'])
      return feedback && messageId ? { messageId, feedback } : undefined
    },
  }
}

/** Mailgun repeats a token with the same bytes when it got no answer: that is still the first event. */
function tokenMemory(): (token: string, body: Buffer) => boolean {
  const events = new Map<string, string>()
  return (token, body) => {
    const digest = createHash('sha256').update(body).digest('base64')
    const known = events.get(token)
    if (known !== undefined) return known === digest
    events.set(token, digest)
    const [oldest] = events.keys()
    if (events.size > maxTokens && oldest !== undefined) events.delete(oldest)
    return true
  }
}

function feedbackOf({
  event,
  severity,
  reason = '',
  'delivery-status': status,
}: Event): Feedback | undefined {
  if (event === 'delivered') return 'delivered'
  if (event === 'complained') return 'complained'
  if (event !== 'failed') return undefined
  if (severity !== 'permanent') return 'delayed'
  if (reason.startsWith('suppress-')) return 'suppressed_by_relay'
  // `generic` is also a mail that was refused as spam, and a stranger's words in a mail can do that to its reader
  const isAboutTheAddress = !/^5\.[237]\./.test(status?.['enhanced-code'] ?? '') && status?.code !== 552
  return reason === 'bounce' && isAboutTheAddress ? 'bounced_hard' : 'bounced_soft'
}
