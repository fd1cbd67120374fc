/** Owns what a source of feedback is: a reader of what one relay reports, and of the id by which our mail is found. */
import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import type { Report } from './feedback.ts'

export const reportingRelays = ['sendgrid', 'ses', 'postmark', 'mailgun', 'resend', 'brevo'] as const
export type ReportingRelay = (typeof reportingRelays)[number]

/** How one relay proves that a report is its own. */
export interface FeedbackSettings {
  readonly relay: ReportingRelay
  /** Its key, secret or login; of SES, the topics that may report. */
  readonly proofs: readonly string[]
}

/** A request as it came: the body is not parsed, because its signature is over the bytes. */
export interface FeedbackRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Epoch ms. */
  readonly now: number
}

export interface FeedbackSource {
  /**
   * The items of a request that provably comes from the relay; none where it has nothing to say, or cannot be read. Throws
   * `token_signature` for every other request, and reads nothing of it but its proof.
   */
  open(request: FeedbackRequest): readonly unknown[] | Promise<readonly unknown[]>
  /** What an item reports of one of our mails, or `undefined`: most of what relays send is of no concern here. */
  readReport(item: unknown): Report | undefined
  /** Where it is not 256 KiB. */
  readonly maxBytes?: number
  /** Sent with a refusal. */
  readonly challenge?: string
}

/** Relays repeat a report for about a day, and some do not sign it anew. Noting it twice changes nothing. */
export const repeatedForMs = 25 * 3_600_000
export const aheadMs = 300_000

/** A JSON array item by item, any other JSON as one item, and nothing of what is no JSON. */
export function itemsIn(body: Buffer): readonly unknown[] {
  try {
    if (!isUtf8(body)) return []
    const value: unknown = JSON.parse(body.toString())
    return Array.isArray(value) ? value : [value]
  } catch {
    return []
  }
}

/** Our id in a Message-ID, with or without its angle brackets: what stands before the `@`. */
export function idInMessageId(messageId: string | undefined): string | undefined {
  return messageId === undefined ? undefined : /^<?([\w-]{1,80})@/.exec(messageId)?.[1]
}
