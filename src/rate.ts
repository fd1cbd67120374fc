/** Owns "so many per time": how it is written and what it means. */

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

/** Reads `30/1h` (also `s`, `m`, `d`); `off` is no limit. Throws a sentence when it is neither. */
export function parseRate(text: string): Rate | undefined {
  if (text === 'off') return undefined
  const [, max, count, unit = ''] = /^([1-9]\d{0,8})\/([1-9]\d{0,3})([smhd])$/.exec(text) ?? []
  const unitMs = unitsMs.get(unit)
  if (max === undefined || count === undefined || unitMs === undefined)
    throw new Error(`a limit is written like 30/1h or off, not ${JSON.stringify(text.slice(0, 40))}`)
  return { max: Number(max), windowMs: Number(count) * unitMs }
}
