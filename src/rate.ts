/** Owns "so many per time" and the durations in it: how they are written and what they mean. */

export interface Rate {
  readonly max: number
  readonly windowMs: number
}

const unitsMs = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Reads `90s`, `10m`, `24h`, `7d`. `undefined` when it is not written like that, or is no time at all. */
export function parseDurationMs(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const durationMs = Number(count) * (unitsMs.get(unit) ?? NaN)
  return durationMs > 0 ? durationMs : undefined
}

/** Reads `30/1h` (also `s`, `m`, `d`); `off` is no limit. Throws a sentence when it is neither. */
export function parseRate(text: string): Rate | undefined {
  if (text === 'off') return undefined
  const [, max, duration = ''] = /^([1-9]\d{0,8})\/([1-9]\d{0,3}[smhd])$/.exec(text) ?? []
  const windowMs = parseDurationMs(duration)
  if (max === undefined || windowMs === undefined)
    throw new Error(`a limit is written like 30/1h or off, not ${JSON.stringify(text.slice(0, 40))}`)
  return { max: Number(max), windowMs }
}
