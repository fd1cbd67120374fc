/** Owns what a report changes inside a transaction: what stands for its mail, and who gets no mail any more or again. */
import { severityOf } from '../../feedback.ts'
import type { BounceEntry, DeliveryEntry, FeedbackOperation } from './operation.ts'
import { type Answer, done, forAny, roundTrip, rowsById } from './round-trip.ts'
import type { Sql } from './sql.ts'
import type { SqlRow, Steps } from './statement.ts'
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
  const bounced = newestOfEach(bounces.map(bounceOf))
  yield* roundTrip({
    known: forAny(bounced, sql.bounceAgain),
    fresh: forAny(bounced, sql.bounce),
    lifted: forAny(newestOfEach(deliveries.map(deliveryOf)), sql.liftDelivered),
  })
}

function bounceOf([{ now, suppressUntil }, { recipient, app, created }]: News[number]): BounceEntry {
  return {
    recipient: String(recipient),
    app: String(app),
    created: Number(created),
    now,
    until: suppressUntil,
  }
}

function deliveryOf([{ scope }, { recipient, app, created }]: News[number]): DeliveryEntry {
  return {
    recipient: String(recipient),
    app: scope === 'all' ? null : String(app),
    created: Number(created),
  }
}

/** An update that is joined to two rows takes either of them. In one order, so that two of them do not lock each other out. */
function newestOfEach<Entry extends DeliveryEntry>(entries: readonly Entry[]): Entry[] {
  const oldestFirst = entries.toSorted((a, b) => a.created - b.created)
  const byAddress = new Map(oldestFirst.map((entry) => [`${entry.recipient} ${entry.app}`, entry]))
  return [...byAddress].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}
