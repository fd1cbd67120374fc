/** Owns what Postmark reports: its webhooks behind a login, and which of its records means what. */
import { z } from 'zod'
import type { Feedback } from '../feedback.ts'
import { type FeedbackSettings, type FeedbackSource, itemsIn } from '../feedback-source.ts'
import { basicChallenge, basicCheck } from '../signed-request.ts'

const recordSchema = z.object({
  RecordType: z.string(),
  /** Of a bounce. */
  Type: z.string().optional().catch(undefined),
  Metadata: z.object({ mail: z.string() }),
})

/** Other types say nothing of whether the mail has arrived: an automatic answer, an unsubscription. */
const bounceTypes = new Map<string | undefined, Feedback>([
  ['HardBounce', 'bounced_hard'],
  ['BadEmailAddress', 'bounced_hard'],
  ['ManuallyDeactivated', 'suppressed_by_relay'],
  ['Transient', 'delayed'],
  ['SoftBounce', 'bounced_soft'],
  ['DnsError', 'bounced_soft'],
  ['Blocked', 'bounced_soft'],
  ['DMARCPolicy', 'bounced_soft'],
  ['SpamNotification', 'bounced_soft'],
  ['VirusNotification', 'bounced_soft'],
  ['SpamComplaint', 'complained'],
])

export function postmarkFeedback({ proofs }: FeedbackSettings): FeedbackSource {
  const checkLogin = basicCheck(proofs)
  return {
    challenge: basicChallenge,
    open({ headers, body }) {
      checkLogin(headers)
      return itemsIn(body)
    },
    readReport(item) {
      const { data: record } = recordSchema.safeParse(item)
      const feedback = record && feedbackOf(record)
      return feedback && { messageId: record.Metadata.mail, feedback }
    },
  }
}

function feedbackOf({ RecordType, Type }: z.infer<typeof recordSchema>): Feedback | undefined {
  if (RecordType === 'Delivery') return 'delivered'
  if (RecordType === 'SpamComplaint') return 'complained'
  return RecordType === 'Bounce' ? bounceTypes.get(Type) : undefined
}
