/** Owns how events come and go inside a transaction: written beside the change that they tell of, and leased. */
import { type CalledApps, eventOfFeedback, isCalled, newEvent, type NewEvent } from '../../event.ts'
import type { StatusReason } from '../../message.ts'
import type { FeedbackOperation, LeaseEventsOperation } from './operation.ts'
import { forAny, roundTrip } from './round-trip.ts'
import type { Sql } from './sql.ts'
import type { SqlRow, Steps } from './statement.ts'

/** In the transaction of what they tell, and only for rows that it has changed, so that a process that is killed leaves both or neither. */
export function* writeEvents(events: readonly NewEvent[], sql: Sql): Steps<void> {
  yield* roundTrip({ counted: forAny(events, sql.countEvents), added: forAny(events, sql.addEvents) })
}

export function eventsOfNews(news: readonly (readonly [FeedbackOperation, SqlRow])[]): NewEvent[] {
  return news.flatMap(([{ id: mail, feedback, now, calledApps }, { app }]) => {
    const event = isCalled(calledApps, String(app)) ? eventOfFeedback(feedback) : undefined
    return event ? [newEvent({ mail, now, ...event })] : []
  })
}

/** Of changed rows, those that have died of it. */
export function eventsOfDead(
  rows: readonly SqlRow[],
  detail: StatusReason,
  now: number,
  calledApps: CalledApps | undefined,
): NewEvent[] {
  const dead = rows.filter(({ state, app }) => state === 'dead' && isCalled(calledApps, String(app)))
  return dead.map(({ id }) => newEvent({ mail: String(id), type: 'mail.dead', detail, now }))
}

/** Mostly nothing is due, and nothing is written. */
export function* leaseEvents(operation: LeaseEventsOperation, sql: Sql): Steps<SqlRow[]> {
  const [apps = []] = yield [sql.dueApps(operation)]
  const due = new Set(apps.map((row) => String(row['app'])))
  const wanted = operation.wanted.filter(({ app }) => due.has(app))
  if (wanted.length === 0) return []
  return (yield wanted.map(({ app, limit }) => sql.leaseEvents(operation, app, limit))).flat()
}
