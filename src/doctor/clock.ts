/** Owns the comparison of this machine's clock with somebody else's: tokens live and die by it. */
import { about, type Finding } from './finding.ts'

const { ok, warn, bad } = about('clock')
/** What token verification tolerates. */
const toleranceS = 60
const noticeableS = 10

/** Somebody's time, epoch ms, and who it is. Rejects when it cannot be had. */
export type ClockSource = (signal: AbortSignal) => Promise<{ who: string; time: number }>

/** The quickest answer counts. */
export async function examineClock(
  sources: readonly ClockSource[],
  signal: AbortSignal,
  clock: () => number = Date.now,
): Promise<Finding> {
  const measure = async (source: ClockSource): Promise<Finding> => {
    const asked = clock()
    const { who, time } = await source(signal)
    // the answer was written somewhere between question and arrival
    return judge(Math.round(((asked + clock()) / 2 - time) / 1000), who)
  }
  return Promise.any(sources.map(measure)).catch(() =>
    warn(
      'unknown: neither the database nor SendGrid could be asked for the time',
      'Compare `date -u` with a clock you trust; more than a minute off, and tokens are refused.',
    ),
  )
}

function judge(skewS: number, who: string): Finding {
  const off = Math.abs(skewS)
  const says = `${off} s ${skewS > 0 ? 'ahead of' : 'behind'} ${who}`
  const todo = 'Let this machine keep time by NTP (timedatectl set-ntp true).'
  if (off > toleranceS) return bad(`${says}: good tokens are refused, or dead ones taken`, todo)
  if (off > noticeableS) return warn(says, todo)
  return ok(off <= 1 ? `agrees with ${who}` : says)
}
