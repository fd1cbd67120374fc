import { portOf } from '../support/port.ts'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MailerError } from '../../src/errors.ts'
import type { Outbox } from '../../src/outbox/api.ts'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { engineAt, mail, open, own, sent } from './stores.ts'

const missing = postgresMissing()
const restartable =
  missing ?? (process.env['DATABASE_URL'] ? 'the Postgres of DATABASE_URL is not ours to stop' : undefined)

let outbox: Outbox
afterEach(() => outbox?.close())

/** The code with which the store refuses, or what became of it instead. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => 'no refusal',
    (thrown: unknown) => thrown,
  )
  return error instanceof MailerError ? error.code : String(error)
}

/** So many that each waited for the store, which takes seconds, could not be refused while a test runs. */
async function expectRefusalsAtOnce(id: string): Promise<void> {
  for (let n = 0; n < 20; n += 1) expect(await refusal(outbox.accept(mail(id)))).toBe('store_unavailable')
}

describe.skipIf(restartable !== undefined)(
  `while Postgres is unavailable${restartable ? ` (skipped: ${restartable})` : ''}`,
  () => {
    let postgres: TestPostgres
    const server = () => postgres.server ?? raise()
    const openPostgres = () => open({ engine: () => engineAt(postgres.url) })

    beforeAll(async () => {
      postgres = await startPostgres({ own: true })
    })
    afterAll(() => postgres.close())
    beforeEach(() => server().start())

    test('a mail is refused in milliseconds, and accepted again once the database is back', async () => {
      outbox = await openPostgres()
      await own(outbox, mail('before'))
      await server().stop('immediate')
      await expectRefusalsAtOnce('during')
      expect(outbox.trouble()).toBeTypeOf('string')
      await server().start()
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      await own(outbox, mail('after'))
      expect(await outbox.find('before')).toMatchObject({ state: 'sending' })
      expect(await outbox.find('during')).toBeUndefined()
    })

    test('round trips that are each in time, but not together, count as a store that does not answer', async () => {
      const slow = await proxyTo(postgres.url, (bytes, client) =>
        setTimeout(() => client.write(bytes), 1_600),
      )
      const engineOn = (url: string) => postgresEngine({ url, answerMs: 3_000 })
      const [quick, late] = [engineOn(postgres.url), engineOn(slow.url)]
      outbox = await openPostgres()
      const find = [{ op: 'find', id: 'none' }] as const
      try {
        expect(await quick.run(find)).toMatchObject([{ outcome: 'done', rows: [] }])
        // The query takes one round trip, its commit another.
        expect(await refusal(late.run(find))).toBe('store_unavailable')
      } finally {
        await Promise.all([quick.close(), late.close()])
        slow.close()
      }
    })

    test('a mail sent meanwhile is settled by a pending write when the database is back', async () => {
      outbox = await openPostgres()
      const lease = await own(outbox, mail('cut'))
      const retried = await own(outbox, mail('retried'))
      await server().stop('immediate')
      expect(await outbox.settle(lease, sent)).toEqual({ state: 'sent', detail: 'accepted' })
      expect(await outbox.settle(retried, { state: 'queued', detail: 'connect' })).toMatchObject({
        state: 'queued',
      })
      await server().start()
      await expect.poll(() => outbox.find('cut').catch(String)).toMatchObject({ state: 'sent' })
      await expect.poll(() => outbox.find('retried')).toMatchObject({ state: 'queued' })
    })

    test('closing waits for pending writes, when the database is back in time', async () => {
      outbox = await openPostgres()
      const leases = await Promise.all([1, 2, 3].map((n) => own(outbox, mail(`late${n}`))))
      await server().stop('immediate')
      for (const lease of leases) void outbox.settle(lease, sent)
      const closed = outbox.close(60_000)
      await server().start()
      await closed
      outbox = await openPostgres()
      for (const { id } of leases) expect(await outbox.find(id)).toMatchObject({ state: 'sent' })
    })

    test('a repeat is answered when its mail is sent while the database is unavailable', async () => {
      outbox = await openPostgres()
      const lease = await own(outbox, mail('heard'))
      const existing = await outbox.accept(mail('heard'))
      const waiting = outbox.waitFor(existing.state === 'existing' ? existing.mail : raise(), 60_000)
      await server().stop('immediate')
      await outbox.settle(lease, sent)
      expect(await waiting).toEqual({ state: 'sent', detail: 'accepted' })
      await server().start()
    })

    test('the outbox opens without its database and uses it later', async () => {
      await server().stop()
      outbox = await openPostgres()
      await expectRefusalsAtOnce('early')
      expect(outbox.trouble()).toBeTypeOf('string')
      await server().start()
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      await own(outbox, mail('early'))
    })

    test('the outbox opens while its database hangs, and uses it when it goes on', async () => {
      const { pid } = server()
      process.kill(pid, 'SIGSTOP')
      // as nothing answers before it goes on below, an opening that waited for an answer would never end
      outbox = await openPostgres()
      await expectRefusalsAtOnce('hanging')
      process.kill(pid, 'SIGCONT')
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      expect(await outbox.accept(mail('hanging'))).toMatchObject({ state: 'owner' })
    })

    test('a restart of the database between two mails fails neither of them', async () => {
      outbox = await openPostgres()
      await own(outbox, mail('one'))
      await server().stop()
      await server().start()
      expect(await outbox.accept(mail('two'))).toMatchObject({ state: 'owner' })
    })

    test('a connection that hangs is given up in seconds, and the next mail uses another', async () => {
      outbox = await openPostgres()
      await own(outbox, mail('first'))
      const hung = await backends(postgres.url)
      expect(hung.length).toBeGreaterThan(0)
      for (const pid of hung) process.kill(pid, 'SIGSTOP')
      // they go on below only, so that nobody but the store itself ends this
      expect(await refusal(outbox.accept(mail('hung')))).toBe('store_unavailable')
      for (const pid of hung) process.kill(pid, 'SIGCONT')
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      await own(outbox, mail('afterwards'))
    })
  },
)

