/**
 * Owns what happens to mails and quotas inside a transaction, many operations at once. The statements are in sql.ts;
 * sealing, waiting and retries are not known here.
 *
 * Where transactions run side by side, those that accept do nothing else, and take their locks in one order: new mails
 * by id, quotas by key, mails to take over by id. The others settle by id, or skip locked rows.
 */
import type {
  AcceptOperation,
  FindOperation,
  Operation,
  OperationResult,
  SettleOperation,
} from './operation.ts'
import { noteAll } from './note-feedback.ts'
import { judgeQuotas, tally } from './quotas.ts'
import { type Answer, done, forAny, ids, roundTrip, rowsById } from './round-trip.ts'
import type { Sql } from './sql.ts'
import type { SqlRow, Steps } from './statement.ts'
import { eventsOfDead, leaseEvents, writeEvents } from './write-events.ts'

/** The transaction that carries out the operations, with a result for each, in their order. */
export function* transact(operations: readonly Operation[], sql: Sql): Steps<OperationResult[]> {
  const settles = ofKind(operations, 'settle')
  const accepts = ofKind(operations, 'accept')
  const finds = ofKind(operations, 'find')
  const reports = ofKind(operations, 'feedback')
  const grouped = new Set<Operation>([...settles, ...accepts, ...finds, ...reports])
  const singles = operations.filter((operation) => !grouped.has(operation))
  // Settled first, so that a mail that was sent is not leased beside it.
  const parts: Steps<Answer[]>[] = []
  if (settles.length > 0) parts.push(settleAll(settles, sql))
  if (accepts.length > 0) parts.push(acceptAll(accepts, sql))
  if (reports.length > 0) parts.push(noteAll(reports, sql))
  if (finds.length > 0) parts.push(findAll(finds, sql))
  parts.push(...singles.map((operation) => single(operation, sql)))
  const answers = yield* together(parts)
  const results = new Map(answers.flat())
  return operations.map((operation) => results.get(operation) ?? done([]))
}

/** Runs parts of a transaction side by side: their round trips are joined, so all take as many as the longest part. */
function* together<T>(parts: readonly Steps<T>[]): Steps<T[]> {
  const running = parts.map((part) => ({ part, step: part.next() }))
  while (running.some(({ step }) => !step.done)) {
    const rows = yield running.flatMap(({ step }) => (step.done ? [] : step.value))
    let from = 0
    for (const run of running) {
      if (run.step.done) continue
      const to = from + run.step.value.length
      run.step = run.part.next(rows.slice(from, to))
      from = to
    }
  }
  return running.flatMap(({ step }) => (step.done ? [step.value] : []))
}

// ---- accept ---------------------------------------------------------------------------------------------------

/**
 * The upsert of the quotas locks them until the commit, so that no other replica counts in between; counting rows
 * instead let 17 of 32 mails through a limit of 5. It is sent together with the insert, before it is known which mails
 * are new: repeats are rare, and a round trip would be added to every mail.
 */
