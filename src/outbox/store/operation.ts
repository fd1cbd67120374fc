/**
 * Owns what the outbox can ask of its database, as data: the operations and their results. transaction.ts runs them. One
 * file, although a long one: it is a single list, and the thread of SQLite takes nothing that is not in it.
 */
import type { Detail } from '../../errors.ts'
import type { CalledApps, NewEvent } from '../../event.ts'
import type { Feedback } from '../../feedback.ts'
import type { HourCount } from '../../hour-counts.ts'
import type { SqlRow } from './statement.ts'

export const mailStates = ['sending', 'queued', 'sent', 'dead'] as const
export type MailState = (typeof mailStates)[number]

/** Of mails of one state: to count or sort ten million would take longer than anybody waits. */
export const mostCounted = 100_000

export interface AcceptOperation {
  readonly op: 'accept'
  readonly id: string
  readonly app: string
  readonly kind: string
  readonly recipient: string
  readonly body: string
  readonly leaseId: number
  /** End of the lease. */
  readonly due: number
  readonly expires: number
  readonly windowMs: number
  readonly now: number
  readonly quotas: readonly Quota[]
  /** Where a bounce of this recipient counts against the mail; `null`: nowhere. */
  readonly scope: SuppressionScope | null
  /** The recipient again, unless there is no scope. */
  readonly lookedFor?: string | undefined
  /** The recipient's name under the secret that is being replaced. */
  readonly formerRecipient?: string | undefined
}

/** In the app whose mail has bounced, or in all of them. */
export type SuppressionScope = 'app' | 'all'

export interface SuppressEntry {
  readonly recipient: string
  readonly app: string
  readonly reason: 'added' | 'imported'
  readonly since: number
  readonly until: number
}

/** A mail that has bounced. */
export interface BounceEntry {
  readonly recipient: string
  readonly app: string
  /** When the mail was accepted. */
  readonly created: number
  readonly now: number
  /** Where it is no repetition. */
  readonly until: number
}

/** A mail that was delivered. */
export interface DeliveryEntry {
  readonly recipient: string
  /** Whose suppression it ends; `null`: that of every app. */
  readonly app: string | null
  readonly created: number
}

export interface Quota {
  readonly key: string
  readonly max: number
  readonly ends: number
  /** A window that ends later was begun by a clock that was wrong. */
  readonly latestEnd: number
}

export interface SettleOperation {
  readonly op: 'settle'
  readonly id: string
  readonly leaseId: number
  readonly state: 'sent' | 'queued' | 'dead'
  readonly attempts: number
  /** Ignored for `sent`: that row is kept for the window written in it. */
  readonly due: number
  readonly detail: Detail
  readonly relay: string | null
  readonly stayUntil: number | null
  readonly now: number
  /** Where the app is called back. */
  readonly event?: NewEvent | undefined
}

/** What a store serves: the inbox of a developer, or mails that leave. */
export const outboxUses = ['inbox', 'production'] as const
export type OutboxUse = (typeof outboxUses)[number]

export interface LatestDue {
  readonly state: MailState
  readonly due: number
  readonly latest: number
}

export interface FindOperation {
  readonly op: 'find'
  readonly id: string
}

export interface FeedbackOperation {
  readonly op: 'feedback'
  readonly id: string
  /** Which mail of this id is meant: a repeat after its window is another one. */
  readonly created: number
  readonly feedback: Feedback
  readonly now: number
  /** Where a delivery lifts a suppression; `null`: none is kept. */
  readonly scope: SuppressionScope | null
  /** Until when a hard bounce suppresses. */
  readonly suppressUntil: number
  readonly calledApps?: CalledApps | undefined
}

export interface LeaseEventsOperation {
  readonly op: 'leaseEvents'
  readonly leaseId: number
  /** End of the lease. */
  readonly due: number
  /** How many of which app. */
  readonly wanted: readonly { readonly app: string; readonly limit: number }[]
  readonly now: number
}

export interface EndEventOperation {
  readonly op: 'endEvent'
  readonly id: string
  readonly leaseId: number
  /** The next try, or `null` when there is none. */
  readonly due: number | null
}

