/** Owns what relays report of a mail after they took it: the words, and which of several reports stands. */

import type { z } from 'zod'
import type { deliverySchema } from './contract.ts'

/** From the least to the most severe: of several reports the most severe stands, in whatever order they come. */
export const feedbackWords = [
  /** The relay is still trying. */
  'delayed',
  /** The recipient's server took it. */
  'delivered',
  /** Given up for now: the mailbox is full, or its server was away for too long. */
  'bounced_soft',
  /** The relay has a list of its own of addresses that it does not mail, and this one is on it. */
  'suppressed_by_relay',
  /** The recipient called it spam. */
  'complained',
  /** There is no such address. The last, so that it counts once in any order: it suppresses the address. */
  'bounced_hard',
] as const
export type Feedback = (typeof feedbackWords)[number]

/** What a relay reports of one mail. */
export interface Report {
  /** The id that travelled along: `Message.id`. */
  readonly messageId: string
  readonly feedback: Feedback
}

export const severityOf = (feedback: Feedback) => feedbackWords.indexOf(feedback)

/** The same for callers: one word, and for a bounce its kind. */
export function feedbackFacts(
  feedback: Feedback | null,
): Pick<z.infer<typeof deliverySchema>, 'feedback' | 'bounce'> {
  switch (feedback) {
    case null:
      return {}
    case 'bounced_hard':
      return { feedback: 'bounced', bounce: 'hard' }
    case 'bounced_soft':
      return { feedback: 'bounced', bounce: 'soft' }
    default:
      return { feedback }
  }
}
