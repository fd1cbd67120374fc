/** Owns the comparison of this machine's clock with another one: a token holds times, so a wrong clock refuses good ones. */
import { about, type Finding } from './finding.ts'

const { ok, warn, bad } = about('clock')
/** What token verification tolerates. */
const toleranceS = 60
const noticeableS = 10

export interface ClockReading {
  /** Whose clock it is: `the database`. */
  readonly owner: string
  readonly epochMs: number
}

/** Rejects when the clock cannot be read. */
export type ClockSource = (signal: AbortSignal) => Promise<ClockReading>

/** Of several sources the first that answers counts. */
export async function examineClock(
  sources: readonly ClockSource[],
  signal: AbortSignal,
  clock: () => number = Date.now,
): Promise<Finding> {
  const compare = async (source: ClockSource): Promise<Finding> => {
    const askedAt = clock()
    const { owner, epochMs } = await source(signal)
    // the other clock was read somewhere between question and answer
    return judgeSkew(Math.round(((askedAt + clock()) / 2 - epochMs) / 1000), owner)
  }
  return Promise.any(sources.map(compare)).catch(() =>
    warn(
      'unknown: neither the database nor the API of a relay could be asked for the time',
      'Compare `date -u` with a clock you trust; more than a minute off, and tokens are refused.',
    ),
  )
}

function judgeSkew(skewS: number, owner: string): Finding {
  const off = Math.abs(skewS)
  const says = `${off} s ${skewS > 0 ? 'ahead of' : 'behind'} ${owner}`
  const todo = 'Let this machine keep time by NTP (timedatectl set-ntp true).'
  if (off > toleranceS) return bad(`${says}: valid tokens are refused, or expired ones accepted`, todo)
  if (off > noticeableS) return warn(says, todo)
  return ok(off <= 1 ? `agrees with ${owner}` : says)
}
