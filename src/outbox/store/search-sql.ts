/**
 * Owns the SQL by which an operator looks for mails: along an index from where the last page ended, and never further than
 * so many rows, whatever the filters leave of them.
 */
import { mailColumns, statement } from './rows.ts'
import type { SearchOperation } from './operation.ts'
import type { SqlValue, Statement } from './statement.ts'

const keys = 'cast(due as text) as due_key, cast(created as text) as created_key'
/** As the index outbox_mail_recipient says it. A mail that is being sent is not in it, so that most mails never are. */
const isIndexed = `state || '' in ('queued', 'dead')`

export const searchSql = {
  /** Those of the next rows that fit. */
  search(operation: SearchOperation): Statement {
    const { app, kind, detail, id, recipient, state, limit, scan } = operation
    const { params, param } = parameters()
    const { where, order } = rowsFrom(operation, param)
    const filters = Object.entries({
      app,
      kind,
      detail,
      id,
      recipient: state === 'sending' ? recipient : undefined,
    }).flatMap(([column, value]) => (value === undefined ? [] : [`${column} = ${param(value)}`]))
    const sql = `select ${mailColumns}, ${keys} from
      (select ${mailColumns}, recipient from outbox_mail where ${where} order by ${order} limit ${scan}) as page
      ${filters.length > 0 ? `where ${filters.join(' and ')}` : ''} order by ${order} limit ${param(limit)}`
    return statement(sql, ...params)
  },
  /** The last of the rows that were looked at, unless there are none after them. */
  searchEnd(operation: SearchOperation): Statement {
    const { params, param } = parameters()
    const { where, order } = rowsFrom(operation, param)
    const sql = `select id as end_id, ${keys} from outbox_mail where ${where}
      order by ${order} limit 1 offset ${operation.scan - 1}`
    return statement(sql, ...params)
  },
}

function rowsFrom({ state, recipient, after }: SearchOperation, param: (value: SqlValue) => string) {
  const isDead = state === 'dead'
  const where = [`state = '${state}'`]
  if (recipient !== undefined && state !== 'sending') where.push(`recipient = ${param(recipient)}`, isIndexed)
  if (after)
    where.push(
      `(due, created, id) ${isDead ? '<' : '>'} (${[after.due, after.created, after.id].map(param).join(', ')})`,
    )
  // the dead of today first, and the waiting that are tried next
  const order = ['due', 'created', 'id'].map((column) => (isDead ? `${column} desc` : column)).join(', ')
  return { where: where.join(' and '), order }
}

function parameters() {
  const params: SqlValue[] = []
  return { params, param: (value: SqlValue) => `$${params.push(value)}` }
}
