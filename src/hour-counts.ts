/**
 * Owns what is counted by the hour for the operator's page. A count is a number in memory; outbox/hour-writer.ts adds them
 * to the store, where those of several replicas add up.
 */
import { isFailureCode } from './contract.ts'
import type { Feedback } from './feedback.ts'
import type { Meter } from './meter.ts'

/** What became of mails. `waiting` is no sum: it is the most that waited at once. */
export const hourWords = ['accepted', 'sent', 'waiting', 'dead', 'bounced', 'complained'] as const
export type HourWord = (typeof hourWords)[number]

/** `name` is one of `hourWords`, or `refused:<code>:<reason>`. */
export interface HourCount {
  /** When the hour began, epoch ms. */
  readonly hour: number
  readonly name: string
  readonly n: number
  /** When the latest of them was counted. */
  readonly at: number
}

export interface HourCounts {
  readonly add: (word: HourWord) => void
  /** The depth of the outbox just now. */
  noteWaiting(depth: number): void
  addRefusal(code: string, reason: string): void
  /** All that was counted since the last call, which begins anew. */
  take(): HourCount[]
  /** What could not be stored is counted again, unless it is older than a day. */
  putBack(counts: readonly HourCount[]): void
}

const hourMs = 3_600_000
const shownHours = 24
/** Reasons are fixed words and codes of systems: so many different ones of an hour have never been seen. */
const maxNames = 200

export const hourOf = (ms: number) => Math.floor(ms / hourMs) * hourMs

/** When each hour of a day began, that of `ms` last. */
export const dayUntil = (ms: number) =>
  Array.from({ length: shownHours }, (_, index) => hourOf(ms) - (shownHours - 1 - index) * hourMs)

export function hourCounts(now: () => number = Date.now): HourCounts {
  let counts = new Map<string, { hour: number; name: string; n: number; at: number }>()
  /** Of this hour, without a search by text on the way of a mail. */
  let words = new Map<HourWord, { n: number; at: number }>()
  let hourEnds = 0

  function entry(hour: number, name: string) {
    const key = `${hour} ${name}`
    const known = counts.get(key)
    if (known) return known
    const made = { hour, name, n: 0, at: 0 }
    counts.set(key, made)
    return made
  }

  function wordNow(word: HourWord): { n: number; at: number } {
    const at = now()
    if (at >= hourEnds) {
      words = new Map()
      hourEnds = hourOf(at) + hourMs
    }
    let count = words.get(word)
    if (!count) words.set(word, (count = entry(hourOf(at), word)))
    count.at = at
    return count
  }

  return {
    add: (word) => void wordNow(word).n++,
    noteWaiting(depth) {
      const count = wordNow('waiting')
      count.n = Math.max(count.n, depth)
    },
    addRefusal(code, reason) {
      const at = now()
      const isWord = /^[\w .-]{0,64}$/.test(reason) && counts.size < maxNames
      const count = entry(hourOf(at), `refused:${code}:${isWord ? reason : 'other'}`)
      count.n++
      count.at = at
    },
    take() {
      const taken = [...counts.values()].filter(({ n }) => n > 0)
      counts = new Map()
      words = new Map()
      return taken
    },
    putBack(given) {
      const oldest = hourOf(now()) - shownHours * hourMs
      for (const { hour, name, n, at } of given) {
        if (hour < oldest) continue
        const count = entry(hour, name)
        count.n = name === 'waiting' ? Math.max(count.n, n) : count.n + n
        count.at = Math.max(count.at, at)
      }
    },
  }
}

/** The routes of those who ask for mails. What a stranger or a wrong path gets is nothing that an operator could mend. */
const callers = /^\/(?:emailservice|adapters|feedback|deliveries)/

/** The same meter, whose answers and reports are also counted by the hour. */
export function countedBy(counts: HourCounts, meter: Meter): Meter {
  return {
    ...meter,
    answered(route, status, code, reason = '') {
      meter.answered(route, status, code, reason)
      // to some systems also a failure is answered 200
      if (isFailureCode(code) && callers.test(route ?? '')) counts.addRefusal(code, reason)
    },
    reported(relay, feedback) {
      meter.reported(relay, feedback)
      const word = wordOf(feedback)
      if (word) counts.add(word)
    },
  }
}

function wordOf(feedback: Feedback): HourWord | undefined {
  if (feedback === 'bounced_hard' || feedback === 'bounced_soft') return 'bounced'
  return feedback === 'complained' ? 'complained' : undefined
}
