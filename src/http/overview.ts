/** Owns what the operator's page shows of the whole service: counters and bounded questions, never a count of sent mails. */
import packageJson from 'jwt-mailer/package.json' with { type: 'json' }
import { adviceOnRefusal, adviceOnRelay, adviceOnStore } from '../advice.ts'
import { isFailureCode } from '../contract.ts'
import { dayUntil, type HourCount, hourWords } from '../hour-counts.ts'
import type { RelayReason } from '../message.ts'
import type { Outbox, Stats } from '../outbox/api.ts'
import { mostOnPage } from '../outbox/hour-writer.ts'
import { storeAnswer } from '../store-answer.ts'
import { within } from '../timers.ts'

export interface OverviewParts {
  readonly outbox: Pick<Outbox, 'engine' | 'stats' | 'readHours' | 'trouble'>
  readonly transport: {
    readonly breakers: () => readonly { readonly relay: string; readonly breaker: string }[]
  }
  /** What this process has seen of a relay. */
  readonly triesAt: (relay: string) => {
    readonly trouble: { readonly at: number; readonly reason: RelayReason } | null
    readonly sentAt: number | null
  }
  /** Stores what this process has counted. */
  readonly refreshHours: () => Promise<void>
  readonly mails: () => readonly { readonly app: string; readonly kind: string }[]
  readonly suppression: 'app' | 'all' | 'off'
  /** The name of this process among its like: relays are as it sees them. */
  readonly replica: string
  readonly now: () => number
}

export type Overview = Awaited<ReturnType<ReadOverview>>
export type ReadOverview = ReturnType<typeof overviewReader>

const answerMs = 3_000
const maxRefusals = 50
const statsRestMs = 2_000

export function overviewReader(parts: OverviewParts) {
  const { outbox, transport, triesAt, refreshHours, mails, suppression, replica, now } = parts
  const readStats = storeAnswer({
    read: () => outbox.stats(mostOnPage),
    trouble: () => outbox.trouble(),
    restMs: statsRestMs,
    waitMs: answerMs,
  })

  async function readCounts(hours: readonly number[]): Promise<readonly HourCount[]> {
    await refreshHours()
    return outbox.readHours(hours.at(0)!, hours.at(-1)!)
  }

  return async function readOverview() {
    const hours = dayUntil(now())
    const [stats, counts] = await Promise.all([readStats(), inTime(readCounts(hours))])
    const trouble = outbox.trouble() ?? (stats && counts ? undefined : ('timeout' as const))
    const isThere = trouble === undefined
    return {
      now: now(),
      version: packageJson.version,
      replica,
      apps: unique(mails().map(({ app }) => app)),
      kinds: unique(mails().map(({ kind }) => kind)),
      store: {
        engine: outbox.engine,
        trouble: isThere ? null : { reason: trouble, sentence: adviceOnStore(trouble) },
      },
      /** So many of a state, or more: no more are counted. */
      most: mostOnPage,
      outbox: isThere && stats ? depthOf(stats) : null,
      hours: isThere && counts ? hoursOf(counts, hours, stats ? stats.sending + stats.queued : 0) : [],
      relays: transport.breakers().map(({ relay, breaker }) => relayAt(relay, breaker)),
      refusals: isThere && counts ? refusalsOf(counts) : [],
      suppression,
    }
  }

  function relayAt(name: string, state: string) {
    const { trouble, sentAt } = triesAt(name)
    return {
      name,
      state,
      trouble: trouble && { ...trouble, sentence: adviceOnRelay(trouble.reason) },
      sentAt,
    }
  }
}

const unique = (words: readonly string[]) => [...new Set(words)]

const depthOf = ({ sending, queued, dead, oldest }: Stats) => ({
  sending,
  queued,
  dead,
  oldest: oldest ?? null,
})

/** `undefined` for what takes too long or fails. */
const inTime = <T>(answer: Promise<T>) => within(answerMs, answer).catch(() => undefined)

/** Every hour of the day, whether something was counted in it or not. What waits now belongs to the last one already. */
function hoursOf(counts: readonly HourCount[], hours: readonly number[], waitsNow: number) {
  return hours.map((hour) => {
    const ofHour = counts.filter((count) => count.hour === hour)
    const sumOf = (fits: (name: string) => boolean) =>
      ofHour.reduce((sum, { name, n }) => (fits(name) ? sum + n : sum), 0)
    const [accepted, sent, waited = 0, dead, bounced, complained] = hourWords.map((word) =>
      sumOf((name) => name === word),
    )
    const waiting = hour === hours.at(-1) ? Math.max(waited, waitsNow) : waited
    const refused = sumOf((name) => readRefusal(name) !== undefined)
    return { hour, accepted, sent, waiting, dead, bounced, complained, refused }
  })
}

/** The most frequent first. */
function refusalsOf(counts: readonly HourCount[]) {
  const byName = Map.groupBy(counts, ({ name }) => name)
  return [...byName]
    .flatMap(([name, same]) => {
      const refusal = readRefusal(name)
      if (!refusal) return []
      const { code, reason } = refusal
      const n = same.reduce((sum, count) => sum + count.n, 0)
      const at = Math.max(...same.map((count) => count.at))
      return [{ code, reason, n, at, sentence: adviceOnRefusal(code, reason) }]
    })
    .toSorted((a, b) => b.n - a.n)
    .slice(0, maxRefusals)
}

/** `undefined` for other names, and for codes that this version does not know. */
function readRefusal(name: string) {
  const [, code = '', reason = ''] = /^refused:(\w+):([\w .-]{0,64})$/.exec(name) ?? []
  return isFailureCode(code) ? { code, reason } : undefined
}
