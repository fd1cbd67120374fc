/** Owns what Resend reports: its webhooks, signed by Svix, and which of its events means what. */
import { createSecretKey } from 'node:crypto'
import { z } from 'zod'
import type { Feedback } from '../feedback.ts'
import { type FeedbackSettings, type FeedbackSource, itemsIn } from '../feedback-source.ts'
import { checkStandardWebhook } from '../signed-request.ts'

const text = z.string().optional().catch(undefined)
const eventSchema = z.object({
  type: z.string(),
  data: z.object({
    /** As they were sent, or by their names. */
    tags: z.union([
      z.array(z.object({ name: z.string(), value: z.string() })),
      z.record(z.string(), z.string()),
    ]),
    bounce: z.object({ type: text, subType: text }).optional().catch(undefined),
  }),
})
type Event = z.infer<typeof eventSchema>

export function resendFeedback({ proofs }: FeedbackSettings): FeedbackSource {
  const keys = proofs.map((proof) => createSecretKey(proof.replace(/^whsec_/, ''), 'base64'))
  return {
    open({ headers, body, now }) {
      checkStandardWebhook(headers, body, keys, now)
      return itemsIn(body)
    },
    readReport(item) {
      const { data: event } = eventSchema.safeParse(item)
      const feedback = event && feedbackOf(event)
      const messageId = event && tagOf(event)
      return feedback && messageId ? { messageId, feedback } : undefined
    },
  }
}

function tagOf({ data: { tags } }: Event): string | undefined {
  return Array.isArray(tags) ? tags.find(({ name }) => name === 'mail')?.value : tags['mail']
}

function feedbackOf({ type, data: { bounce } }: Event): Feedback | undefined {
  switch (type) {
    case 'email.delivered':
      return 'delivered'
    case 'email.delivery_delayed':
      return 'delayed'
    case 'email.bounced':
      if (bounce?.type !== 'Permanent') return 'bounced_soft'
      return /suppress/i.test(bounce.subType ?? '') ? 'suppressed_by_relay' : 'bounced_hard'
    case 'email.suppressed':
      return 'suppressed_by_relay'
    case 'email.failed':
      return 'bounced_soft'
    case 'email.complained':
      return 'complained'
    default:
      return undefined
  }
}
