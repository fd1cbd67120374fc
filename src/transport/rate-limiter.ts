/** Owns how many mails one relay may get in any window of time. */
import type { Rate } from '../rate.ts'

export interface RateGate {
  /** Takes a place when one is free. */
  take(): boolean
  /** The relay has answered, or will not: the place is free again one window from now. */
  done(): void
  /** When the next place may be free, in ms; a place that is in use counts for nothing here. */
  waitMs(): number
}

/**
 * Places are counted from the relay's answer and not from our start: however long a mail is on its way, the relay never
 * sees more of them in a window than we allow. The price is a rate a little below the one asked for.
 */
export function rateGate({ max, windowMs }: Rate, now: () => number = () => performance.now()): RateGate {
  /** When the places that rest were given back, oldest first. */
  const resting: number[] = []
  let running = 0

  function wake(time: number): void {
    while (resting.length > 0 && resting[0]! + windowMs <= time) resting.shift()
  }

  return {
    take() {
      wake(now())
      if (running + resting.length >= max) return false
      running++
      return true
    },
    done() {
      running--
      resting.push(now())
    },
    waitMs: () => (resting.length > 0 ? Math.max(1, Math.ceil(resting[0]! + windowMs - now())) : windowMs),
  }
}
