/**
 * Owns what is counted and timed, in Prometheus' words. Label values come from fixed sets, the configuration, the
 * catalogue and the route table: nothing a caller sends can become one.
 *
 * Nothing is registered until `openMetrics`; without it the parts are composed with `silentMeter`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Gauge, Histogram } from 'prom-client'
import type { FailureCode } from './errors.ts'
import type { PoolUse } from './message.ts'
import type { Meter, Stage } from './meter.ts'
import { storeAnswer } from './store-answer.ts'

const breakerStates = ['closed', 'open', 'half_open'] as const

interface Stats {
  readonly sending: number
  readonly queued: number
  readonly dead: number
  /** When the oldest unsent mail was accepted, epoch ms. */
  readonly oldest: number | undefined
}

interface Upkeep {
  readonly deadRows: number
  readonly oldestTransactionS: number
}

/** What a scrape reads, of the outbox and of the relays. */
export interface WatchedParts {
  readonly outbox: {
    stats(): Promise<Stats>
    upkeep(): Promise<Upkeep | undefined>
    trouble(): string | undefined
  }
  readonly transport: {
    breakers(): readonly { readonly relay: string; readonly breaker: (typeof breakerStates)[number] }[]
    pools(): readonly ({ readonly relay: string } & PoolUse)[]
  }
  readonly now?: () => number
}

export interface Metrics extends Meter {
  /** From now on a scrape also reads these. */
  watch(parts: WatchedParts): void
  /** One scrape, in the text format. Takes little more than a second, whatever the store does. */
  text(): Promise<string>
  readonly contentType: string
}

const prefix = 'jwt_mailer_'
const quick = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1]
const storing = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const relaying = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20]
const rejections = new Set<string>([
  'token_malformed',
  'token_signature',
  'token_expired',
  'token_not_yet_valid',
  'claims_invalid',
] satisfies FailureCode[])
/** The routes of apps: elsewhere the same codes speak of the admin token. */
const callers = /^\/(?:emailservice|deliveries)/
const statsRestMs = 5_000
const statsWithinMs = 1_000
const lagEveryMs = 20

