/** Owns the two stores every outbox test runs on, and the mails it puts there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { Engine } from '../../src/outbox/store/engine.ts'
import type { Limits } from '../../src/outbox/store/quotas.ts'
import { openOutbox, type OutboxOptions } from '../../src/outbox/outbox.ts'
import type { Lease, NewMail, Outbox } from '../../src/outbox/api.ts'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { postgresMissing, startPostgres } from '../support/postgres.ts'
import { titled } from '../support/missing.ts'

export interface Store {
  /** A new connection to the same store, as another replica would have it. */
  engine(): Engine
  /** The same for another process: the store's address, for fixtures/store.ts. */
  readonly address: string
  /** A store beside it without a mail; on Postgres set up already, as after a first start. */
  another(): Promise<Store>
  /** A store that nobody has opened. */
  untouched(): Promise<Store>
  close(): Promise<void>
}

const missing = postgresMissing()
/** Tests on a store that is not there are skipped, and its name says why. */
export const stores = [
  { name: 'SQLite', skipped: false, start: startSqlite },
  {
    name: titled('Postgres', missing),
    skipped: missing !== undefined,
    start: startOnPostgres,
  },
]

export function engineAt(address: string): Engine {
  return address.startsWith('postgres:') ? postgresEngine({ url: address }) : sqliteEngine({ path: address })
}

async function startSqlite(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-outbox-'))
  let number = 0
  const at = (address: string): Store => ({
    address,
    engine: () => engineAt(address),
    another: async () => at(join(folder, `${(number += 1)}`, 'outbox.db')),
    untouched: async () => at(join(folder, `${(number += 1)}`, 'outbox.db')),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  })
  return at(join(folder, 'outbox.db'))
}

async function startOnPostgres(): Promise<Store> {
  const server = await startPostgres()
  const at = (address: string): Store => ({
    address,
    engine: () => engineAt(address),
    another: async () => at(await server.createOutbox()),
    untouched: async () => at(await server.createDatabase()),
    close: () => server.close(),
  })
  return at(server.url)
}

/** Asks the store itself, past the outbox. */
export async function query(address: string, sql: string): Promise<Record<string, unknown>[]> {
  if (!address.startsWith('postgres:')) {
    const database = new DatabaseSync(address)
    const rows = database.prepare(sql).all()
    database.close()
    return rows
  }
  const client = new Client({ connectionString: address })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

export const silent = { info() {}, warn() {}, error() {} }

export interface OpenOptions {
  readonly log?: OutboxOptions['log']
  readonly limits?: Limits
  readonly suppression?: OutboxOptions['suppression']
  readonly secrets?: readonly string[]
  readonly clock?: () => number
  readonly random?: () => number
  readonly findOutMs?: number
  readonly count?: NonNullable<OutboxOptions['count']>
  readonly calledApps?: NonNullable<OutboxOptions['calledApps']>
}

/** An outbox with limits off unless told. */
export function open(store: Pick<Store, 'engine'>, options: OpenOptions = {}): Promise<Outbox> {
  const { limits = {}, secrets = ['the secret of the tests'], ...rest } = options
  return openOutbox({ engine: store.engine(), limits, secrets, log: silent, ...rest })
}

/** How many mails are in each state. */
export const countAll = async (outbox: Outbox) => ({
  ...(await outbox.stats()),
  sent: await outbox.countSent(),
})

const dayMs = 86_400_000
export const token = 'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2VtYWlsIjoiYWRhQGV4YW1wbGUub3JnIn0.signature'

export const mail = (id: string, over: Partial<NewMail> = {}, now = Date.now()): NewMail => ({
  id,
  app: 'default',
  kind: 'confirmation',
  recipient: 'ada@example.org',
  token,
  expires: now + dayMs,
  windowMs: dayMs,
  ...over,
})

/** Accepts a mail that nothing stands in the way of. */
export async function own(outbox: Outbox, wanted: NewMail): Promise<Lease> {
  const accepted = await outbox.accept(wanted)
  if (accepted.state !== 'owner') throw new Error(`not the owner: ${accepted.state}`)
  return accepted.lease
}

export const sent = { state: 'sent', relay: 'smtp', detail: 'accepted' } as const
