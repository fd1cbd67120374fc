/**
 * Owns the order of the relays: the next one may have a mail only when the one before provably did not take it.
 *
 * Fresh mails begin with the first relay. A backlog begins wherever a connection is free, in the same order, so that it uses
 * the connections of all relays that are well; what follows a "no" is the same for both.
 *
 * A transport around the others, so that its callers need not know how many there are. Each relay has a breaker; one
 * deadline stands over all of them together.
 */
import type { Message, PoolUse, Receipt, RelayReason, SendTerms, Transport } from '../message.ts'
import { breaker, type BreakerOptions, type BreakerState } from './breaker.ts'

export interface FailoverOptions {
  /** The longest a mail may take over all relays. */
  readonly totalMs?: number
  /** How long a relay may take until the mail starts to leave, while another one stands ready. */
  readonly handoverMs?: number
  readonly breaker?: BreakerOptions
  /** Called with the receipt of every single try, and how long it took. */
  readonly onTry?: ((receipt: Receipt, message: Message, ms: number) => void) | undefined
  readonly now?: () => number
}

export interface RelayHealth {
  readonly relay: string
  /** Why it cannot be used just now. */
  readonly trouble: RelayReason | undefined
  readonly breaker: BreakerState
}

export interface Failover extends Transport {
  /** Of all relays that can be tried. */
  readonly capacity: () => number
  readonly breakers: () => readonly Pick<RelayHealth, 'relay' | 'breaker'>[]
  readonly relays: readonly { readonly name: string; readonly check: () => Promise<RelayHealth> }[]
  /** False while every breaker is open: a mail sent now would come back at once. */
  readonly ready: () => boolean
  /** Of the relays that have a pool. */
  readonly pools: () => readonly ({ readonly relay: string } & PoolUse)[]
}

/** Of a transport that does not say. */
const usualCapacity = 10

/** 0 while a connection is free; then how many mails share one. */
const crowding = ({ load, capacity }: { load: number; capacity: () => number }) =>
  load < capacity() ? 0 : load / capacity()

/** With less time than this no other relay is asked. */
const leastMs = 500

/** `transports` in the order in which they are tried; at least one. */
export function failover(transports: readonly Transport[], options: FailoverOptions = {}): Failover {
  const { totalMs = 20_000, handoverMs = 5_000, onTry, now = () => performance.now() } = options
  const relays = transports.map((transport) => ({
    transport,
    breaker: breaker({ now, ...options.breaker }),
    capacity: transport.capacity ?? (() => usualCapacity),
    /** Mails that it has, or that wait for it. */
    load: 0,
  }))
  type Relay = (typeof relays)[number]

  async function send(message: Message, terms: SendTerms = {}): Promise<Receipt> {
    const { onlyRelay, endWithinMs = totalMs, startWithinMs = endWithinMs, fromBacklog } = terms
    const since = now()
    let last: Receipt | undefined
    let skipped = false
    const order = fromBacklog ? relays.toSorted((one, other) => crowding(one) - crowding(other)) : relays
    for (const [index, relay] of order.entries()) {
      const isAllowed = onlyRelay === undefined || onlyRelay === relay.transport.name
      if (!isAllowed || (last && since + startWithinMs - now() < leastMs) || !relay.breaker.admit()) {
        skipped = true
        continue
      }
      const other =
        onlyRelay === undefined && order.some((next, place) => place > index && next.breaker.ready())
      const spentMs = now() - since
      const receipt = await sendBy(relay, message, {
        startWithinMs: Math.min(startWithinMs - spentMs, other ? handoverMs : Infinity),
        endWithinMs: endWithinMs - spentMs,
        fromBacklog,
      })
      if (isLastWord(receipt)) return receipt
      last = last ? weigh(last, receipt) : receipt
    }
    if (!last)
      return { outcome: 'unsent', relay: onlyRelay ?? relays[0]!.transport.name, reason: 'breaker_open' }
    if (!skipped) return last
    // a relay that was not asked may still take it, and perhaps sooner
    return {
      ...last,
      outcome: last.outcome === 'refused' ? 'deferred' : last.outcome,
      retryAfterMs: undefined,
    }
  }

  async function sendBy(relay: Relay, message: Message, terms: SendTerms): Promise<Receipt> {
    const since = now()
    relay.load++
    try {
      const receipt = await relay.transport.send(message, terms)
      const verdict = verdictOn(receipt)
      if (verdict === 'good') relay.breaker.succeeded()
      else if (verdict === 'bad') relay.breaker.failed(since)
      else relay.breaker.abandoned(since)
      onTry?.(receipt, message, now() - since)
      return receipt
    } catch (bug) {
      relay.breaker.abandoned(since)
      throw bug
    } finally {
      relay.load--
    }
  }

  async function healthOf({ transport, breaker: guard }: Relay): Promise<RelayHealth> {
    const trouble = await transport.check()
    if (trouble === undefined) guard.hint()
    return { relay: transport.name, trouble, breaker: guard.state() }
  }

  return {
    name: transports.map(({ name }) => name).join(','),
    send,
    relays: relays.map((relay) => ({ name: relay.transport.name, check: () => healthOf(relay) })),
    capacity: () => relays.reduce((sum, relay) => sum + (relay.breaker.ready() ? relay.capacity() : 0), 0),
    ready: () => relays.some((relay) => relay.breaker.ready()),
    breakers: () => relays.map((relay) => ({ relay: relay.transport.name, breaker: relay.breaker.state() })),
    pools: () => transports.flatMap(({ name, use }) => (use ? [{ relay: name, ...use() }] : [])),
    async check() {
      const troubles = (await Promise.all(relays.map(healthOf))).map(({ trouble }) => trouble)
      return troubles.includes(undefined) ? undefined : troubles[0]
    },
    close: async () => void (await Promise.all(transports.map((transport) => transport.close()))),
  }
}

/** The relay has the mail, may have it, or refuses it as any other would: no other relay is asked. */
function isLastWord({ outcome, reason }: Receipt): boolean {
  return outcome === 'sent' || outcome === 'unknown' || (outcome === 'refused' && !concernsUs.has(reason))
}

/** What a relay refuses because of us: our sender, our account or its own limits. Another one may take the mail. */
const concernsUs = new Set<RelayReason>(['sender', 'policy', 'quota', 'relay_denied', 'size'])

/** Of two receipts for a mail that was not taken: the one that leaves hope, from a relay that was really asked. */
function weigh(one: Receipt, other: Receipt): Receipt {
  if (one.outcome === 'refused') return other
  if (other.outcome === 'refused') return one
  const [wait, otherWait] = [one.retryAfterMs, other.retryAfterMs]
  const retryAfterMs = wait === undefined || otherWait === undefined ? undefined : Math.min(wait, otherWait)
  return { ...(other.reason === 'resting' ? one : other), retryAfterMs }
}

/** The mail never came as far as the relay. */
const notTheRelay = new Set<RelayReason>(['closing', 'queue_full', 'queue_slow', 'resting'])

/** What a receipt says about the relay. A reply about the mail is good: the relay is there and lets us in. */
function verdictOn({ outcome, reason, reply }: Receipt): 'good' | 'bad' | 'none' {
  if (outcome === 'unsent') return notTheRelay.has(reason) ? 'none' : 'bad'
  if (outcome === 'unknown' || reason === 'login' || reason === 'unavailable' || reply === 421) return 'bad'
  return 'good'
}
