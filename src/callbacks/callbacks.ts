/**
 * Owns the calls that tell apps what became of their mails: events that are due are leased, sent and ended. Each app has
 * a few calls at once of its own, so that a slow receiver holds up no other.
 */
import type { Log } from '../log.ts'
import type { Meter } from '../meter.ts'
import type { DueEvent, Outbox } from '../outbox/api.ts'
import { isUnavailable } from '../outbox/reconnect.ts'
import { pause, within } from '../timers.ts'
import type { Webhook } from '../webhook.ts'
import { type CallResult, type Receiver, receiver, type ReceiverOptions } from './call.ts'
import { bodyOf } from './event-body.ts'
import { nextCallMs } from './schedule.ts'

export interface CallbacksOptions extends Pick<ReceiverOptions, 'callMs' | 'resolve'> {
  readonly webhookOf: (app: string) => Webhook | undefined
  /** All apps, those without a webhook too. */
  readonly apps: () => readonly string[]
  readonly outbox: Pick<Outbox, 'leaseEvents' | 'endEvent'>
  readonly meter: Pick<Meter, 'called'>
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
  readonly everyMs?: number
  readonly clock?: () => number
  /** 0 to 1. */
  readonly random?: () => number
}

export interface Callbacks {
  /** Leases no more, lets running calls finish for `graceMs`, and gives the others to another replica. */
  stop(graceMs: number): Promise<void>
}

/** What is known of one app's receiver, until the next start. */
interface Line {
  readonly receiver: Receiver
  running: number
  /** In a row. While its last call has failed, one at a time is enough to see when it is back. */
  failures: number
  restUntil: number
}

const connections = 4

export function startCallbacks(options: CallbacksOptions): Callbacks {
  const { webhookOf, apps, outbox, meter, log, everyMs = 1000, callMs, resolve } = options
  const { clock = Date.now, random = Math.random } = options
  const lines = new Map<string, Line>()
  const running = new Set<Promise<void>>()
  const stopping = new AbortController()
  const cutting = new AbortController()
  let leasing = Promise.resolve(false)

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      leasing = leaseAll().catch(report)
      const wait = pause(everyMs * (0.75 + random() / 2), stopping.signal)
      await ((await leasing) ? Promise.race([wait, ...running]) : wait)
    }
  }

  function report(error: unknown): false {
    // the outbox has logged that its store is unavailable
    if (!isUnavailable(error)) log.error({ reason: 'internal' }, 'the callbacks could not be leased')
    return false
  }

  /** True when there may be more. */
  async function leaseAll(): Promise<boolean> {
    const wanted = apps().flatMap((app) => {
      const limit = roomOf(app)
      return limit > 0 ? [{ app, limit }] : []
    })
    const events = await outbox.leaseEvents(wanted)
    for (const event of events) {
      const run = tell(event).finally(() => running.delete(run))
      running.add(run)
    }
    return wanted.some(({ app, limit }) => events.filter((event) => event.app === app).length >= limit)
  }

  function lineOf(app: string): Line | undefined {
    const known = lines.get(app)
    const webhook = known ? undefined : webhookOf(app)
    if (!webhook) return known
    const made = receiver(webhook, { connections, callMs, resolve, clock })
    const line: Line = { receiver: made, running: 0, failures: 0, restUntil: 0 }
    lines.set(app, line)
    return line
  }

  function roomOf(app: string): number {
    const line = lineOf(app)
    if (!line || clock() < line.restUntil) return 0
    return (line.failures > 0 ? 1 : connections) - line.running
  }

  async function tell(event: DueEvent): Promise<void> {
    const line = lineOf(event.app)
    if (!line) return
    line.running += 1
    const since = performance.now()
    const call = { id: event.id, now: clock(), body: bodyOf(event) }
    const result = stopping.signal.aborted ? closing : await line.receiver.call(call, cutting.signal)
    line.running -= 1
    // a store that does not take the end lets the lease run out: the app is called once more
    await end(event, result, line, Math.round(performance.now() - since)).catch(report)
  }

  async function end(event: DueEvent, result: CallResult, line: Line, ms: number): Promise<void> {
    const { id: event_id, app, mail: id, type, attempts: attempt } = event
    const fields = { event: event_id, app, id, type, attempt, ms }
    if (result.taken) {
      line.failures = 0
      meter.called(app, 'taken')
      log.info(fields, 'callback')
      return outbox.endEvent(event)
    }
    const { reason, reply, cause, retryAfterMs } = result
    if (reason === 'closing') return outbox.endEvent(event, 0)
    const now = clock()
    line.failures = reason === 'gone' ? 0 : line.failures + 1
    line.restUntil = Math.max(line.restUntil, now + restMs(line.failures), now + (retryAfterMs ?? 0))
    const why = { ...fields, reason, reply, cause }
    if (reason === 'gone') {
      meter.called(app, 'gone')
      log.error(why, 'the receiver says that it is gone: remove its webhook from the environment')
      return outbox.endEvent(event)
    }
    const next = { attempts: attempt, now, ends: event.ends, random: random(), retryAfterMs }
    const retryInMs = nextCallMs(next)
    meter.called(app, retryInMs === undefined ? 'given_up' : 'failed')
    if (retryInMs === undefined) log.error(why, 'a callback was given up after a day')
    else log.warn(why, 'the receiver did not take a callback')
    return outbox.endEvent(event, retryInMs)
  }

  void work()
  return {
    async stop(graceMs) {
      stopping.abort()
      const deadline = performance.now() + graceMs
      await within(graceMs, leasing)
      await within(Math.max(0, deadline - performance.now()), Promise.all(running))
      cutting.abort()
      await within(1000, Promise.all(running))
      for (const line of lines.values()) line.receiver.close()
    },
  }
}

const closing = { taken: false, reason: 'closing' } as const

/** A receiver that fails is asked again after a second, then two, four, and at last a minute, whatever waits for it. */
const restMs = (failures: number) => (failures === 0 ? 0 : Math.min(1000 * 2 ** (failures - 1), 60_000))
