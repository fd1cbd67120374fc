/**
 * Owns what the outbox may ask of its database, as data: each operation, and what it is answered with. How one is
 * carried out stands in transaction.ts.
 */
import type { Detail } from '../../errors.ts'
import type { SqlRow } from './statement.ts'

export const mailStates = ['sending', 'queued', 'sent', 'dead'] as const
export type MailState = (typeof mailStates)[number]

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
}

export interface Quota {
  readonly key: string
  readonly max: number
  readonly ends: number
}

export interface SettleOperation {
  readonly op: 'settle'
  readonly id: string
  readonly leaseId: number
  readonly state: 'sent' | 'queued' | 'dead'
  readonly attempts: number
  /** Ignored for `sent`: that row is kept for its window, which the row knows. */
  readonly due: number
  readonly detail: Detail
  readonly relay: string | null
  readonly stayUntil: number | null
  readonly now: number
}

export interface FindOperation {
  readonly op: 'find'
  readonly id: string
}

export type Operation =
  | AcceptOperation
  | SettleOperation
  | { readonly op: 'undo'; readonly id: string; readonly leaseId: number }
  | {
      readonly op: 'lease'
      readonly leaseId: number
      readonly due: number
      readonly forgetAt: number
      readonly limit: number
      readonly now: number
    }
  | FindOperation
  | { readonly op: 'list'; readonly state: MailState; readonly limit: number }
  | { readonly op: 'stats' }
  | { readonly op: 'countSent' }
  | {
      readonly op: 'requeue'
      readonly id: string | null
      readonly expires: number
      readonly limit: number
      readonly now: number
    }
  | { readonly op: 'purge'; readonly limit: number; readonly now: number }

/**
 * What became of an operation. `owner`, `limited`, `standing` and `gone` answer an accept: it is yours; not before
 * `until`; another stands there (in `rows`); purged between two statements, so ask again. `done` answers all others.
 */
export interface OperationResult {
  readonly outcome: 'owner' | 'limited' | 'standing' | 'gone' | 'done'
  readonly rows: readonly SqlRow[]
  readonly until?: number
}

const readOnly = new Set(['find', 'list', 'stats', 'countSent'])

/** Does the operation leave the store as it is? */
export const readsOnly = (operation: Operation) => readOnly.has(operation.op)
