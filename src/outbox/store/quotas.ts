/** Owns the arithmetic of quotas inside one transaction: every mail is counted first, and refused ones are uncounted. */
import type { Rate } from '../../rate.ts'
import type { AcceptOperation, Quota } from './operation.ts'
import type { SqlRow } from './statement.ts'

/** One quota, and how many mails of a batch count in it. */
export interface Tally extends Quota {
  readonly n: number
}

/** The sum of the quotas of a batch, in the order in which the rows are locked. */
export function tally(mails: readonly AcceptOperation[]): Tally[] {
  const tallies = new Map<string, Tally>()
  for (const { key, ends, latestEnd, max } of mails.flatMap((mail) => mail.quotas)) {
    const { n = 0, ends: before = 0 } = tallies.get(key) ?? {}
    tallies.set(key, { key, max, n: n + 1, ends: Math.max(ends, before), latestEnd })
  }
  return [...tallies.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

interface Verdict {
  /** Refused mails, and until when. */
  readonly limited: ReadonlyMap<string, number>
  /** What was counted for mails that are refused or not new. */
  readonly uncounted: readonly { readonly key: string; readonly n: number }[]
}

/**
 * `counted` are the rows after the whole tally was added. A mail that one of its quotas refuses counts in none of them.
 */
export function judgeQuotas(
  mails: readonly AcceptOperation[],
  tallies: readonly Tally[],
  counted: readonly SqlRow[],
  isNew: (mail: AcceptOperation) => boolean,
): Verdict {
  const rows = new Map(counted.map((row) => [row['key'], row]))
  const room = new Map(tallies.map(({ key, max, n }) => [key, max + n - Number(rows.get(key)?.['n'])]))
  const limited = new Map<string, number>()
  const uncounted = new Map<string, number>()
  for (const mail of mails) {
    const full = mail.quotas.filter(({ key }) => (room.get(key) ?? 0) <= 0)
    if (isNew(mail) && full.length === 0) add(room, mail, -1)
    else add(uncounted, mail, 1)
    if (isNew(mail) && full.length > 0)
      limited.set(mail.id, Math.max(...full.map(({ key }) => Number(rows.get(key)?.['ends']))))
  }
  return { limited, uncounted: [...uncounted].map(([key, n]) => ({ key, n })) }
}

function add(counter: Map<string, number>, { quotas }: AcceptOperation, n: number): void {
  for (const { key } of quotas) counter.set(key, (counter.get(key) ?? 0) + n)
}

export interface Limits {
  /** Per recipient. `undefined`: no limit. */
  readonly recipient?: Rate | undefined
  readonly app?: Rate | undefined
}

/** The clocks of replicas may differ by so much. */
const clockSpreadMs = 2 * 60_000

/** The quotas of one mail. Windows are aligned to the clock: `1h` runs from full hour to full hour. */
export function quotasFor(limits: Limits, recipient: string, app: string, now: number): Quota[] {
  const quota = (name: string, rate: Rate | undefined): Quota[] => {
    if (rate === undefined) return []
    const ends = (Math.floor(now / rate.windowMs) + 1) * rate.windowMs
    const latestEnd = ends + Math.max(rate.windowMs, clockSpreadMs)
    return [{ key: `${name}:${rate.windowMs}`, max: rate.max, ends, latestEnd }]
  }
  return [...quota(`app:${app}`, limits.app), ...quota(`recipient:${recipient}`, limits.recipient)]
}
