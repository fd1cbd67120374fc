/** Owns the arithmetic of limits inside one transaction: everything is counted first, and what must not count is given back. */
import type { Rate } from '../../rate.ts'
import type { AcceptOperation, Quota } from './operation.ts'
import type { SqlRow } from './statement.ts'

/** One limit of one subject, and how often a batch wants it. */
interface Tally {
  readonly key: string
  readonly max: number
  readonly n: number
  readonly ends: number
}

/** What the mails of a batch count together, in the order in which the rows are locked. */
export function tally(mails: readonly AcceptOperation[]): Tally[] {
  const tallies = new Map<string, Tally>()
  for (const { key, ends, max } of mails.flatMap((mail) => mail.quotas)) {
    const { n = 0, ends: latest = 0 } = tallies.get(key) ?? {}
    tallies.set(key, { key, max, n: n + 1, ends: Math.max(ends, latest) })
  }
  return [...tallies.values()].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

interface Verdict {
  /** Refused mails, and until when. */
  readonly limited: ReadonlyMap<string, number>
  /** What was counted and must not be. */
  readonly back: readonly { readonly key: string; readonly n: number }[]
}

/**
 * `counted` are the rows after the whole tally was added; `begins` tells which mails are new. A mail that one of its
 * limits refuses counts in none of them.
 */
export function judge(
  mails: readonly AcceptOperation[],
  tallies: readonly Tally[],
  counted: readonly SqlRow[],
  begins: (mail: AcceptOperation) => boolean,
): Verdict {
  const rows = new Map(counted.map((row) => [row['key'], row]))
  const room = new Map(tallies.map(({ key, max, n }) => [key, max + n - Number(rows.get(key)?.['n'])]))
  const limited = new Map<string, number>()
  const back = new Map<string, number>()
  for (const mail of mails) {
    const full = mail.quotas.filter(({ key }) => (room.get(key) ?? 0) <= 0)
    if (begins(mail) && full.length === 0) add(room, mail, -1)
    else add(back, mail, 1)
    if (begins(mail) && full.length > 0)
      limited.set(mail.id, Math.max(...full.map(({ key }) => Number(rows.get(key)?.['ends']))))
  }
  return { limited, back: [...back].map(([key, n]) => ({ key, n })) }
}

function add(counter: Map<string, number>, { quotas }: AcceptOperation, n: number): void {
  for (const { key } of quotas) counter.set(key, (counter.get(key) ?? 0) + n)
}

export interface Limits {
  /** Per recipient. `undefined`: no limit. */
  readonly recipient?: Rate | undefined
  readonly app?: Rate | undefined
}

/** The counters of one mail. Windows stand still on the clock: `1h` is counted from full hour to full hour. */
export function quotasFor(limits: Limits, recipient: string, app: string, now: number): Quota[] {
  const quota = (name: string, limit: Rate | undefined): Quota[] => {
    if (limit === undefined) return []
    const ends = (Math.floor(now / limit.windowMs) + 1) * limit.windowMs
    return [{ key: `${name}:${limit.windowMs}`, max: limit.max, ends }]
  }
  return [...quota(`app:${app}`, limits.app), ...quota(`recipient:${recipient}`, limits.recipient)]
}
