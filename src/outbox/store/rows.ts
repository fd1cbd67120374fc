/**
 * Owns how rows travel to a statement: as one JSON parameter, so that a batch of 256 costs as many statements as a batch
 * of one.
 */
import type { Dialect, SqlValue, Statement } from './statement.ts'

/** Of a mail, as everyone may see it. */
export const mailColumns =
  'id, app, kind, state, lease, attempts, due, expires, created, done, detail, relay, feedback'

export const text = (name: string) => `value ->> '${name}'`
export const whole = (name: string) => `cast(value ->> '${name}' as bigint)`
export const hasListedId = ({ each }: Dialect) => `id in (select ${text('id')} from ${each})`

export const statement = (sql: string, ...params: SqlValue[]): Statement => ({ sql, params })
export const json = (list: readonly object[]) => JSON.stringify(list)
export const idsOf = (mails: readonly { id: string }[]) => json(mails.map(({ id }) => ({ id })))
/** Hidden names of recipients, for `listedNames`. */
export const namesOf = (names: readonly string[]) => json(names.map((name) => ({ name })))
export const listedNames = ({ each }: Dialect) => `select ${text('name')} from ${each}`
/** The order in which rows are locked. */
export const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)