/** A registry of its own, so that two services in one process do not meet in it. */
export async function openMetrics(): Promise<Metrics> {
  // loaded only where METRICS is on
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[], collect?: () => Promise<void>) =>
    new Gauge({ name: prefix + name, help, labelNames, registers, ...(collect && { collect }) })
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
    new Histogram({ name: prefix + name, help, buckets, labelNames, registers })
  const counter = (name: string, help: string, labelNames: string[]) =>
    new Counter({ name: prefix + name, help, labelNames, registers })

  const requests = counter('requests_total', 'Answers, by route pattern, HTTP status and code', [
    'route',
    'status',
    'code',
  ])
  const rejected = counter('tokens_rejected_total', 'Tokens that were not accepted, by code', ['code'])
  for (const code of rejections) rejected.inc({ code }, 0)
  const attempts = counter('send_attempts_total', 'Tries at one relay, by what became of them', [
    'app',
    'kind',
    'relay',
    'outcome',
  ])
  const feedback = counter(
    'feedback_total',
    'What relays report of mails after they took them; repeats are not counted',
    ['relay', 'feedback'],
  )
  const callbacks = counter(
    'callbacks_total',
    'Calls that tell apps what became of their mails, by outcome',
    ['app', 'outcome'],
  )
  const relays = histogram('relay_duration_seconds', 'One try at one relay', relaying, ['relay'])
  const stages: Record<Stage, Histogram> = {
    verify: histogram('verify_duration_seconds', 'Checking a token that was good', quick),
    render: histogram('render_duration_seconds', 'Writing a mail', quick),
    store: histogram('store_duration_seconds', 'Storing a mail before it is sent', storing),
  }
  watchEventLoop(gauge)

  return {
    timing: (stage, work) => {
      const seconds = stages[stage]
      return (...args) => {
        const since = performance.now()
        const record = () => seconds.observe((performance.now() - since) / 1_000)
        const result = work(...args)
        if (result instanceof Promise) void result.then(record, () => undefined)
        else record()
        return result
      }
    },
    answered(route = 'none', status, code) {
      requests.inc({ route, status, code })
      if (rejections.has(code) && callers.test(route)) rejected.inc({ code })
    },
    tried({ relay, outcome }, { app, kind }, ms) {
      attempts.inc({ app, kind, relay, outcome })
      relays.observe({ relay }, ms / 1_000)
    },
    reported: (relay, word) => feedback.inc({ relay, feedback: word }),
    called: (app, outcome) => callbacks.inc({ app, outcome }),
    watch({ outbox, transport, now }) {
      watchOutbox(gauge, outbox, now)
      watchRelays(gauge, transport)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

type NewGauge = (name: string, help: string, labelNames: string[], collect?: () => Promise<void>) => Gauge

function watchEventLoop(gauge: NewGauge): void {
  const delays = monitorEventLoopDelay({ resolution: lagEveryMs })
  delays.enable()
  const help = 'How late the event loop was since the last scrape; quantile 1 is the worst'
  const lag = gauge('event_loop_lag_seconds', help, ['quantile'], async () => {
    for (const quantile of [0.5, 0.99, 1]) {
      // what is recorded is the time between two timers, their pause included
      lag.set({ quantile }, Math.max(0, delays.percentile(quantile * 100) / 1e9 - lagEveryMs / 1_000))
    }
    delays.reset()
  })
}

/** Replicas that share a store tell the same numbers: take their maximum, not their sum. */
function watchOutbox(gauge: NewGauge, outbox: WatchedParts['outbox'], now: (() => number) | undefined): void {
  const trouble = () => outbox.trouble()
  const terms = { trouble, restMs: statsRestMs, waitMs: statsWithinMs, now }
  const stats = storeAnswer({ ...terms, read: () => outbox.stats() })
  const upkeep = storeAnswer({ ...terms, read: () => outbox.upkeep() })
  const up = gauge('store_up', '1 while the outbox can be used', [], async () =>
    up.set(trouble() === undefined ? 1 : 0),
  )
  const depth = gauge('outbox_mails', 'Mails in the outbox that are not done', ['state'], async () => {
    depth.reset()
    const found = await stats()
    if (!found) return
    for (const state of ['sending', 'queued', 'dead'] as const) depth.set({ state }, found[state])
  })
  const help = 'How long the oldest unsent mail has waited; 0 when none does'
  const age = gauge('outbox_oldest_unsent_age_seconds', help, [], async () => {
    age.remove()
    const found = await stats()
    if (found) age.set(found.oldest === undefined ? 0 : Math.max(0, (Date.now() - found.oldest) / 1_000))
  })
  const dead = gauge(
    'outbox_dead_rows',
    'Former versions of rows that vacuum has to remove',
    [],
    async () => {
      dead.remove()
      const found = await upkeep()
      if (found) dead.set(found.deadRows)
    },
  )
  const openHelp = 'How long the oldest open transaction keeps vacuum from its work'
  const open = gauge('outbox_oldest_transaction_seconds', openHelp, [], async () => {
    open.remove()
    const found = await upkeep()
    if (found) open.set(found.oldestTransactionS)
  })
}

function watchRelays(gauge: NewGauge, transport: WatchedParts['transport']): void {
  const labels = ['relay', 'state']
  const breakers = gauge('breaker_state', '1 for the state the breaker is in', labels, async () => {
    for (const { relay, breaker } of transport.breakers())
      for (const state of breakerStates) breakers.set({ relay, state }, state === breaker ? 1 : 0)
  })
  const pool = gauge('pool_connections', 'Connections to a relay, by state', labels, async () => {
    for (const { relay, connections } of transport.pools())
      for (const [state, count] of Object.entries(connections)) pool.set({ relay, state }, count)
  })
  const waiting = gauge('pool_waiting_mails', 'Mails that wait for a connection', ['relay'], async () => {
    for (const { relay, waiting: count } of transport.pools()) waiting.set({ relay }, count)
  })
}