function* acceptAll(operations: readonly AcceptOperation[], sql: Sql): Steps<Answer[]> {
  // When one batch has the same mail several times, the first of them decides for all.
  const firsts = new Map(operations.toReversed().map((accept) => [accept.id, accept]))
  const wanted = operations.filter((accept) => firsts.get(accept.id) === accept)
  const tallies = tally(wanted)
  const { inserted, counted = [] } = yield* roundTrip({
    inserted: sql.insert(wanted),
    counted: forAny(tallies, sql.count),
  })
  const insertedIds = ids(inserted)
  const known = wanted.filter(({ id }) => !insertedIds.has(id))
  // Mostly all are new, and the steps that follow have nothing to ask.
  const { ended, suppressedRows } = yield* roundTrip({
    ended: forAny(known, sql.takeable),
    suppressedRows: sql.suppressed(known),
  })
  const suppressedIds = ids(suppressedRows)
  const endedIds = ids(ended)
  const takeableIds = new Set([...endedIds].filter((id) => !suppressedIds.has(id)))
  const isNew = ({ id }: AcceptOperation) => insertedIds.has(id) || takeableIds.has(id)
  const { limited, uncounted } = judgeQuotas(wanted, tallies, counted, isNew)

  const owners = new Set(wanted.filter((accept) => isNew(accept) && !limited.has(accept.id)))
  const others = operations.filter((accept) => !owners.has(accept) && !limited.has(accept.id))
  const taken = [...owners].filter(({ id }) => takeableIds.has(id))
  const refused = wanted.filter(({ id }) => insertedIds.has(id) && limited.has(id))
  const { existing = [] } = yield* roundTrip({
    uncounted: forAny(uncounted, sql.uncount),
    taken: forAny(taken, sql.takeOver),
    removed: forAny(refused, sql.remove),
    existing: forAny(others, sql.find),
  })
  const existingById = rowsById(existing)
  return operations.map((accept): Answer => {
    if (owners.has(accept)) return [accept, { outcome: 'owner', rows: [] }]
    const until = limited.get(accept.id)
    if (until !== undefined) return [accept, { outcome: 'limited', rows: [], until }]
    const row = existingById.get(accept.id)
    if (suppressedIds.has(accept.id) && (row === undefined || endedIds.has(accept.id)))
      return [accept, { outcome: 'suppressed', rows: [] }]
    return [accept, row === undefined ? { outcome: 'gone', rows: [] } : { outcome: 'existing', rows: [row] }]
  })
}

// ---- settle and the rest ------------------------------------------------------------------------------------------

function* settleAll(operations: readonly SettleOperation[], sql: Sql): Steps<Answer[]> {
  // An update that is joined to two rows for one mail takes either of them: one row for each mail and lease is sent.
  const sent = new Map<string, SettleOperation>()
  const unsent = new Map<string, SettleOperation>()
  for (const settle of operations) {
    if (settle.state === 'sent') sent.set(settle.id, settle)
    else unsent.set(`${settle.id} ${settle.leaseId}`, settle)
  }
  const { settled = [], settledSent = [] } = yield* roundTrip({
    settled: forAny([...unsent.values()], sql.settle),
    settledSent: forAny([...sent.values()], sql.settleSent),
  })
  // A settlement that is repeated changes nothing, and has no event.
  const changedIds = ids([...settled, ...settledSent])
  const events = [...unsent.values(), ...sent.values()].flatMap(({ id, event }) =>
    event !== undefined && changedIds.has(id) ? [event] : [],
  )
  yield* writeEvents(events, sql)
  // `sent` always wins, so only the other operations need the row to know the state of their mail.
  const asking = operations.filter(({ state }) => state !== 'sent')
  if (asking.length === 0) return []
  // The row of a mail that was settled as sent in the same round trip is out of date.
  const current = settled.filter((row) => !sent.has(String(row['id'])))
  const currentIds = ids(current)
  const unknown = asking.filter(({ id }) => !currentIds.has(id))
  const { found = [] } = yield* roundTrip({ found: forAny(unknown, sql.find) })
  return rowEach(asking, [...current, ...found])
}

function* findAll(operations: readonly FindOperation[], sql: Sql): Steps<Answer[]> {
  const { found } = yield* roundTrip({ found: forAny(operations, sql.find) })
  return rowEach(operations, found)
}

/** Answers each operation with the row of its mail, or none. */
function rowEach(
  operations: readonly (SettleOperation | FindOperation)[],
  rows: readonly SqlRow[] = [],
): Answer[] {
  const byId = rowsById(rows)
  return operations.map((operation) => {
    const row = byId.get(operation.id)
    return [operation, done(row === undefined ? [] : [row])]
  })
}

function* single(operation: Operation, sql: Sql): Steps<Answer[]> {
  return [[operation, done(yield* rowsOf(operation, sql))]]
}

