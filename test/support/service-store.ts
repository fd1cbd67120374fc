/** Owns the store of a whole service in a test, on either engine: where it is, what stands in it, and how to hold it up. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { postgresMissing, type PostgresOptions, startPostgres, type TestPostgres } from './postgres.ts'

export interface ServiceStore {
  /** What a service needs in its environment to use it. */
  readonly env: Readonly<Record<string, string>>
  /** A connection of its own, as another replica would have it. */
  engine(): Engine
  /** Rows of a plain question, past all of our own code. */
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Everything that is written down, as it could be read from a stolen disk or dump. */
  content(): Promise<string>
  /** Lets nobody write until the returned function is called. */
  hold(): Promise<() => Promise<void>>
}

export interface ServiceStores {
  /** A store without a mail; on Postgres set up already, as after a first start. */
  fresh(): Promise<ServiceStore>
  /** A store that nobody has opened yet. */
  untouched(): Promise<ServiceStore>
  /** A Postgres of its own only: the server, to stop and start. */
  readonly server: TestPostgres['server']
  close(): Promise<void>
}

interface EngineUnderTest {
  readonly engine: 'SQLite' | 'Postgres'
  /** Why it cannot be tested here. */
  readonly missing: string | undefined
  startStores(options?: Pick<PostgresOptions, 'own'>): Promise<ServiceStores>
}

export const engines: readonly EngineUnderTest[] = [
  { engine: 'SQLite', missing: undefined, startStores: startFiles },
  { engine: 'Postgres', missing: postgresMissing(), startStores: startServer },
]

async function startFiles(): Promise<ServiceStores> {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-store-'))
  let count = 0
  const fresh = async () => fileStore(join(folder, `${(count += 1)}`))
  return {
    server: undefined,
    fresh,
    untouched: fresh,
    close: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

function fileStore(dir: string): ServiceStore {
  const path = join(dir, 'outbox.sqlite')
  const withFile = <T>(work: (database: DatabaseSync) => T): T => {
    const database = new DatabaseSync(path, { timeout: 5000 })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  return {
    env: { DATA_DIR: dir },
    engine: () => sqliteEngine({ path }),
    rows: async (sql) => withFile((database) => database.prepare(sql).all()),
    content: async () =>
      readdirSync(dir)
        .map((name) => readFileSync(join(dir, name), 'latin1'))
        .join('\n'),
    async hold() {
      const database = new DatabaseSync(path, { timeout: 0 })
      await lock(database)
      return async () => {
        database.exec('rollback')
        database.close()
      }
    },
  }
}

/** Does not wait inside SQLite: that would stop this process, and with it whoever is to let go of the lock. */
async function lock(database: DatabaseSync): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return database.exec('begin immediate')
    } catch (error) {
      if (tries === 1000) throw error
      await sleep(10)
    }
  }
}

async function startServer(options: Pick<PostgresOptions, 'own'> = {}): Promise<ServiceStores> {
  const postgres = await startPostgres(options)
  return {
    server: postgres.server,
    fresh: async () => serverStore(await postgres.createOutbox()),
    untouched: async () => serverStore(await postgres.createDatabase()),
    close: () => postgres.close(),
  }
}

/** A database that stands already. */
export function serverStore(url: string): ServiceStore {
  const connect = async () => {
    const client = new Client({ connectionString: url })
    // a server that is stopped under it says so here
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  const rows = async (sql: string) => {
    const client = await connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }
  return {
    env: { DATABASE_URL: url },
    engine: () => postgresEngine({ url }),
    rows,
    content: async () =>
      JSON.stringify([await rows('select * from outbox_mail'), await rows('select * from outbox_quota')]),
    async hold() {
      const client = await connect()
      // a busy machine may still be installing the schema
      while ((await rows(`select to_regclass('outbox_mail') as there`))[0]?.['there'] === null)
        await sleep(50)
      await client.query('begin; lock table outbox_mail in exclusive mode')
      return async () => {
        await client.query('rollback').catch(() => undefined)
        await client.end()
      }
    },
  }
}
