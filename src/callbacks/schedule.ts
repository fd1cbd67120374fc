/** Owns when an app is called again that has not taken an event. */

const minuteMs = 60_000
const waitsMs = [5000, minuteMs, 5 * minuteMs, 15 * minuteMs, 60 * minuteMs, 120 * minuteMs]
const longestMs = 240 * minuteMs

export interface ScheduleOptions {
  /** Calls so far, at least one. */
  readonly attempts: number
  readonly now: number
  /** When the last call is made. */
  readonly ends: number
  /** 0 to 1: a quarter of each wait is spread, so that replicas and events do not come back all at once. */
  readonly random: number
  readonly retryAfterMs?: number | undefined
}

/** `undefined`: that was the last call. */
export function nextCallMs({
  attempts,
  now,
  ends,
  random,
  retryAfterMs = 0,
}: ScheduleOptions): number | undefined {
  if (now >= ends) return undefined
  const waitMs = (waitsMs[attempts - 1] ?? longestMs) * (0.75 + random / 4)
  return Math.min(Math.max(waitMs, retryAfterMs), ends - now)
}