function* rowsOf(operation: Operation, sql: Sql): Steps<SqlRow[]> {
  switch (operation.op) {
    case 'lease': {
      const rows = yield* leaseRows(operation, sql)
      yield* writeEvents(eventsOfDead(rows, 'expired', operation.now, operation.calledApps), sql)
      return rows
    }
    case 'leaseEvents':
      return yield* leaseEvents(operation, sql)
    case 'endEvent':
      return (yield [sql.endEvent(operation)]).flat()
    case 'list':
      return (yield [sql.list(operation.state, operation.limit)]).flat()
    case 'search':
      return (yield [sql.search(operation), sql.searchEnd(operation)]).flat()
    case 'giveUp': {
      const { calledApps, now } = operation
      const rows = (yield [sql.giveUp(operation)]).flat()
      yield* writeEvents(eventsOfDead(rows, 'given_up', now, calledApps), sql)
      return rows
    }
    case 'addHours':
      return operation.counts.length > 0 ? (yield [sql.addHours(operation.counts)]).flat() : []
    case 'readHours':
      return (yield [sql.readHours(operation.from, operation.to, operation.limit)]).flat()
    case 'stats':
      return (yield [sql.stats(operation.most)]).flat()
    case 'countSent':
      return (yield [sql.countSent(operation.most)]).flat()
    case 'use':
      return (yield [sql.use(operation.use), sql.uses()]).slice(1).flat()
    case 'requeue':
      return (yield [sql.requeue(operation)]).flat()
    case 'findByRecipient': {
      const { names, after, limit } = operation
      return (yield [sql.foundInPage(after, limit, names), sql.lastOfPage(after, limit)]).flat()
    }
    case 'erase':
      return (yield [sql.erase(operation)]).flat()
    case 'eraseQuotas':
      return (yield [sql.eraseQuotas(operation.names)]).flat()
    case 'listSuppressed':
      return (yield [sql.listSuppressed(operation.limit)]).flat()
    case 'findSuppressed':
      return (yield [sql.findSuppressed(operation.names)]).flat()
    case 'suppress':
      return operation.entries.length > 0 ? (yield [sql.suppress(operation.entries)]).flat() : []
    case 'lift':
      return (yield [sql.lift(operation.names, operation.app)]).flat()
    case 'renameSuppressed': {
      const { from, to } = operation
      yield [sql.renameSuppressed(from, to)]
      return (yield [sql.dropRenamed(from)]).flat()
    }
    case 'purge': {
      const { now, limit, latest } = operation
      yield latest.map((each) => sql.bringForward(each, limit))
      return (yield [
        sql.purge('sent', now, limit),
        sql.purge('dead', now, limit),
        sql.purgeQuota(now, limit),
        sql.purgeSuppression(now, limit),
        sql.purgeEvents(operation.eventsEndedBy, limit),
        sql.purgeHours(operation.hoursBefore, limit),
      ]).flat()
    }
    default:
      throw new Error(`${operation.op} is carried out with others of its kind`)
  }
}

/** Those that died waiting, and up to `limit` of the others: each order is asked for what the ones before it left. */
function* leaseRows(operation: Extract<Operation, { op: 'lease' }>, sql: Sql): Steps<SqlRow[]> {
  const { limit } = operation
  if (limit === 0) return (yield [sql.expire(operation)]).flat()
  const [expired = [], soonest = []] = yield [sql.expire(operation), sql.lease(operation, 'soonest')]
  const leased = [...soonest]
  for (const order of ['queued', 'sending'] as const) {
    if (leased.length >= limit) break
    leased.push(...(yield [sql.lease({ ...operation, limit: limit - leased.length }, order)]).flat())
  }
  return [...expired, ...leased]
}

function ofKind<K extends Operation['op']>(operations: readonly Operation[], op: K) {
  return operations.filter((operation): operation is Extract<Operation, { op: K }> => operation.op === op)
}
