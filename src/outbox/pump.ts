/** Owns the second story the service tells: mails whose time has come are leased, tried and settled. */
import { MailerError } from '../errors.ts'
import { pause } from '../timers.ts'
import type { Log } from './reconnect.ts'
import type { Due, Outbox, Settlement } from './api.ts'

const purgeEveryMs = 60_000

export interface PumpOptions {
  readonly outbox: Pick<Outbox, 'leaseDue' | 'settle' | 'handBack' | 'purge'>
  /** Tries one mail once, within 20 s. What it throws is a bug: the mail is tried again later. */
  readonly attempt: (mail: Due) => Promise<Settlement>
  /** False while there is nobody to try a mail with: then none is leased, or a long backlog would go round in circles. */
  readonly ready?: (() => boolean) | undefined
  readonly log: Log
  readonly everyMs?: number
  readonly maxRunning?: number
  readonly clock?: () => number
  /** 0 to 1, for the jitter. */
  readonly random?: () => number
}

export interface Pump {
  /** Leases no more, lets running attempts finish for `graceMs`, hands back what is left. */
  stop(graceMs: number): Promise<void>
}

/** Starts looking for due mails every 2 s or so; while there are more than fit, at once again. */
export function startPump(options: PumpOptions): Pump {
  const { outbox, attempt, ready = () => true, log, everyMs = 2000, maxRunning = 16 } = options
  const { clock = Date.now, random = Math.random } = options
  const running = new Map<Due, Promise<void>>()
  const stopping = new AbortController()
  let leasing = Promise.resolve(false)
  let purgedAt = clock()
  let purging: Promise<unknown> | undefined

  async function work(): Promise<void> {
    while (!stopping.signal.aborted) {
      leasing = leaseAll().catch(report)
      if (await leasing) await untilHalfFree()
      else await pause(everyMs * (0.75 + random() / 2), stopping.signal)
      if (clock() - purgedAt >= purgeEveryMs) purge()
    }
  }

  /** Beside the mail, which does not wait for it: after a long stop there may be a million rows. */
  function purge(): void {
    purgedAt = clock()
    purging ??= outbox
      .purge(stopping.signal)
      .catch(report)
      .finally(() => (purging = undefined))
  }

  /** Leases only what can start now, so that no lease runs out in a queue. True when there may be more. */
  async function leaseAll(): Promise<boolean> {
    if (!ready()) return false
    const free = maxRunning - running.size
    const due = free > 0 ? await outbox.leaseDue(free) : []
    if (stopping.signal.aborted) await handBack(due)
    else
      for (const mail of due)
        running.set(
          mail,
          run(mail).finally(() => running.delete(mail)),
        )
    return due.length === free
  }

  const handBack = (mails: Iterable<Due>) => Promise.all([...mails].map((mail) => outbox.handBack(mail)))

  /** One lease for several mails costs what a lease for one does. */
  async function untilHalfFree(): Promise<void> {
    while (running.size > maxRunning / 2 && !stopping.signal.aborted) await Promise.race(running.values())
  }

  async function run(mail: Due): Promise<void> {
    const settlement = await attempt(mail).catch((): Settlement => {
      log.error({ id: mail.id, reason: 'internal' }, 'an attempt failed in an unforeseen way')
      return { state: 'queued', detail: 'internal' }
    })
    // Handed back meanwhile: only `sent` still counts, and the outbox knows that.
    await outbox.settle(mail, settlement)
  }

  function report(error: unknown): false {
    // The store's own log line has said it.
    if (!(error instanceof MailerError && error.code === 'store_unavailable'))
      log.error({ reason: 'internal' }, 'the pump stumbled')
    return false
  }

  void work()
  return {
    async stop(graceMs) {
      stopping.abort()
      const endBy = performance.now() + graceMs
      await leasing
      const enough = new AbortController()
      const leftMs = Math.max(0, endBy - performance.now())
      await Promise.race([Promise.all(running.values()), pause(leftMs, enough.signal)])
      enough.abort()
      await handBack(running.keys())
    },
  }
}
