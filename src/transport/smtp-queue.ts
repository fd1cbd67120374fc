/**
 * Owns the mails that wait for a connection to one relay: fresh ones before the backlog, and as fast as the relay's rate
 * lets them leave.
 */
import type { Rate } from '../rate.ts'
import { rateGate } from './rate-limiter.ts'

const maxTimerMs = 60_000

/** `onRateFree` is called when the rate lets the next mail leave. */
export function sendQueue<Job>(maxWaiting: number, rate: Rate | undefined, onRateFree: () => void) {
  const gate = rate && rateGate(rate)
  const fresh: Job[] = []
  /** No request waits for these. */
  const backlog: Job[] = []
  /** These mails lost a kept connection. The others of the pool may be dead as well, so they need one that works. */
  const retrying: Job[] = []
  let timer: NodeJS.Timeout | undefined

  function rateAllows(): boolean {
    if (!gate || gate.take()) return true
    timer ??= setTimeout(
      () => {
        timer = undefined
        onRateFree()
      },
      Math.min(gate.waitMs(), maxTimerMs),
    ).unref()
    return false
  }

  const waiting = () => fresh.length + backlog.length
  const size = () => waiting() + retrying.length
  const nextForIdleConnection = () =>
    waiting() > 0 && rateAllows() ? (fresh.shift() ?? backlog.shift()) : undefined

  return {
    size,
    /** How many connections are missing while `idle` of them are free. */
    missing: (idle: number) => Math.max(0, waiting() - idle) + retrying.length,
    /** A new mail need not join: no other waits that goes before it, and the rate allows it. */
    canSkipQueue: (fromBacklog: boolean) =>
      fresh.length === 0 && (!fromBacklog || backlog.length === 0) && rateAllows(),
    /** False when there is no room. */
    join: (job: Job, fromBacklog: boolean) =>
      size() < maxWaiting && (fromBacklog ? backlog : fresh).push(job) > 0,
    joinToRetry: (job: Job) => void retrying.push(job),
    /** The next mail for a connection that has been idle. */
    nextForIdleConnection,
    /** The next mail for a connection that has just answered; retries go first. */
    nextForWorkingConnection: () => {
      if (retrying.length > 0) fresh.unshift(retrying.shift()!)
      return nextForIdleConnection()
    },
    /** Takes out the mail whose turn it is, whatever the rate. */
    takeFirst: () => retrying.shift() ?? fresh.shift() ?? backlog.shift(),
    /** A mail that was let go has ended, so its place in the rate becomes free one window from now. */
    noteEnd: () => gate?.done(),
    takeOut: (isMeant: (job: Job) => boolean) =>
      [retrying, fresh, backlog].flatMap((jobs) => takeOutOf(jobs, isMeant)),
  }
}

function takeOutOf<Job>(jobs: Job[], isMeant: (job: Job) => boolean): Job[] {
  const taken = jobs.filter(isMeant)
  for (const job of taken) jobs.splice(jobs.indexOf(job), 1)
  return taken
}