describe('while the SQLite file cannot be written', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-outage-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('mails are refused in milliseconds, and accepted once it can', async () => {
    const dataDir = join(folder, 'data')
    writeFileSync(dataDir, 'a file where the folder should be')
    outbox = await open({ engine: () => engineAt(join(dataDir, 'outbox.db')) })
    await expectRefusalsAtOnce('early')
    expect(outbox.trouble()).toBe('EEXIST')
    rmSync(dataDir)
    await expect.poll(() => outbox.trouble()).toBeUndefined()
    await own(outbox, mail('early'))
  })
})

describe('while the SQLite file does not answer', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-outage-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('the outbox is ready when the store has been opened, or after the time it is given', async () => {
    const path = join(folder, 'outbox.sqlite')
    await (await open({ engine: () => engineAt(path) })).close()
    const other = new DatabaseSync(path)
    other.exec('begin immediate')
    outbox = await open({ engine: () => engineAt(path) })
    await outbox.ready(10)
    expect(outbox.trouble()).toBe('starting')
    other.exec('rollback')
    other.close()
    await outbox.ready(20_000)
    expect(outbox.trouble()).toBeUndefined()
  })

  test('a mail is refused when its time is up, later ones at once, and none of them is stored in the end', async () => {
    const path = join(folder, 'outbox.sqlite')
    outbox = await open({ engine: () => sqliteEngine({ path, answerMs: 300 }) })
    await own(outbox, mail('before'))
    const other = new DatabaseSync(path)
    other.exec('begin immediate')
    // The thread waits 5 s for the lock, and would give another reason.
    expect(await refusal(outbox.accept(mail('during')))).toBe('store_unavailable')
    expect(outbox.trouble()).toBe('timeout')
    expect(await refusal(outbox.accept(mail('later')))).toBe('store_unavailable')
    // The thread still waits: it now stores the mail although its caller was told that it will not be sent.
    other.exec('rollback')
    other.close()
    await expect.poll(() => outbox.trouble()).toBeUndefined()
    await own(outbox, mail('after'))
    await expect.poll(() => outbox.find('during')).toBeUndefined()
    expect(await outbox.find('later')).toBeUndefined()
    expect(await outbox.find('before')).toMatchObject({ state: 'sending' })
  })
})

/** Process ids of the connections that belong to the service. */
async function backends(url: string): Promise<number[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity where application_name = 'jwt-mailer' and datname = current_database()`,
  )
  await client.end()
  return rows.map(({ pid }) => pid)
}

/** A proxy before Postgres. `pass` decides what the client gets of each answer. */
async function proxyTo(url: string, pass: (bytes: Buffer, client: Socket) => void) {
  const target = new URL(url)
  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    client.pipe(server)
    server.on('data', (bytes: Buffer) => pass(bytes, client))
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const through = new URL(url)
  through.port = String(portOf(proxy))
  return { url: through.href, close: () => proxy.close() }
}

function raise(): never {
  throw new Error('nothing there')
}
