/** Owns the choice of the database that holds the outbox, and of the file when that is SQLite. */
import { join, resolve } from 'node:path'
import type { Engine } from './engine.ts'
import { sqliteEngine } from './sqlite.ts'

export interface StorePlace {
  /** Of Postgres; `undefined` for SQLite. */
  readonly databaseUrl: string | undefined
  readonly heroku: boolean
  readonly dataDir: string
}

export const outboxFile = ({ dataDir }: Pick<StorePlace, 'dataDir'>) => join(dataDir, 'outbox.sqlite')

/** What a start says of it: the file, wherever the process was started, or that it is Postgres. */
export const placeName = ({ databaseUrl, dataDir }: StorePlace) =>
  databaseUrl === undefined ? resolve(outboxFile({ dataDir })) : 'postgres'

/** Loads the driver of Postgres only when it is used. */
export async function engineOf({ databaseUrl, heroku, dataDir }: StorePlace): Promise<Engine> {
  if (databaseUrl === undefined) return sqliteEngine({ path: outboxFile({ dataDir }) })
  const { postgresEngine } = await import('./postgres.ts')
  return postgresEngine({ url: databaseUrl, onHeroku: heroku })
}
