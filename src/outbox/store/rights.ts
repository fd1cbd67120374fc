/** Owns what Postgres refuses for want of rights: who was refused, and the statement that its owner runs. */
import { z } from 'zod'
import { SetupError } from './setup.ts'
import type { SqlRow } from './statement.ts'

/** SQLSTATE: no right to do that; no schema in which to create a table. */
export const isRefusalOfRights = (code: string | undefined) => code === '42501' || code === '3F000'

/** Who was refused, where, and which of our tables are there already. */
export const refusalQuery = `select quote_ident(current_user) as role,
  quote_ident(coalesce(current_schema(), 'public')) as schema,
  (select string_agg(relname, ', ' order by relname) from pg_class where relkind = 'r' and relname like 'outbox_%'
    and relnamespace = (select relnamespace from pg_class where oid = to_regclass('outbox_mail'))) as tables`

const refusedSchema = z
  .object({ role: z.string(), schema: z.string(), tables: z.string().nullable() })
  .catch({ role: 'ROLE', schema: 'public', tables: null })

/** From a row of `refusalQuery`. */
export function setupError(refused: SqlRow | undefined): SetupError {
  const { role, schema, tables } = refusedSchema.parse(refused)
  if (tables === null)
    return new SetupError(
      `The outbox cannot be set up: the role ${role} may not create tables. As the owner of the database run: ` +
        `grant usage, create on schema ${schema} to ${role};`,
    )
  return new SetupError(
    `The outbox cannot be set up: the role ${role} may not use its tables. As their owner run: ` +
      `grant select, insert, update, delete on ${tables} to ${role}; ` +
      `if a new version has to change them, it must own them: alter table outbox_mail owner to ${role};`,
  )
}
