/** Owns where the configuration puts the outbox: in which database, and in which file when that is SQLite. */
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { Engine } from './engine.ts'
import { sqliteEngine } from './sqlite.ts'

export type StorePlace = Pick<Config, 'databaseUrl' | 'heroku' | 'dataDir'>

export const outboxFile = ({ dataDir }: Pick<StorePlace, 'dataDir'>) => join(dataDir, 'outbox.sqlite')

/** Postgres is loaded only where it is used. */
export async function engineOf({ databaseUrl, heroku, dataDir }: StorePlace): Promise<Engine> {
  if (databaseUrl === undefined) return sqliteEngine({ path: outboxFile({ dataDir }) })
  const { postgresEngine } = await import('./postgres.ts')
  return postgresEngine({ url: databaseUrl, onHeroku: heroku })
}
