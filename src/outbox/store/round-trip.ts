/** Owns what the parts of a transaction share: round trips by name, and how rows are found again. */
import type { Operation, OperationResult } from './operation.ts'
import type { SqlRow, Statement, Steps } from './statement.ts'

export type Answer = readonly [Operation, OperationResult]

export const done = (rows: readonly SqlRow[]): OperationResult => ({ outcome: 'done', rows })

/** One round trip of named statements, answered by name. Those that are `undefined` are left out. */
export function* roundTrip<Name extends string>(
  statements: Readonly<Record<Name, Statement | undefined>>,
): Steps<Partial<Record<Name, SqlRow[]>>> {
  const sent: Statement[] = []
  for (const name in statements) {
    const statement = statements[name]
    if (statement !== undefined) sent.push(statement)
  }
  const answer: Partial<Record<Name, SqlRow[]>> = {}
  if (sent.length === 0) return answer
  const rows = yield sent
  let at = 0
  for (const name in statements) if (statements[name] !== undefined) answer[name] = rows[at++]
  return answer
}

/** The statement for a list, or none for an empty one. */
export const forAny = <Item>(list: readonly Item[], make: (list: readonly Item[]) => Statement) =>
  list.length > 0 ? make(list) : undefined

export const rowsById = (rows: readonly SqlRow[]) => new Map(rows.map((row) => [String(row['id']), row]))
export const ids = (rows: readonly SqlRow[] = []) => new Set(rows.map((row) => String(row['id'])))
