/** Owns the mails that wait for a connection to one relay, and how fast the relay's rate lets them leave. */
import type { Rate } from '../rate.ts'
import { rateGate } from './rate-limiter.ts'

const maxTimerMs = 60_000

/** `onRateFree` is called when the rate lets the next mail leave. */
export function sendQueue<Job>(maxWaiting: number, rate: Rate | undefined, onRateFree: () => void) {
  const gate = rate && rateGate(rate)
  const waiting: Job[] = []
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

  const size = () => waiting.length + retrying.length
  const nextForIdleConnection = () => (waiting.length > 0 && rateAllows() ? waiting.shift() : undefined)

  return {
    size,
    /** How many connections are missing while `idle` of them are free. */
    missing: (idle: number) => Math.max(0, waiting.length - idle) + retrying.length,
    /** A new mail need not join: no other waits, and the rate allows it. */
    canSkipQueue: () => waiting.length === 0 && rateAllows(),
    /** False when there is no room. */
    join: (job: Job) => size() < maxWaiting && waiting.push(job) > 0,
    joinToRetry: (job: Job) => void retrying.push(job),
    /** The next mail for a connection that has been idle. */
    nextForIdleConnection,
    /** The next mail for a connection that has just answered; retries go first. */
    nextForWorkingConnection: () => {
      if (retrying.length > 0) waiting.unshift(retrying.shift()!)
      return nextForIdleConnection()
    },
    /** Takes out the mail that has waited longest, whatever the rate. */
    takeFirst: () => retrying.shift() ?? waiting.shift(),
    /** A mail that was let go has ended, so its place in the rate becomes free one window from now. */
    noteEnd: () => gate?.done(),
    takeOut: (isMeant: (job: Job) => boolean) =>
      [retrying, waiting].flatMap((jobs) => takeOutOf(jobs, isMeant)),
  }
}

function takeOutOf<Job>(jobs: Job[], isMeant: (job: Job) => boolean): Job[] {
  const taken = jobs.filter(isMeant)
  for (const job of taken) jobs.splice(jobs.indexOf(job), 1)
  return taken
}