/** Where a page of mails ended: the last row, in the database's own spelling. */
export interface Place {
  readonly due: string
  readonly created: string
  readonly id: string
}

export interface SearchOperation {
  readonly op: 'search'
  readonly state: 'sending' | 'queued' | 'dead'
  /** Hidden. */
  readonly recipient?: string | undefined
  readonly app?: string | undefined
  readonly kind?: string | undefined
  readonly detail?: string | undefined
  readonly id?: string | undefined
  readonly after?: Place | undefined
  readonly limit: number
  /** How many rows are looked at. */
  readonly scan: number
}

/** Has a row for each mail that was erased. */
export interface EraseOperation {
  readonly op: 'erase'
  readonly mails: readonly { readonly id: string; readonly recipient: string }[]
  readonly forgetAt: number
  readonly now: number
}

export type Operation =
  | AcceptOperation
  | SettleOperation
  | FeedbackOperation
  | LeaseEventsOperation
  | EndEventOperation
  | {
      readonly op: 'lease'
      readonly leaseId: number
      readonly due: number
      readonly forgetAt: number
      readonly limit: number
      readonly now: number
      readonly calledApps?: CalledApps | undefined
    }
  | FindOperation
  | { readonly op: 'list'; readonly state: MailState; readonly limit: number }
  | SearchOperation
  | { readonly op: 'addHours'; readonly counts: readonly HourCount[] }
  | { readonly op: 'readHours'; readonly from: number; readonly to: number; readonly limit: number }
  | {
      readonly op: 'giveUp'
      readonly id: string
      readonly forgetAt: number
      readonly now: number
      readonly calledApps?: CalledApps | undefined
    }
  | { readonly op: 'stats' | 'countSent'; readonly most: number }
  | { readonly op: 'use'; readonly use: OutboxUse }
  | {
      readonly op: 'requeue'
      readonly id: string | null
      readonly expires: number
      readonly limit: number
      /** Without an `id`: those that were dead by then. */
      readonly diedBy: number
      readonly now: number
    }
  /** The mails of these recipients in one page of all mails, and, as the last row, where the page ended. */
  | {
      readonly op: 'findByRecipient'
      readonly names: readonly string[]
      readonly after: string
      readonly limit: number
    }
  | EraseOperation
  | { readonly op: 'eraseQuotas'; readonly names: readonly string[] }
  | { readonly op: 'listSuppressed'; readonly limit: number }
  | { readonly op: 'findSuppressed'; readonly names: readonly string[] }
  | { readonly op: 'suppress'; readonly entries: readonly SuppressEntry[] }
  | { readonly op: 'lift'; readonly names: readonly string[]; readonly app: string | null }
  /** What is known of a recipient by the name under a former secret is known by the new one. */
  | { readonly op: 'renameSuppressed'; readonly from: string; readonly to: string }
  | {
      readonly op: 'purge'
      readonly limit: number
      readonly now: number
      /** Events that ended before are forgotten. */
      readonly eventsEndedBy: number
      /** Hours that began before are forgotten. */
      readonly hoursBefore: number
      /** A mail of this state that is due later than `latest` is due at `due` instead. */
      readonly latest: readonly LatestDue[]
    }

/**
 * The result of an operation. An accept has five: `owner`, the mail is stored and leased; `limited`, a quota is used up
 * `until` then; `existing`, `rows` holds the mail that has this id already; `suppressed`, its
 * recipient gets no mail; `gone`, that mail was deleted between two statements, so another try makes sense. All other operations are `done`. A feedback operation has a row when it
 * changed what stands for its mail, and none when that stood already or there is no such mail.
 */
export interface OperationResult {
  readonly outcome: 'owner' | 'limited' | 'existing' | 'suppressed' | 'gone' | 'done'
  readonly rows: readonly SqlRow[]
  readonly until?: number
}

const readOnly = new Set([
  'find',
  'list',
  'search',
  'readHours',
  'stats',
  'countSent',
  'listSuppressed',
  'findSuppressed',
  'findByRecipient',
])

/** Does the operation change nothing in the store? */
export const readsOnly = (operation: Operation) => readOnly.has(operation.op)
