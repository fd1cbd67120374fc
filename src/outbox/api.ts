/**
 * Owns what the other parts know of the outbox: its verbs, what they take and what they answer. One file, although a long
 * one: this is all that anybody outside of this folder may rely on.
 */
import type { Upkeep } from './store/engine.ts'
import { z } from 'zod'
import type { Detail } from '../errors.ts'
import { type CalledApps, eventTypes } from '../event.ts'
import { type Feedback, feedbackWords, type Report } from '../feedback.ts'
import type { HourCount } from '../hour-counts.ts'
import type { Erased } from './erase.ts'
import type { SuppressionVerbs } from './suppression.ts'
import { type MailState, mailStates, type OutboxUse } from './store/operation.ts'

export type { OutboxUse }

export interface NewMail {
  /** From `mailId`. */
  readonly id: string
  readonly app: string
  readonly kind: string
  /** Stored as an HMAC only. */
  readonly recipient: string
  /** The wrapping token; stored sealed, and only while the mail is unsent. */
  readonly token: string
  /** When sending it has become pointless, epoch ms. */
  readonly expires: number
  /** How long the same id stays the same mail, counted from its sending; from `windowMs`. */
  readonly windowMs: number
  /** Sent although its recipient is suppressed. */
  readonly retrySuppressed?: boolean | undefined
}

/** The right to try one mail and to settle it. Ends with `settle`, or by itself a minute later. */
export interface Lease {
  readonly id: string
  readonly app: string
  readonly kind: string
  /** When the mail was accepted, epoch ms: stable over its tries, another for an intended repeat. */
  readonly created: number
  readonly expires: number
  /** Tries so far, this one included. */
  readonly attempts: number
  /** A random number that only the holder of the lease knows. */
  readonly leaseId: number
  /** The relay that may have taken the mail already: no other may have it now. */
  readonly stayWith?: string | undefined
}

/** A lease on a mail that is due. */
export interface Due extends Lease {
  readonly token: string
}

const stateSchema = z.enum(mailStates)

/** Written from a `Detail`. Another version of this program may have known other words. */
const detailSchema = z.custom<Detail>((value) => typeof value === 'string')

const maxTime = 8.64e15
const whole = z.number().int().min(0)
/** Epoch ms that a `Date` can hold. */
const time = whole.max(maxTime)

/** Rows may have been restored or edited by others. An operator has to see them all: what cannot be read is 0 or `null`. */
export const storedMailSchema = z.object({
  id: z.coerce.string(),
  app: z.coerce.string(),
  kind: z.coerce.string(),
  state: stateSchema.catch('dead'),
  attempts: whole.catch(0),
  /** End of the lease, next try, or the day the row is forgotten. */
  due: time.catch(0),
  expires: time.catch(0),
  created: time.catch(0),
  /** When it was sent or given up. */
  done: time.nullable().catch(null),
  detail: detailSchema.nullable().catch('other'),
  relay: z.string().nullable().catch(null),
  /** What the relay has reported since. */
  feedback: z.enum(feedbackWords).nullable().catch(null),
})
/** A mail as operators and callers may see it: nothing in it identifies the recipient. Times are epoch ms. */
export type StoredMail = Readonly<z.infer<typeof storedMailSchema>>

export const statusSchema = storedMailSchema.pick({ state: true, detail: true })
/** What has become of a mail so far. `detail` is one fixed word. */
export type MailStatus = Readonly<z.infer<typeof statusSchema>>

/** A leased row. One that does not fit is set aside: it can be neither written nor tried again in time. */
export const dueSchema = z.object({
  id: z.string(),
  app: z.string(),
  kind: z.string(),
  state: stateSchema,
  created: time,
  expires: time,
  attempts: whole,
  body: z.string().nullable(),
  relay: z.string().nullable().catch(null),
  stay_until: time.nullable().catch(null),
})

/** A leased event. */
export const dueEventSchema = z.object({
  /** The same for each call. */
  id: z.string(),
  app: z.string(),
  mail: z.string(),
  kind: z.string(),
  type: z.enum(eventTypes),
  /** Of a dead mail its reason, of a bounce its kind. */
  detail: z.string().nullable(),
  at: time,
  /** Larger than that of every earlier event of this mail. */
  sequence: whole,
  ends: time,
  attempts: whole,
})
/** The right to call an app for one event, for a minute. Ends with `endEvent`. */
export type DueEvent = Readonly<z.infer<typeof dueEventSchema>> & { readonly leaseId: number }

export type Accepted =
  | { readonly state: 'owner'; readonly lease: Lease }
  | { readonly state: 'existing'; readonly mail: StoredMail }
  | { readonly state: 'limited'; readonly retryAfterS: number }
  /** Its recipient gets no mail: one to them has bounced. */
  | { readonly state: 'suppressed' }

/** What became of an attempt. `detail` never quotes a relay's text. */
export type Settlement =
  | { readonly state: 'sent'; readonly relay: string; readonly detail: Detail }
  | {
      readonly state: 'queued'
      readonly detail: Detail
      /** No relay was tried (breaker open): the backoff does not grow. */
      readonly uncounted?: boolean
      /** Instead of the backoff. */
      readonly waitMs?: number
      /** The outcome is unknown: only this relay may have the mail for the next 15 minutes. */
      readonly stayWith?: string
    }
  | { readonly state: 'dead'; readonly detail: Detail }

/** A report as it was taken. */
export interface NotedReport {
  /** Of the mail; nothing in it has to exist. */
  readonly id: string
  readonly feedback: Feedback
  /** Is it news? A repeat, a milder report, and one of a mail that is not there (any more) are not. */
  readonly changed: boolean
  /** Of the mail, where it changed. */
  readonly app?: string
  readonly kind?: string
}

