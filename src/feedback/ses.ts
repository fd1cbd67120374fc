/** Owns what Amazon SES reports through SNS: which of its events means what. */
import { z } from 'zod'
import type { Feedback } from '../feedback.ts'
import { type FeedbackSettings, type FeedbackSource, itemsIn } from '../feedback-source.ts'
import { type FetchDocument, fetchDocument } from '../small-document.ts'
import { snsReader } from '../sns-message.ts'

const text = z.string().optional().catch(undefined)
const eventSchema = z.object({
  eventType: text,
  /** Of a notification of an identity, which has no tags. */
  notificationType: text,
  mail: z.object({
    tags: z
      .object({ mail: z.array(z.string()) })
      .optional()
      .catch(undefined),
    headers: z
      .array(z.object({ name: z.string(), value: z.string() }))
      .optional()
      .catch(undefined),
  }),
  bounce: z.object({ bounceType: text, bounceSubType: text }).optional().catch(undefined),
  complaint: z.object({ complaintFeedbackType: text, complaintSubType: text }).optional().catch(undefined),
})
type Event = z.infer<typeof eventSchema>

export function sesFeedback(
  { proofs }: FeedbackSettings,
  get: FetchDocument = fetchDocument,
): FeedbackSource {
  const read = snsReader({ topics: proofs, get })
  return {
    async open({ body, now }) {
      const message = await read(body, now)
      return message === undefined ? [] : itemsIn(Buffer.from(message))
    },
    readReport(item) {
      const { data: event } = eventSchema.safeParse(item)
      const feedback = event && feedbackOf(event)
      const messageId = event && idOf(event)
      return feedback && messageId ? { messageId, feedback } : undefined
    },
  }
}

/** SES puts a Message-ID of its own in the place of ours, and leaves our other headers. */
function idOf({ mail: { tags, headers } }: Event): string | undefined {
  return tags?.mail[0] ?? headers?.find(({ name }) => name.toLowerCase() === 'x-entity-ref-id')?.value
}

function feedbackOf({ eventType, notificationType, bounce, complaint }: Event): Feedback | undefined {
  switch (eventType ?? notificationType) {
    case 'Delivery':
      return 'delivered'
    case 'DeliveryDelay':
      return 'delayed'
    case 'Bounce':
      if (bounce?.bounceType !== 'Permanent') return 'bounced_soft'
      return /suppress/i.test(bounce.bounceSubType ?? '') ? 'suppressed_by_relay' : 'bounced_hard'
    case 'Complaint':
      if (/suppress/i.test(complaint?.complaintSubType ?? '')) return 'suppressed_by_relay'
      return complaint?.complaintFeedbackType === 'not-spam' ? undefined : 'complained'
    default:
      return undefined
  }
}
