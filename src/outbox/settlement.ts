/** Owns what an attempt's end means for the row: when to try again, when to give up, which relay may have the mail next. */
import type { Receipt, RelayReason } from '../message.ts'
import type { SettleOperation } from './store/operation.ts'
import type { Lease, Settlement } from './api.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const backoffMs = 5000
const stayMs = 15 * minuteMs
/** How long an operator may still requeue a dead mail. */
export const deadKeptMs = 7 * 24 * hourMs

/** The operation that ends a lease. `random` (0 to 1) spreads the tries. */
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
  const waitMs = settlement.waitMs ?? backoffFor(counted, random)
  const { stayWith } = settlement
  // Unknown once more at the same relay: the quarter of an hour that is running goes on.
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

/** Doubles with each attempt up to an hour; half of it is chance, so that replicas and mails spread out. */
const backoffFor = (attempts: number, random: () => number) =>
  Math.round(Math.min(backoffMs * 2 ** attempts, hourMs) * (0.5 + random() / 2))

/** Nobody was asked, so the backoff does not grow: it would during an outage. */
const neverReachedRelay = new Set<RelayReason>(['breaker_open', 'resting'])

/** Sent and refused are the end. Everything else is tried again, an unknown outcome first at the same relay. */
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
      // we are stopping: nothing was tried, and another replica may have it at once
      if (outcome === 'unsent' && reason === 'closing') return { ...later, uncounted: true, waitMs: 0 }
      return neverReachedRelay.has(reason) ? { ...later, uncounted: true } : later
  }
}
