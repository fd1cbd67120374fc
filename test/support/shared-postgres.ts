/** Owns the one Postgres that the store tests of a run share. Each of their files makes databases of its own on it. */
import { postgresMissing, startPostgres } from './postgres.ts'

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env['DATABASE_URL'] || postgresMissing() !== undefined) return undefined
  const postgres = await startPostgres({ own: true })
  process.env['TEST_POSTGRES'] = postgres.url
  return () => postgres.close()
}
