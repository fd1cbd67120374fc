/**
 * Owns the time of the mails at one relay: when one must have begun to leave, when its receipt is due, and how a close
 * ends the last of them.
 */
import type { SendTerms } from '../message.ts'

/** Deadlines are looked at this often, and met one interval early rather than late. */
export const sweepMs = 200

/** One mail at a relay. Its times are on the transport's clock. */
export interface Timed {
  readonly since: number
  readonly startBy: number
  readonly endBy: number
  /** The message has begun to leave. */
  started: boolean
}

export interface DeadlineOptions {
  /** The longest a mail may take, waiting included, when its terms do not say. */
  readonly attemptMs: number
  readonly now: () => number
  /** Ends what is late. */
  readonly sweep: (time: number) => void
  /** Gives back what waits and ends what is idle. True when nothing is left. */
  readonly drain: () => boolean
}

export function deadlines({ attemptMs, now, sweep, drain }: DeadlineOptions) {
  const timer = setInterval(() => sweep(now()), sweepMs).unref()
  let closing: PromiseWithResolvers<void> | undefined

  /** Must be called whenever a mail or a connection has ended: a close may be waiting for the last one. */
  function noteEnd(): void {
    if (!closing || !drain()) return
    clearInterval(timer)
    closing.resolve()
  }

  function begin(terms: SendTerms = {}): Timed {
    const { endWithinMs = attemptMs, startWithinMs = endWithinMs } = terms
    const since = now()
    return { since, startBy: since + startWithinMs, endBy: since + endWithinMs, started: false }
  }

  function close(): Promise<void> {
    closing ??= Promise.withResolvers()
    noteEnd()
    return closing.promise
  }

  return { begin, isClosing: () => closing !== undefined, noteEnd, close }
}

export function isLate({ started, startBy, endBy }: Timed, time: number): boolean {
  return time >= (started ? endBy : startBy) - sweepMs
}

/** Without an answer: once the message has begun to leave, it may have arrived whole. */
export function outcomeOfSilence({ started }: Timed): 'unknown' | 'unsent' {
  return started ? 'unknown' : 'unsent'
}
