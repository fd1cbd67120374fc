/** Owns what a report changes inside a transaction: what stands for its mail, and who gets no mail any more or again. */
import { severityOf } from '../../feedback.ts'
import type { FeedbackOperation, SuppressEntry, SuppressionScope } from './operation.ts'
import { type Answer, done, forAny, roundTrip, rowsById } from './round-trip.ts'
import type { Sql } from './sql.ts'
import type { SqlRow, Steps } from './statement.ts'
import { everyApp } from './suppression-sql.ts'
import { eventsOfNews, writeEvents } from './write-events.ts'

/** One row for each mail, the most severe: an update that is joined to two rows takes either of them. */
export function* noteAll(operations: readonly FeedbackOperation[], sql: Sql): Steps<Answer[]> {
  const worst = new Map<string, FeedbackOperation>()
  for (const operation of operations) {
    const mail = `${operation.id} ${operation.created}`
    const other = worst.get(mail)
    if (!other || severityOf(operation.feedback) > severityOf(other.feedback)) worst.set(mail, operation)
  }
  const noted = [...worst.values()]
  const { changed = [] } = yield* roundTrip({ changed: sql.note(noted) })
  const rows = rowsById(changed)
  const news = new Map(
    noted.flatMap((operation) => {
      const row = rows.get(operation.id)
      return row !== undefined && Number(row['created']) === operation.created ? [[operation, row]] : []
    }),
  )
  yield* writeEvents(eventsOfNews([...news]), sql)
  yield* suppressOrLift([...news], sql)
  return operations.map((operation) => {
    const row = news.get(operation)
    return [operation, done(row === undefined ? [] : [row])]
  })
}

type News = readonly (readonly [FeedbackOperation, SqlRow])[]

/** What the news mean for the next mails to their recipients. */
function* suppressOrLift(news: News, sql: Sql): Steps<void> {
  // a row without a recipient was erased
  const kept = news.filter(([{ scope }, { recipient }]) => scope !== null && recipient !== '')
  const bounces = kept.filter(([{ feedback }]) => feedback === 'bounced_hard')
  // who calls a mail spam has got it
  const deliveries = kept.filter(([{ feedback }]) => feedback === 'delivered' || feedback === 'complained')
  const { found = [] } = yield* roundTrip({
    suppressed: forAny(bounces.map(entryOf), sql.suppress),
    found: forAny(deliveries, (list) => sql.findSuppressed(list.map(([, row]) => String(row['recipient'])))),
  })
  // Mostly nobody is suppressed, and nothing is left to ask.
  const lifted = found.filter((row) => deliveries.some(([{ scope }, mail]) => lifts(scope, mail, row)))
  yield* roundTrip({ lifted: forAny(lifted, sql.liftDelivered) })
}

function entryOf([{ now, suppressUntil }, { recipient, app }]: News[number]): SuppressEntry {
  const who = { recipient: String(recipient), app: String(app) }
  return { ...who, reason: 'bounced', since: now, until: suppressUntil }
}

/** A mail that was accepted after the bounce. What an operator has added, only an operator lifts. */
function lifts(scope: SuppressionScope | null, mail: SqlRow, suppression: SqlRow): boolean {
  const { recipient, app, since, reason } = suppression
  const isFor = scope === 'all' || app === everyApp || app === mail['app']
  return (
    isFor && recipient === mail['recipient'] && reason !== 'added' && Number(since) < Number(mail['created'])
  )
}
