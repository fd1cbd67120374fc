import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examineClock } from '../../src/doctor/clock.ts'
import { examineStore, postgresClock } from '../../src/doctor/store.ts'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { schemaVersion } from '../../src/outbox/store/schema.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { titled } from '../support/missing.ts'
import { folder, lines, rawServer } from './healthy-deployment.ts'

const { signal } = new AbortController()

async function ofFile(dataDir: string): Promise<string[]> {
  return said(await examineStore({ dataDir, databaseUrl: undefined, heroku: false }, signal))
}

async function ofPostgres(databaseUrl: string): Promise<string[]> {
  return said(await examineStore({ dataDir: '', databaseUrl, heroku: false }, signal))
}

/** It grows with each migration. */
const knownSchema = new RegExp(`(program knows|migrated \\(schema) ${schemaVersion}\\b`)

function said(findings: Awaited<ReturnType<typeof examineStore>>): string[] {
  return (['ok', 'warn', 'bad'] as const).flatMap((level) =>
    lines(findings, level).map((line) => `${level}: ${line}`.replace(knownSchema, '$1 NOW')),
  )
}

async function installedFile(): Promise<string> {
  const dir = folder()
  const engine = sqliteEngine({ path: join(dir, 'outbox.sqlite') })
  await engine.open()
  await engine.close()
  return dir
}

const row = (id: string, state: string) =>
  `insert into outbox_mail (id, app, kind, recipient, state, lease, attempts, due, expires, window_ms, created)
    values ('${id}', 'a', 'k', 'r', '${state}', 1, 1, 1, 1, 1, 1)`

const isRoot = process.getuid?.() === 0
const rootMay = isRoot ? 'root may write everywhere' : undefined

describe('the doctor looks at the outbox in a file', () => {
  it('and leaves it to the service to make it', async () => {
    const dir = folder()
    expect(await ofFile(join(dir, 'data'))).toMatchInlineSnapshot(`
      [
        "ok: store: DATA/data/outbox.sqlite is made when the service starts",
      ]
    `)
    expect(() => statSync(join(dir, 'data'))).toThrow('ENOENT')
  })

  it('and finds it migrated, with what waits and what was given up', async () => {
    const dir = await installedFile()
    const database = new DatabaseSync(join(dir, 'outbox.sqlite'))
    for (const [id, state] of [
      ['1', 'queued'],
      ['2', 'sending'],
      ['3', 'dead'],
      ['4', 'sent'],
    ] as const)
      database.exec(row(id, state))
    expect(await ofFile(dir)).toMatchInlineSnapshot(`
      [
        "ok: store: DATA/outbox.sqlite is reachable and migrated (schema NOW)",
        "ok: store: mails that wait: 2",
        "warn: store: mails given up in the last days: 1 → See why with jwt-mailer outbox list, and once the cause is mended put them back: jwt-mailer outbox requeue --all-dead",
      ]
    `)
    database.close()
  })

  it('and says when another program has it locked', async () => {
    const dir = await installedFile()
    const other = new DatabaseSync(join(dir, 'outbox.sqlite'))
    other.exec('begin immediate')
    const found = await ofFile(dir)
    other.close()
    expect(found.join()).toMatch(/^warn: store: .* is locked by another program → No mail can be stored/)
  })

  it('and says when another version has set it up', async () => {
    const dir = await installedFile()
    const database = new DatabaseSync(join(dir, 'outbox.sqlite'))
    database.exec('update outbox_schema set version = 99')
    expect(await ofFile(dir)).toMatchInlineSnapshot(`
      [
        "bad: store: DATA/outbox.sqlite was set up by a newer jwt-mailer (schema 99; this program knows NOW) → Deploy that version again, or give this one a store of its own.",
      ]
    `)
    database.exec('update outbox_schema set version = 0')
    expect(await ofFile(dir)).toMatchInlineSnapshot(`
      [
        "warn: store: DATA/outbox.sqlite has schema 0; this program knows NOW → The service migrates it when it starts: restart it.",
      ]
    `)
    database.close()
  })

  it('and says when the file is no database', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'outbox.sqlite'), 'Dear diary, '.repeat(100))
    expect(await ofFile(dir)).toMatchInlineSnapshot(`
      [
        "bad: store: DATA/outbox.sqlite cannot be read (SQLite error 26) → Is it an outbox? Move it away and the service makes a new one; the mails in it are lost then.",
      ]
    `)
  })

  it.skipIf(isRoot)(titled('and says when the folder belongs to somebody else', rootMay), async () => {
    const dir = folder()
    chmodSync(dir, 0o500)
    expect(await ofFile(dir)).toEqual([
      'bad: store: DATA is not writable for this user → Let the user that runs the service own DATA_DIR.',
    ])
  })
})

const noPostgres = postgresMissing()
const title = titled('the doctor looks at the outbox in Postgres', noPostgres)

