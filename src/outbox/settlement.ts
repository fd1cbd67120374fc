/**
 * Owns the decision after a try: when to try again, when to give up, and which relay may have the mail next. It is made in
 * two steps: `settlementOf` reads the receipt, `settleOperation` turns that into the row, knowing the lease and the time.
 */
import type { Receipt, RelayReason } from '../message.ts'
import type { SettleOperation } from './store/operation.ts'
import type { Lease, Settlement } from './api.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const backoffMs = 5000
export const stayMs = 15 * minuteMs
/** Of the backoff, and of what a relay may ask for. */
export const maxWaitMs = hourMs
/** Longer than any attempt may take (20 s). */
export const leaseMs = minuteMs
/** How long an operator can requeue a dead mail. */
export const deadKeptMs = 7 * 24 * hourMs

/** Reasons of a receipt for a mail that no relay was asked to take: the backoff must not grow during an outage. */
const neverReachedRelay = new Set<RelayReason>(['breaker_open', 'resting'])

/** A mail that was sent or refused is done. Every other is tried again; after an unknown outcome, at the same relay first. */
export function settlementOf({ outcome, relay, reason, retryAfterMs }: Receipt): Settlement {
  const later = {
    state: 'queued',
    detail: reason,
    ...(retryAfterMs !== undefined && { waitMs: retryAfterMs }),
  } as const
  switch (outcome) {
    case 'sent':
      return { state: 'sent', relay, detail: reason }
    case 'refused':
      return { state: 'dead', detail: reason }
    case 'unknown':
      return { ...later, stayWith: relay }
    default:
      // The transport is shutting down: another replica may try the mail at once.
      if (outcome === 'unsent' && reason === 'closing') return { ...later, uncounted: true, waitMs: 0 }
      return neverReachedRelay.has(reason) ? { ...later, uncounted: true } : later
  }
}

/** The operation that ends the lease. `random` (0 to 1) spreads the tries. */
export function settleOperation(
  lease: Lease,
  settlement: Settlement,
  now: number,
  random: () => number,
): SettleOperation {
  const { id, leaseId, attempts } = lease
  const detail = /^[\w.:-]{1,64}$/.test(settlement.detail) ? settlement.detail : 'other'
  const settled = { op: 'settle', id, leaseId, attempts, now, relay: null, stayUntil: null } as const
  if (settlement.state === 'sent')
    return { ...settled, state: 'sent', detail, due: 0, relay: settlement.relay }
  const due = now + deadKeptMs
  if (settlement.state === 'dead') return { ...settled, state: 'dead', detail, due }
  if (now >= lease.expires) return { ...settled, state: 'dead', detail: 'expired', due }
  const counted = settlement.uncounted === true ? attempts - 1 : attempts
  // A relay says what it likes, with fractions too.
  const askedMs = Math.ceil(Math.min(Math.max(0, settlement.waitMs ?? 0), maxWaitMs))
  const waitMs = settlement.waitMs === undefined ? backoffFor(counted, random) : askedMs
  const { stayWith } = settlement
  // After another unknown outcome at the same relay, the running quarter of an hour is not extended.
  const stay =
    stayWith === undefined || stayWith === lease.stayWith ? {} : { relay: stayWith, stayUntil: now + stayMs }
  return {
    ...settled,
    state: 'queued',
    detail,
    attempts: counted,
    due: Math.min(now + waitMs, lease.expires),
    ...stay,
  }
}

/** Doubles with each try up to an hour. Half of it is random, so that mails do not all come due at once. */
const backoffFor = (attempts: number, random: () => number) =>
  Math.round(Math.min(backoffMs * 2 ** attempts, maxWaitMs) * (0.5 + random() / 2))
