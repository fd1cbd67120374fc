/**
 * Owns what happens to mails and quotas inside a transaction, many operations at once. The statements are in sql.ts;
 * sealing, waiting and retries are not known here.
 *
 * Where transactions run side by side, those that accept do nothing else, and take their locks in one order: new mails
 * by id, quotas by key, mails to take over by id. The others settle by id, or pass over what is locked.
 */
import type {
  AcceptOperation,
  FindOperation,
  Operation,
  OperationResult,
  SettleOperation,
} from './operation.ts'
import type { Dialect, SqlRow, Statement, Steps } from './statement.ts'
import { judge, tally } from './quotas.ts'
import { type Sql, sqlFor } from './sql.ts'

type Answer = readonly [Operation, OperationResult]

/** The transaction that carries out the operations; its results stand in their order. */
export function* transact(operations: readonly Operation[], dialect: Dialect): Steps<OperationResult[]> {
  const sql = sqlFor(dialect)
  const settles = pick(operations, 'settle')
  const accepts = pick(operations, 'accept')
  const finds = pick(operations, 'find')
  const grouped = new Set<Operation>([...settles, ...accepts, ...finds])
  const singles = operations.filter((one) => !grouped.has(one))
  const answers = yield* together([
    settleAll(settles, sql),
    acceptAll(accepts, sql),
    findAll(finds, sql),
    ...singles.map((one) => single(one, sql)),
  ])
  const results = new Map(answers.flat())
  return operations.map((one) => results.get(one) ?? done([]))
}

/** Runs transactions side by side inside one: their flights are joined, so all together take as many as the longest. */
function* together<T>(parts: readonly Steps<T>[]): Steps<T[]> {
  const running = parts.map((part) => ({ part, state: part.next() }))
  while (running.some(({ state }) => !state.done)) {
    const rows = yield running.flatMap(({ state }) => (state.done ? [] : state.value))
    let from = 0
    for (const one of running) {
      if (one.state.done) continue
      const to = from + one.state.value.length
      one.state = one.part.next(rows.slice(from, to))
      from = to
    }
  }
  return running.flatMap(({ state }) => (state.done ? [state.value] : []))
}

// ---- accept ---------------------------------------------------------------------------------------------------

/**
 * The upsert of the quotas locks them until the commit, so what it returns cannot be outrun by another replica;
 * counting rows instead let 17 of 32 through a limit of 5. It leaves together with the insert, before it is known which
 * mails are new: repeats are rare, a round trip is not.
 */
function* acceptAll(operations: readonly AcceptOperation[], sql: Sql): Steps<Answer[]> {
  if (operations.length === 0) return []
  // The same mail several times in one batch: the first speaks for all.
  const first = new Map(operations.toReversed().map((one) => [one.id, one]))
  const wanted = operations.filter((one) => first.get(one.id) === one)
  const tallies = tally(wanted)
  const quotas = tallies.length > 0 ? [sql.count(tallies)] : []
  const [inserted, counted = []] = yield [sql.insert(wanted), ...quotas]
  const fresh = ids(inserted)
  const known = wanted.filter((one) => !fresh.has(one.id))
  const takeable = known.length === 0 ? new Set<string>() : ids((yield [sql.takeable(known)])[0])
  const begins = ({ id }: AcceptOperation) => fresh.has(id) || takeable.has(id)
  const { limited, back } = judge(wanted, tallies, counted, begins)

  const owners = new Set(wanted.filter((one) => begins(one) && !limited.has(one.id)))
  const others = operations.filter((one) => !owners.has(one) && !limited.has(one.id))
  const taken = [...owners].filter(({ id }) => takeable.has(id))
  const refused = wanted.filter(({ id }) => fresh.has(id) && limited.has(id))
  const flight: Statement[] = []
  if (back.length > 0) flight.push(sql.uncount(back))
  if (taken.length > 0) flight.push(sql.takeOver(taken))
  if (refused.length > 0) flight.push(sql.remove(refused))
  if (others.length > 0) flight.push(sql.standing(others))
  const rows = flight.length > 0 ? yield flight : []
  const standing = new Map((rows.at(-1) ?? []).map((row) => [String(row['id']), row]))
  return operations.map((one): Answer => {
    if (owners.has(one)) return [one, { outcome: 'owner', rows: [] }]
    const until = limited.get(one.id)
    if (until !== undefined) return [one, { outcome: 'limited', rows: [], until }]
    const row = standing.get(one.id)
    return [one, row === undefined ? { outcome: 'gone', rows: [] } : { outcome: 'standing', rows: [row] }]
  })
}

