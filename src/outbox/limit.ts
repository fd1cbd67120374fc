/** Owns the limits of mails per time: how they are written, and which counters a mail touches. */
import type { Quota } from './store/transaction.ts'

export interface Limit {
  readonly max: number
  readonly windowMs: number
}

export interface Limits {
  /** Per recipient. `undefined`: no limit. */
  readonly recipient?: Limit | undefined
  readonly app?: Limit | undefined
}

const unitsMs = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Reads `30/1h` (also `s`, `m`, `d`); `off` is no limit. Throws a sentence when it is neither. */
export function parseLimit(text: string): Limit | undefined {
  if (text === 'off') return undefined
  const [, max, count, unit = ''] = /^([1-9]\d{0,8})\/([1-9]\d{0,3})([smhd])$/.exec(text) ?? []
  const unitMs = unitsMs.get(unit)
  if (max === undefined || count === undefined || unitMs === undefined)
    throw new Error(`a limit is written like 30/1h or off, not ${JSON.stringify(text.slice(0, 40))}`)
  return { max: Number(max), windowMs: Number(count) * unitMs }
}

/** The counters of one mail. Windows stand still on the clock: `1h` is counted from full hour to full hour. */
export function quotasFor(limits: Limits, recipient: string, app: string, now: number): Quota[] {
  const quota = (name: string, limit: Limit | undefined): Quota[] => {
    if (limit === undefined) return []
    const ends = (Math.floor(now / limit.windowMs) + 1) * limit.windowMs
    return [{ key: `${name}:${limit.windowMs}`, max: limit.max, ends }]
  }
  return [...quota(`app:${app}`, limits.app), ...quota(`recipient:${recipient}`, limits.recipient)]
}
