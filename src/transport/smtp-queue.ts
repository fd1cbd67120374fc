/** Owns who waits for a connection to a relay, and how fast they may leave. */
import type { Rate } from '../rate.ts'
import { rateGate } from './rate-limiter.ts'

const maxTimerMs = 60_000

/** `moveOn` is called when the rate lets somebody leave again. */
export function waitingLine<Job>(maxWaiting: number, rate: Rate | undefined, moveOn: () => void) {
  const gate = rate && rateGate(rate)
  const waiting: Job[] = []
  /** They lost a kept connection, and all that were kept as long may be dead as well. */
  const unlucky: Job[] = []
  let timer: NodeJS.Timeout | undefined

  function mayLeave(): boolean {
    if (!gate || gate.take()) return true
    timer ??= setTimeout(
      () => {
        timer = undefined
        moveOn()
      },
      Math.min(gate.waitMs(), maxTimerMs),
    ).unref()
    return false
  }

  const size = () => waiting.length + unlucky.length
  const nextForKept = () => (waiting.length > 0 && mayLeave() ? waiting.shift() : undefined)

  return {
    size,
    /** How many connections are missing where so many are idle. */
    missing: (idle: number) => Math.max(0, waiting.length - idle) + unlucky.length,
    /** Whoever comes need not join: nobody is before them, and the rate allows it. */
    mayPass: () => waiting.length === 0 && mayLeave(),
    /** False when there is no room. */
    join: (job: Job) => size() < maxWaiting && waiting.push(job) > 0,
    rejoin: (job: Job) => void unlucky.push(job),
    /** Who may have a connection that has been kept. */
    nextForKept,
    /** Who may have one that works. */
    nextForProven: () => {
      if (unlucky.length > 0) waiting.unshift(unlucky.shift()!)
      return nextForKept()
    },
    /** Who has waited longest, whatever the rate. */
    first: () => unlucky.shift() ?? waiting.shift(),
    /** Who was let go is done with, so that the rate counts on. */
    done: () => gate?.done(),
    takeOut: (which: (job: Job) => boolean) => [unlucky, waiting].flatMap((jobs) => takenOut(jobs, which)),
  }
}

function takenOut<Job>(jobs: Job[], which: (job: Job) => boolean): Job[] {
  const taken = jobs.filter(which)
  for (const job of taken) jobs.splice(jobs.indexOf(job), 1)
  return taken
}
