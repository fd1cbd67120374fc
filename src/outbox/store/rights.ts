/** Owns what Postgres refuses for want of rights: who was refused, and the statement that its owner runs. */
import { z } from 'zod'
import { SetupError } from './setup.ts'
import type { SqlRow } from './statement.ts'

/** SQLSTATE: no right to do that; no schema in which to create a table. */
export const isRefusalOfRights = (code: string | undefined) => code === '42501' || code === '3F000'

/** Who was refused, where, and which of our tables are there already. */
export const refusalQuery = `select quote_ident(current_user) as role,
  quote_ident(coalesce(current_schema(), 'public')) as schema,
  to_regclass('outbox_schema') is not null and to_regclass('outbox_mail') is not null as installed`

const refusedSchema = z
  .object({ role: z.string(), schema: z.string(), installed: z.boolean() })
  .catch({ role: 'ROLE', schema: 'public', installed: false })

/** From a row of `refusalQuery`. */
export function setupError(refused: SqlRow | undefined): SetupError {
  const { role, schema, installed } = refusedSchema.parse(refused)
  if (!installed)
    return new SetupError(
      `The outbox cannot be set up: the role ${role} may not create tables. As the owner of the database run: ` +
        `grant usage, create on schema ${schema} to ${role};`,
    )
  return new SetupError(
    `The outbox cannot be set up: the role ${role} may not use its tables. As their owner run: ` +
      `grant select, insert, update, delete on outbox_schema, outbox_mail, outbox_quota to ${role}; ` +
      `if a new version has to change them, it must own them: alter table outbox_mail owner to ${role};`,
  )
}
