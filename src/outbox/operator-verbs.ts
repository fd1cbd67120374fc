/** Owns what operators and their metrics ask of the outbox: lists and counts of mails, requeuing and purging. */
import type { CalledApps } from '../event.ts'
import type { HourCount } from '../hour-counts.ts'
import { hourSchema, type Outbox, type Stats, statsSchema, type StoredMail, storedMailSchema } from './api.ts'
import type { Log } from '../log.ts'
import type { OperationQueues } from './operation-queues.ts'
import { deadKeptMs, leaseMs, maxWaitMs } from './settlement.ts'
import { type MailState, mostCounted, type OutboxUse, outboxUses } from './store/operation.ts'

const dayMs = 24 * 3_600_000
const pageSize = 500
const maxListed = 1000
/** Some seconds of a busy database. */
const mostRequeued = 5_000
/** For a last call that is late. */
const eventGraceMs = 3_600_000

/** So many names an hour are possible, for the hours of a day. */
const maxHourRows = 10_000
const hoursKeptMs = 8 * dayMs

type OperatorVerbs = Pick<
  Outbox,
  | 'list'
  | 'stats'
  | 'countSent'
  | 'requeue'
  | 'requeueDead'
  | 'requeueSome'
  | 'giveUp'
  | 'addHours'
  | 'readHours'
  | 'purge'
  | 'use'
>

export interface OperatorVerbsParts {
  readonly rowsOf: OperationQueues['rowsOf']
  readonly clock: () => number
  readonly log: Pick<Log, 'warn'>
  readonly calledApps: () => CalledApps | undefined
  /** Told of each mail that is given up. */
  readonly onDead: () => void
}

export function operatorVerbs({ rowsOf, clock, log, calledApps, onDead }: OperatorVerbsParts): OperatorVerbs {
  async function list(state: MailState, limit: number): Promise<StoredMail[]> {
    const rows = await rowsOf({ op: 'list', state, limit: Math.min(limit, maxListed) })
    return rows.map((row) => storedMailSchema.parse(row))
  }

  async function stats(most = mostCounted): Promise<Stats> {
    const rows = statsSchema.parse(await rowsOf({ op: 'stats', most }))
    const count = (state: MailState) => rows.find((row) => row.state === state)?.n ?? 0
    const unsent = rows.flatMap(({ state, oldest: at }) => (state === 'dead' || at === null ? [] : [at]))
    const oldest = unsent.length > 0 ? Math.min(...unsent) : undefined
    return { sending: count('sending'), queued: count('queued'), dead: count('dead'), oldest }
  }

  async function countSent(most = mostCounted): Promise<number> {
    const [row] = await rowsOf({ op: 'countSent', most })
    return Number(row?.['n'] ?? 0)
  }

  async function use(name: OutboxUse): Promise<OutboxUse[]> {
    const rows = await rowsOf({ op: 'use', use: name })
    return rows.flatMap((row) => outboxUses.filter((known) => known === row['use']))
  }

  async function requeue(id: string): Promise<boolean> {
    return (await requeuePage(id, clock())) > 0
  }

  async function requeueDead(): Promise<number> {
    return (await requeueSome({ most: Infinity })).count
  }

  async function requeueSome({ diedBy = clock(), most = mostRequeued } = {}) {
    for (let count = 0; ; ) {
      const page = await requeuePage(null, diedBy)
      count += page
      if (page < pageSize) return { count, next: null }
      if (count >= most) return { count, next: diedBy }
    }
  }

  /** One that dies once more meanwhile is left dead. */
  async function requeuePage(id: string | null, diedBy: number): Promise<number> {
    const now = clock()
    const page = { op: 'requeue', id, expires: now + dayMs, limit: pageSize, diedBy, now } as const
    return (await rowsOf(page)).length
  }

  async function giveUp(id: string, called = calledApps()): Promise<boolean> {
    const now = Math.round(clock())
    const times = { now, forgetAt: now + deadKeptMs }
    const rows = await rowsOf({ op: 'giveUp', id, calledApps: called, ...times })
    for (const _ of rows) onDead()
    return rows.length > 0
  }

  async function addHours(counts: readonly HourCount[]): Promise<void> {
    await rowsOf({ op: 'addHours', counts })
  }

  async function readHours(from: number, to: number): Promise<HourCount[]> {
    const rows = await rowsOf({ op: 'readHours', from, to, limit: maxHourRows })
    return rows.flatMap((row) => {
      const read = hourSchema.safeParse(row)
      return read.success ? [read.data] : []
    })
  }

  /** Answers how many mails. Events that are left a day after their receiver has not taken them are counted in the log. */
  async function purge(signal?: AbortSignal): Promise<number> {
    const now = clock()
    let mails = 0
    let events = 0
    await countPages(async () => {
      if (signal?.aborted) return 0
      const deleted = await rowsOf({
        op: 'purge',
        now,
        limit: pageSize,
        latest: latestDue(now),
        eventsEndedBy: now - eventGraceMs,
        hoursBefore: now - hoursKeptMs,
      })
      mails += deleted.filter(({ id }) => id !== undefined).length
      events += deleted.filter(({ event }) => event !== undefined).length
      return deleted.length
    })
    if (events > 0)
      log.warn(
        { events, reason: 'expired' },
        'callbacks were given up, because no receiver took them in a day',
      )
    return mails
  }

  return {
    list,
    stats,
    countSent,
    requeue,
    requeueDead,
    requeueSome,
    giveUp,
    addHours,
    readHours,
    purge,
    use,
  }
}

/** Clocks that are compared with the database's differ by less. */
const clockSpreadMs = 5 * 60_000

/**
 * The latest `due` that makes sense in each state. One beyond it was written by a clock that was wrong, or by another
 * hand: such a mail would wait for years.
 */
const latestDue = (now: number) => [
  { state: 'queued', due: now, latest: now + maxWaitMs + clockSpreadMs } as const,
  { state: 'sending', due: now, latest: now + leaseMs + clockSpreadMs } as const,
  { state: 'dead', due: now + deadKeptMs, latest: now + deadKeptMs + clockSpreadMs } as const,
]

/** Repeats a paged change until a page is not full. */
async function countPages(page: () => Promise<number>): Promise<number> {
  for (let total = 0; ; ) {
    const count = await page()
    total += count
    if (count < pageSize) return total
  }
}
