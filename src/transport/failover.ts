/**
 * Owns the order of the relays: the next one may have a mail only when the one before provably did not take it.
 *
 * A transport around the others, so that whoever sends need not know how many there are. Each relay has a breaker; one
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
  readonly heard?: ((receipt: Receipt, message: Message, ms: number) => void) | undefined
  readonly now?: () => number
}

export interface RelayHealth {
  readonly relay: string
  /** Why it cannot be used just now. */
  readonly trouble: RelayReason | undefined
  readonly breaker: BreakerState
}

export interface Failover extends Transport {
  readonly breakers: () => readonly Pick<RelayHealth, 'relay' | 'breaker'>[]
  readonly health: () => Promise<readonly RelayHealth[]>
  /** False while every breaker is open: a mail sent now would come back at once. */
  readonly ready: () => boolean
  /** Of the relays that have a pool. */
  readonly pools: () => readonly ({ readonly relay: string } & PoolUse)[]
}

/** Less than this is not worth another relay's while. */
const leastMs = 500

/** `transports` in the order in which they are tried; at least one. */
export function failover(transports: readonly Transport[], options: FailoverOptions = {}): Failover {
  const { totalMs = 20_000, handoverMs = 5_000, heard, now = () => performance.now() } = options
  const ways = transports.map((transport) => ({
    transport,
    breaker: breaker({ now, ...options.breaker }),
  }))
  type Way = (typeof ways)[number]

  async function send(message: Message, terms: SendTerms = {}): Promise<Receipt> {
    const { onlyRelay, endWithinMs = totalMs, startWithinMs = endWithinMs } = terms
    const asked = now()
    const leftMs = () => ({
      startWithinMs: asked + startWithinMs - now(),
      endWithinMs: asked + endWithinMs - now(),
    })
    let last: Receipt | undefined
    let skipped = false
    for (const [index, way] of ways.entries()) {
      const mine = onlyRelay === undefined || onlyRelay === way.transport.name
      if (!mine || (last && leftMs().startWithinMs < leastMs) || !way.breaker.admit()) {
        skipped = true
        continue
      }
      const other =
        onlyRelay === undefined && ways.some((next, place) => place > index && next.breaker.ready())
      const left = leftMs()
      const startMs = Math.min(left.startWithinMs, other ? handoverMs : Infinity)
      const receipt = await sendBy(way, message, { ...left, startWithinMs: startMs })
      if (isLastWord(receipt)) return receipt
      last = last ? weigh(last, receipt) : receipt
    }
    if (!last)
      return { outcome: 'unsent', relay: onlyRelay ?? ways[0]!.transport.name, reason: 'breaker_open' }
    if (!skipped) return last
    // who was not asked may still take it, and perhaps sooner
    return {
      ...last,
      outcome: last.outcome === 'refused' ? 'deferred' : last.outcome,
      retryAfterMs: undefined,
    }
  }

  async function sendBy(way: Way, message: Message, terms: SendTerms): Promise<Receipt> {
    const since = now()
    try {
      const receipt = await way.transport.send(message, terms)
      const news = newsIn(receipt)
      if (news === 'good') way.breaker.succeeded()
      else if (news === 'bad') way.breaker.failed(since)
      else way.breaker.abandoned(since)
      heard?.(receipt, message, now() - since)
      return receipt
    } catch (bug) {
      way.breaker.abandoned(since)
      throw bug
    }
  }

  async function healthOf({ transport, breaker: guard }: Way): Promise<RelayHealth> {
    const trouble = await transport.check()
    if (trouble === undefined) guard.hint()
    return { relay: transport.name, trouble, breaker: guard.state() }
  }

  const health = () => Promise.all(ways.map(healthOf))

  return {
    name: transports.map(({ name }) => name).join(','),
    send,
    health,
    ready: () => ways.some((way) => way.breaker.ready()),
    breakers: () => ways.map((way) => ({ relay: way.transport.name, breaker: way.breaker.state() })),
    pools: () => transports.flatMap(({ name, use }) => (use ? [{ relay: name, ...use() }] : [])),
    async check() {
      const troubles = (await health()).map(({ trouble }) => trouble)
      return troubles.includes(undefined) ? undefined : troubles[0]
    },
    close: async () => void (await Promise.all(transports.map((transport) => transport.close()))),
  }
}

/** The relay has the mail, may have it, or says that nobody should take it: no other relay is asked. */
function isLastWord({ outcome, reason }: Receipt): boolean {
  return outcome === 'sent' || outcome === 'unknown' || (outcome === 'refused' && reason !== 'sender')
}

/** Of two relays that did not take a mail, the word of the one that leaves hope, and that was really asked. */
function weigh(one: Receipt, other: Receipt): Receipt {
  if (one.outcome === 'refused') return other
  if (other.outcome === 'refused') return one
  const [wait, otherWait] = [one.retryAfterMs, other.retryAfterMs]
  const retryAfterMs = wait === undefined || otherWait === undefined ? undefined : Math.min(wait, otherWait)
  return { ...(other.reason === 'resting' ? one : other), retryAfterMs }
}

/** Ends of a mail that never came as far as the relay. */
const notTheRelay = new Set<RelayReason>(['closing', 'line_full', 'line_slow', 'resting'])

/** What a receipt says of the way to the relay. A reply about a mail is good news: somebody is there and lets us in. */
function newsIn({ outcome, reason, reply }: Receipt): 'good' | 'bad' | 'none' {
  if (outcome === 'unsent') return notTheRelay.has(reason) ? 'none' : 'bad'
  if (outcome === 'unknown' || reason === 'login' || reason === 'unavailable' || reply === 421) return 'bad'
  return 'good'
}