// ---- settle and the rest ------------------------------------------------------------------------------------------

function* settleAll(operations: readonly SettleOperation[], sql: Sql): Steps<Answer[]> {
  if (operations.length === 0) return []
  // An update joined to two rows for one mail takes either of them: keep one each.
  const sent = new Map<string, SettleOperation>()
  const fenced = new Map<string, SettleOperation>()
  for (const one of operations) {
    if (one.state === 'sent') sent.set(one.id, one)
    else fenced.set(`${one.id} ${one.leaseId}`, one)
  }
  const flight: Statement[] = []
  if (fenced.size > 0) flight.push(sql.settle([...fenced.values()]))
  if (sent.size > 0) flight.push(sql.settleSent([...sent.values()]))
  const flown = yield flight
  // a sent mail is sent whatever its row says: only the others ask what became of theirs
  const asking = operations.filter(({ state }) => state !== 'sent')
  if (asking.length === 0) return []
  // nor may one be told what its mail was before somebody else's `sent`
  const moved = (flown[0] ?? []).filter((row) => !sent.has(String(row['id'])))
  const known = ids(moved)
  const unmoved = asking.filter(({ id }) => !known.has(id))
  const standing = unmoved.length === 0 ? [] : (yield [sql.standing(unmoved)]).flat()
  return rowEach(asking, [...moved, ...standing])
}

function* findAll(operations: readonly FindOperation[], sql: Sql): Steps<Answer[]> {
  return operations.length === 0 ? [] : rowEach(operations, (yield [sql.standing(operations)])[0])
}

/** Answers each operation with the row of its mail, or none. */
function rowEach(
  operations: readonly (SettleOperation | FindOperation)[],
  rows: readonly SqlRow[] = [],
): Answer[] {
  const byId = new Map(rows.map((row) => [String(row['id']), row]))
  return operations.map((one) => [one, done([byId.get(one.id)].filter((row) => row !== undefined))])
}

function* single(operation: Operation, sql: Sql): Steps<Answer[]> {
  return [[operation, done(yield* rowsOf(operation, sql))]]
}

function* rowsOf(operation: Operation, sql: Sql): Steps<SqlRow[]> {
  switch (operation.op) {
    case 'lease': {
      const [queued = []] = yield [sql.lease(operation, 'queued')]
      const limit = operation.limit - queued.length
      return limit > 0
        ? [...queued, ...(yield [sql.lease({ ...operation, limit }, 'sending')]).flat()]
        : queued
    }
    case 'purge': {
      const { now, limit } = operation
      return (yield [
        sql.purge('sent', now, limit),
        sql.purge('dead', now, limit),
        sql.purgeQuota(now, limit),
      ]).flat()
    }
    case 'stats':
      return (yield [sql.stats()]).flat()
    case 'countSent':
      return (yield [sql.countSent()]).flat()
    case 'undo':
      return (yield [sql.undo(operation.id, operation.leaseId)]).flat()
    case 'list':
      return (yield [sql.list(operation.state, operation.limit)]).flat()
    case 'requeue':
      return (yield [sql.requeue(operation)]).flat()
    default:
      throw new Error(`${operation.op} is carried out with others of its kind`)
  }
}

const done = (rows: readonly SqlRow[]): OperationResult => ({ outcome: 'done', rows })

function pick<K extends Operation['op']>(operations: readonly Operation[], op: K) {
  return operations.filter((one): one is Extract<Operation, { op: K }> => one.op === op)
}

const ids = (rows: readonly SqlRow[] | undefined) => new Set(rows?.map((row) => String(row['id'])))
