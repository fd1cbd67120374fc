/** Owns what Brevo reports: its webhooks behind a login, and which of its events means what. */
import { z } from 'zod'
import type { Feedback } from '../feedback.ts'
import { type FeedbackSettings, type FeedbackSource, idInMessageId, itemsIn } from '../feedback-source.ts'
import { basicChallenge, basicCheck } from '../signed-request.ts'

const eventSchema = z.object({
  event: z.string(),
  /** Our id is the only one. */
  tags: z.array(z.string()).optional().catch(undefined),
  /** The same, also as JSON in a text. */
  tag: z.string().optional().catch(undefined),
  'message-id': z.string().optional().catch(undefined),
})

const events = new Map<string, Feedback>([
  ['delivered', 'delivered'],
  ['deferred', 'delayed'],
  ['soft_bounce', 'bounced_soft'],
  ['hard_bounce', 'bounced_hard'],
  ['invalid_email', 'bounced_hard'],
  ['blocked', 'suppressed_by_relay'],
  ['spam', 'complained'],
  ['complaint', 'complained'],
])

export function brevoFeedback({ proofs }: FeedbackSettings): FeedbackSource {
  const checkLogin = basicCheck(proofs)
  return {
    challenge: basicChallenge,
    open({ headers, body }) {
      checkLogin(headers)
      return itemsIn(body)
    },
    readReport(item) {
      const { data: event } = eventSchema.safeParse(item)
      const feedback = event && events.get(event.event)
      const messageId = event && (tagOf(event) ?? idInMessageId(event['message-id']))
      return feedback && messageId ? { messageId, feedback } : undefined
    },
  }
}

function tagOf({ tags, tag }: z.infer<typeof eventSchema>): string | undefined {
  return tags?.[0] ?? /^(?:\[")?([\w-]{1,80})(?:"\])?$/.exec(tag ?? '')?.[1]
}