/** What is counted by state. */
export const statsSchema = z.array(
  z.object({ state: stateSchema, n: z.number(), oldest: time.nullable().catch(null) }),
)

export const hourSchema = z.object({ hour: time, name: z.string(), n: whole, at: time.catch(0) })

/** The depth of the outbox: what is not done, and what an operator may want to see. */
export interface Stats {
  readonly sending: number
  readonly queued: number
  readonly dead: number
  /** When the oldest unsent mail was accepted, epoch ms. */
  readonly oldest: number | undefined
}

/** Which mails an operator looks for. */
export interface MailQuery {
  readonly state: 'waiting' | 'dead'
  readonly app?: string | undefined
  readonly kind?: string | undefined
  /** The reason of its state. */
  readonly detail?: string | undefined
  readonly id?: string | undefined
  readonly address?: string | undefined
  /** `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

export interface FoundMails {
  readonly mails: readonly StoredMail[]
  /** Continues the list, also where a page is empty: of so many rows only some were looked at. */
  readonly next: string | null
}

export interface RequeuedSome {
  readonly count: number
  readonly next: number | null
}

export interface Outbox extends SuppressionVerbs {
  /** What vacuum has to do; `undefined` where the store has none. Throws while the store cannot be asked. */
  upkeep(): Promise<Upkeep | undefined>
  /**
   * Stores a mail before it is sent, or answers with the mail that has its id already. A dead mail, and a sent one whose
   * window is over, are replaced by the new one; limits count new mails only. When it throws
   * `MailerError('store_unavailable')`, the mail will not be sent; after `store_unknown` it may, and the same mail may be
   * accepted again.
   */
  accept(mail: NewMail): Promise<Accepted>
  /**
   * Ends a lease; never rejects. `sent` always wins; the other states are ignored once the lease is lost. Need not be
   * awaited: while the store is unavailable, the write is pending in memory. Answers with the status of the mail
   * afterwards, or, while the write is pending, with the status it is going to have.
   */
  settle(lease: Lease, settlement: Settlement): Promise<MailStatus>
  /** Gives an unfinished lease to any replica at once. */
  handBack(lease: Lease): Promise<MailStatus>
  /**
   * Notes what relays report of their mails: the most severe report stands, in whatever order they come and however often.
   * Resolves when all of them are stored, in their order. Throws `MailerError('store_unavailable')`, and
   * `store_unknown`, after which the same reports may be noted again.
   */
  noteFeedback(reports: readonly Report[]): Promise<NotedReport[]>
  /**
   * Waits while another request or replica sends this mail. Answers `sending` after `timeoutMs`, and `dead` with
   * `undone` when the mail was deleted in the meantime. Never rejects.
   */
  waitFor(mail: StoredMail, timeoutMs: number): Promise<MailStatus>
  /**
   * Leases up to `limit` mails that are due, those whose links die soonest first. Mails past their `expires` become dead
   * instead, whether they are due or not.
   */
  leaseDue(limit: number): Promise<Due[]>
  /** Leases events that are due, of each app as many as asked for. */
  leaseEvents(wanted: readonly { readonly app: string; readonly limit: number }[]): Promise<DueEvent[]>
  /** Ends an event for good, or until it is due again in `retryInMs`. Rejects with the store: then the lease decides. */
  endEvent(event: DueEvent, retryInMs?: number): Promise<void>
  find(id: string): Promise<StoredMail | undefined>
  /** In the order in which they were accepted, the newest first: of all, or of the 100,000 that are due or forgotten last. */
  list(state: MailState, limit: number): Promise<StoredMail[]>
  /** Those that wait or are dead, page by page. Looks at a bounded number of rows. */
  search(query: MailQuery): Promise<FoundMails>
  /** Of each state no more than `most` (100,000) are counted, nor is an older one looked for beyond them. */
  stats(most?: number): Promise<Stats>
  /** How many sent mails are remembered, up to `most` (100,000). */
  countSent(most?: number): Promise<number>
  /** Takes everything about an address out of the store. Reads every mail, page by page. */
  erase(address: string): Promise<Erased>
  /** Puts a dead mail back into the queue; it expires in a day at the earliest. False when there is no such dead mail. */
  requeue(id: string): Promise<boolean>
  /** The same for every dead mail. Answers how many. */
  requeueDead(): Promise<number>
  /** The same for some thousands of them at a time; `next` is the `diedBy` for the others, `null` when there are none left. */
  requeueSome(some?: { diedBy?: number | undefined; most?: number }): Promise<RequeuedSome>
  /**
   * Makes a mail that waits for its next try a dead one, which can be requeued. False when no such mail waits: it may be
   * under way. `calledApps`: by default those that the service calls back.
   */
  giveUp(id: string, calledApps?: CalledApps): Promise<boolean>
  /** Adds to what all replicas have counted. */
  addHours(counts: readonly HourCount[]): Promise<void>
  /** What was counted in the hours that began between these, the newest first. */
  readHours(from: number, to: number): Promise<HourCount[]>
  /** Deletes, page by page, mails whose window is over and quotas that have ended. Answers how many mails. */
  purge(signal?: AbortSignal): Promise<number>
  /** Marks what this store serves, for good. Answers everything that it has served, this included. */
  use(use: OutboxUse): Promise<OutboxUse[]>
  /** Resolves after the first try to open the store, or after `ms`: `trouble` is `starting` until then. */
  ready(ms: number): Promise<void>
  readonly engine: 'sqlite' | 'postgres'
  /** Why the store cannot be used now, as a fixed word; `undefined` when it can. */
  trouble(): Detail | undefined
  /** Waits up to `graceMs` (5 s) for the operations and pending writes under way, then closes the store. */
  close(graceMs?: number): Promise<void>
}