describe.skipIf(noPostgres !== undefined)(title, () => {
  let postgres: TestPostgres
  beforeAll(async () => void (postgres = await startPostgres()))
  afterAll(() => postgres.close())

  it('and finds it empty before the first start, and migrated after it', async () => {
    const url = await postgres.createDatabase()
    expect(await ofPostgres(url)).toMatchInlineSnapshot(`
      [
        "ok: store: Postgres at 127.0.0.1:PORT is reachable; the service sets it up when it starts",
      ]
    `)
    const engine = postgresEngine({ url })
    await engine.open()
    await engine.close()
    expect(await ofPostgres(url)).toMatchInlineSnapshot(`
      [
        "ok: store: Postgres at 127.0.0.1:PORT is reachable and migrated (schema NOW)",
      ]
    `)
  })

  it('and says when another version has set it up, and counts the dead', async () => {
    const url = await postgres.createDatabase()
    const engine = postgresEngine({ url })
    await engine.open()
    await engine.close()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(row('1', 'dead'))
    expect(await ofPostgres(url)).toMatchInlineSnapshot(`
      [
        "ok: store: Postgres at 127.0.0.1:PORT is reachable and migrated (schema NOW)",
        "warn: store: mails given up in the last days: 1 → See why with jwt-mailer outbox list, and once the cause is mended put them back: jwt-mailer outbox requeue --all-dead",
      ]
    `)
    await client.query('update outbox_schema set version = 99')
    await client.end()
    expect(await ofPostgres(url)).toMatchInlineSnapshot(`
      [
        "bad: store: Postgres at 127.0.0.1:PORT was set up by a newer jwt-mailer (schema 99; this program knows NOW) → Deploy that version again, or give this one a store of its own.",
      ]
    `)
  })

  it('and says when it takes no writes', async () => {
    const url = await postgres.createDatabase()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_read_only = on`,
    )
    await client.end()
    expect(await ofPostgres(url)).toMatchInlineSnapshot(`
      [
        "bad: store: Postgres at 127.0.0.1:PORT takes no writes: it is a replica or read-only → Point DATABASE_URL to the primary.",
      ]
    `)
  })

  it('and says which statement lets the role set it up, or use it', async () => {
    const url = await postgres.createDatabase()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query(`create role doctor_weak login`)
    const weak = new URL(url)
    weak.username = 'doctor_weak'
    const before = await ofPostgres(weak.href)
    const engine = postgresEngine({ url })
    await engine.open()
    await engine.close()
    const after = await ofPostgres(weak.href)
    await client.query('grant select on outbox_schema, outbox_mail to doctor_weak')
    const reading = await ofPostgres(weak.href)
    await client.query('drop owned by doctor_weak; drop role doctor_weak')
    await client.end()
    expect(before.join()).toMatch(
      /^bad: store: .* the role doctor_weak may not create tables.* run: grant usage, create on schema public to doctor_weak;$/,
    )
    expect(after.join()).toMatch(/^bad: store: .* does not let this user see the outbox \(42501\)/)
    expect(reading.join()).toMatch(
      /^bad: store: .* the role doctor_weak may not use its tables.* run: grant select, insert, update, delete on/,
    )
  })

  it('and writes to it as a mail does: a lock is found', async () => {
    const url = await postgres.createDatabase()
    const engine = postgresEngine({ url })
    await engine.open()
    await engine.close()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query('begin; lock table outbox_mail in share mode')
    const locked = await ofPostgres(url)
    await client.query('rollback')
    await client.end()
    expect(locked.join()).toMatch(/^bad: store: .* holds the outbox locked: a mail was not written in time/)
  })

  it('and says when the database is not there', async () => {
    const url = new URL(postgres.url)
    url.pathname = '/nowhere'
    expect(await ofPostgres(url.href)).toMatchInlineSnapshot(`
      [
        "bad: store: Postgres at 127.0.0.1:PORT has no such database (3D000) → Create it, or correct DATABASE_URL.",
      ]
    `)
  })

  it('and asks it for the time', async () => {
    const { level, says } = await examineClock([postgresClock(postgres.url, false)], signal)
    expect({ level, says }).toEqual({ level: 'ok', says: 'agrees with the database' })
    const late = () => Date.now() - 90_000
    expect(
      lines([await examineClock([postgresClock(postgres.url, false)], signal, late)], 'bad'),
    ).toMatchInlineSnapshot(`
      [
        "clock: 90 s behind the database: valid tokens are refused, or expired ones accepted → Let this machine keep time by NTP (timedatectl set-ntp true).",
      ]
    `)
  })
})

describe('the doctor looks at a Postgres', () => {
  it('behind a socket, and says where that is', async () => {
    for (const url of ['postgres:///mails?host=/nowhere/pg', 'postgres://%2Fnowhere%2Fpg/mails'])
      expect((await ofPostgres(url)).join()).toContain('Postgres at /nowhere/pg cannot be reached (ENOENT)')
  })

  it('that is not there, or no Postgres, and keeps the password to itself', async () => {
    expect(await ofPostgres('postgres://mailer:geheim@127.0.0.1:1/mails')).toMatchInlineSnapshot(`
      [
        "bad: store: Postgres at 127.0.0.1:PORT cannot be reached (ECONNREFUSED) → Check host and port in DATABASE_URL, and whether the database is running.",
      ]
    `)
    const port = await rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const [line] = await ofPostgres(`postgres://mailer:geheim@127.0.0.1:${port}/mails`)
    expect(line).toMatch(/^bad: store: Postgres at 127\.0\.0\.1:PORT cannot be reached/)
  })

  it('that takes the connection and then says nothing', async () => {
    const port = await rawServer(() => {})
    const [line] = await ofPostgres(`postgres://mailer:geheim@127.0.0.1:${port}/mails`)
    expect(line).toMatch(
      /^bad: store: Postgres at 127\.0\.0\.1:PORT cannot be reached \(no answer within 5 s\)/,
    )
  })
})
