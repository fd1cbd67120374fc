/** Owns the tries that no request waits for: mails that are due are leased, tried and settled. */
import type { Log } from '../log.ts'
import { pause, within } from '../timers.ts'
import { isUnavailable } from './reconnect.ts'
import type { Due, Outbox, Settlement } from './api.ts'

const purgeEveryMs = 60_000
/** The rest of the running mails is more than the relays carry. */
const refillAt = 0.85

export interface PumpOptions {
  readonly outbox: Pick<Outbox, 'leaseDue' | 'settle' | 'handBack' | 'purge'>
  /** Tries one mail once, within 20 s. What it throws is a bug: the mail is tried again later. */
  readonly attempt: (mail: Due) => Promise<Settlement>
  /** False while no relay can be tried: then no mail is leased, or a long backlog would be leased and handed back all the time. */
  readonly ready?: (() => boolean) | undefined
  readonly log: Pick<Log, 'error'>
  readonly everyMs?: number
  /** A few more than the relays carry at once: then a connection that gets free has its mail, and a fresh one hardly waits. */
  readonly maxRunning?: () => number
  readonly clock?: () => number
  /** 0 to 1, for the jitter. */
  readonly random?: () => number
}

export interface Pump {
  /** Leases no more, lets running attempts finish for `graceMs`, hands back what is left. */
  stop(graceMs: number): Promise<void>
}

/** Looks for due mails every 2 s or so, and at once again while there are more than can run at once. */
export function startPump(options: PumpOptions): Pump {
  const { outbox, attempt, ready = () => true, log, everyMs = 2000, maxRunning = () => 16 } = options
  const { clock = Date.now, random = Math.random } = options
  const running = new Map<Due, Promise<void>>()
  const stopping = new AbortController()
  let leasing = Promise.resolve(false)
  let purgedAt = clock()
  let purging: Promise<unknown> | undefined

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      leasing = leaseAll().catch(report)
      if (await leasing) await untilSomeFree()
      else await pause(everyMs * (0.75 + random() / 2), stopping.signal)
      if (clock() - purgedAt >= purgeEveryMs) purge()
    }
  }

  /** Runs beside the tries, which do not wait for it: after a long stop there may be a million rows to delete. */
  function purge(): void {
    purgedAt = clock()
    purging ??= outbox
      .purge(stopping.signal)
      .catch(report)
      .finally(() => (purging = undefined))
  }

  /** Leases only what can start now, so that no lease runs out in a queue. True when there may be more. */
  async function leaseAll(): Promise<boolean> {
    const free = ready() ? Math.max(0, maxRunning() - running.size) : 0
    const due = await outbox.leaseDue(free)
    if (stopping.signal.aborted) await handBack(due)
    else
      for (const mail of due)
        running.set(
          mail,
          run(mail).finally(() => running.delete(mail)),
        )
    return due.length > 0
  }

  const handBack = (mails: Iterable<Due>) => Promise.all([...mails].map((mail) => outbox.handBack(mail)))

  /** Leasing several mails at once costs as much as leasing one, but no connection may be without a mail meanwhile. */
  async function untilSomeFree(): Promise<void> {
    while (running.size > maxRunning() * refillAt && !stopping.signal.aborted)
      await Promise.race(running.values())
  }

  async function run(mail: Due): Promise<void> {
    const settlement = await attempt(mail).catch((): Settlement => {
      log.error({ id: mail.id, reason: 'internal' }, 'an attempt failed in an unforeseen way')
      return { state: 'queued', detail: 'internal' }
    })
    // When the mail was handed back meanwhile, the outbox ignores every state but `sent`.
    await outbox.settle(mail, settlement)
  }

  function report(error: unknown): false {
    // The outbox has logged that its store is unavailable.
    if (!isUnavailable(error)) log.error({ reason: 'internal' }, 'the pump could not lease or purge')
    return false
  }

  void work()
  return {
    async stop(graceMs) {
      stopping.abort()
      const deadline = performance.now() + graceMs
      await leasing
      await within(Math.max(0, deadline - performance.now()), Promise.all(running.values()))
      await handBack(running.keys())
    },
  }
}
