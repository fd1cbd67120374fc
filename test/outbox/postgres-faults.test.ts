/** What goes wrong in and around a real Postgres: each fault is made in the database or on the wire. */
import { writeFileSync } from 'node:fs'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MailerError } from '../../src/errors.ts'
import type { Outbox } from '../../src/outbox/api.ts'
import { centuryMs } from '../support/limits.ts'
import { titled } from '../support/missing.ts'
import { postgresProxy, type PostgresProxy } from '../support/postgres-proxy.ts'
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { engineAt, mail, open, own, query, sent } from './stores.ts'

const missing =
  postgresMissing() ??
  (process.env['DATABASE_URL'] ? 'the Postgres of DATABASE_URL is not ours to break' : undefined)

/** The code with which the store refuses, or `stored`. */
const outcomeOf = (accepting: Promise<unknown>) =>
  accepting.then(
    () => 'stored',
    (error: unknown) => (error instanceof MailerError ? error.code : String(error)),
  )

describe.skipIf(missing !== undefined)(titled('Postgres', missing), () => {
  let postgres: TestPostgres
  let url: string
  let proxy: PostgresProxy | undefined
  const outboxes: Outbox[] = []
  const lines: Record<string, unknown>[] = []
  const note = (fields: object, msg?: string) => void lines.push({ ...fields, msg })
  const log = { info: note, warn: note, error: note }

  async function openAt(address: string, engine = engineAt(address)): Promise<Outbox> {
    const outbox = await open({ engine: () => engine }, { log })
    outboxes.push(outbox)
    return outbox
  }
  /** Enough at once that the pool has all its connections. */
  async function fillPool(outbox: Outbox, prefix: string): Promise<void> {
    for (let n = 0; n < 10; n += 1)
      await Promise.all([
        own(outbox, mail(`${prefix}${n}`)).then((lease) =>
          outbox.settle(lease, { state: 'queued', detail: 'connect' }),
        ),
        outbox.find('none'),
        outbox.requeue('none'),
      ])
  }

  beforeAll(async () => {
    postgres = await startPostgres({ own: true })
  })
  afterAll(() => postgres.close())
  beforeEach(async () => {
    lines.length = 0
    url = await postgres.createOutbox()
  })
  afterEach(async () => {
    await Promise.all(outboxes.splice(0).map((outbox) => outbox.close(100)))
    proxy?.close()
    proxy = undefined
  })

  describe('a connection in doubt', () => {
    test('connections that have fallen silent cost one timeout, not one each', async () => {
      proxy = await postgresProxy(url)
      const outbox = await openAt(proxy.url)
      await fillPool(outbox, 'before')
      expect(proxy.silence()).toBe(3)
      const reasons: unknown[] = []
      const isStored = async () => {
        try {
          return (await outbox.accept(mail('after'))).state
        } catch (error) {
          reasons.push(error instanceof MailerError && error.reason)
          return 'refused'
        }
      }
      await expect.poll(isStored).toBe('owner')
      // the one that waited for an answer; those that come while the store is opened anew wait for nothing
      expect(reasons.filter((reason) => reason !== 'down')).toHaveLength(1)
      // nor does the store ask on another one of them: the first try to reach it anew succeeds
      expect(lines.map(({ msg }) => msg)).toEqual(['the store is gone', 'the store is back'])
    })

    test('a server that has become read-only is left for the one that its address leads to now', async () => {
      const former = await startPostgres({ own: true })
      try {
        proxy = await postgresProxy(former.url)
        const outbox = await openAt(proxy.url)
        await fillPool(outbox, 'before')
        const next = new URL(former.url)
        await query(postgres.url, `create database ${next.pathname.slice(1)}`)
        next.port = new URL(postgres.url).port
        proxy.leadTo(next.href)
        await query(former.url, 'alter system set default_transaction_read_only = on')
        await query(former.url, 'select pg_reload_conf()')
        // a connection that was there before hears of it before one that comes later
        const readOnly = [{ default_transaction_read_only: 'on' }]
        await expect.poll(() => query(former.url, 'show default_transaction_read_only')).toEqual(readOnly)
        await expect
          .poll(async () => {
            await outcomeOf(outbox.accept(mail('after')))
            return query(next.href, `select id from outbox_mail where id = 'after'`).catch(() => [])
          })
          .toEqual([{ id: 'after' }])
        expect(outbox.trouble()).toBeUndefined()
        expect(await query(former.url, `select id from outbox_mail where id = 'after'`)).toEqual([])
        const ours = `select pid from pg_stat_activity where application_name = 'jwt-mailer'`
        await expect.poll(() => query(former.url, ours)).toEqual([])
      } finally {
        await former.close()
      }
    })
  })

  describe('the defaults of a database', () => {
    const unkind = [
      `default_transaction_isolation = 'serializable'`,
      `lock_timeout = '1ms'`,
      `idle_in_transaction_session_timeout = '1ms'`,
      `synchronous_commit = off`,
      `enable_indexscan = off`,
      // where no way is on, each plan seems dear enough to be compiled, for half a second
      `jit = off`,
    ]

    test('change nothing: two replicas settle what they accepted, once', async () => {
      const name = new URL(url).pathname.slice(1)
      for (const setting of unkind) await query(url, `alter database ${name} set ${setting}`)
      const patient = () => postgresEngine({ url, answerMs: 60_000 })
      const [one, two] = await Promise.all([openAt(url, patient()), openAt(url, patient())])
      const settleOne = async (n: number) => {
        const outbox = n % 2 === 0 ? one : two
        const lease = await own(outbox, mail(`m${n}`))
        return (await outbox.settle(lease, n % 3 === 0 ? { state: 'queued', detail: 'connect' } : sent)).state
      }
      const states: string[] = []
      for (let wave = 0; wave < 400; wave += 50)
        states.push(...(await Promise.all(Array.from({ length: 50 }, (_, n) => settleOne(wave + n)))))
      expect(states.filter((state) => state === 'sent').length).toBe(266)
      expect((await one.stats()).sending).toBe(0)
      expect(lines).toEqual([])
    })

    test('a commit waits for the disk', async () => {
      const name = new URL(url).pathname.slice(1)
      const outbox = await openAt(url)
      await query(url, 'create table seen (setting text)')
      await query(
        url,
        `create function look() returns trigger language plpgsql as $$ begin
          insert into seen values (current_setting('synchronous_commit') || ' ' || current_setting('transaction_isolation'));
          return new; end $$`,
      )
      await query(
        url,
        'create trigger look before insert on outbox_mail for each row execute function look()',
      )
      for (const setting of unkind) await query(url, `alter database ${name} set ${setting}`)
      await query(
        url,
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'jwt-mailer'`,
      )
      await own(outbox, mail('a'))
      expect(await query(url, 'select distinct setting from seen')).toEqual([
        { setting: 'on read committed' },
      ])
    })
  })

  describe('a transaction that loses against others', () => {
    const raising = (when: string, code: string) => `
      create function lose() returns trigger language plpgsql as $$ begin
        if ${when} then raise exception 'lost' using errcode = '${code}'; end if;
        return new; end $$;
      create trigger lose before insert or update on outbox_mail for each row execute function lose()`

    test('is no bug of ours: it is tried again, and then the store is unavailable', async () => {
      const outbox = await openAt(url)
      await query(url, 'create sequence tries')
      await query(url, raising(`new.id = 'often' or (new.id = 'once' and nextval('tries') < 3)`, '40001'))
      expect(await outcomeOf(outbox.accept(mail('once')))).toBe('stored')
      expect(await outcomeOf(outbox.accept(mail('often')))).toBe('store_unavailable')
      await expect.poll(() => outcomeOf(outbox.accept(mail('after')))).toBe('stored')
    })

    test('a sent mail is settled when the database takes that at last, whatever it said before', async () => {
      const outbox = await openAt(url)
      const lease = await own(outbox, mail('kept'))
      await query(url, raising(`new.state = 'sent'`, '23514'))
      expect(await outbox.settle(lease, sent)).toMatchObject({ state: 'sent' })
      expect(await outbox.find('kept')).toMatchObject({ state: 'sending' })
      await query(url, 'drop trigger lose on outbox_mail')
      await expect.poll(() => outbox.find('kept')).toMatchObject({ state: 'sent' })
    })
  })

  describe('a store that answers and takes no mail', () => {
    /** The outbox knows of it without a mail, because somebody asks; nothing is called well in between. */
    async function isFound(outbox: Outbox, reason: string): Promise<void> {
      await expect.poll(() => outbox.trouble()).toBe(reason)
      for (let n = 0; n < 20; n += 1) {
        expect(await outcomeOf(outbox.accept(mail(`during${n}`)))).toBe('store_unavailable')
        expect(outbox.trouble()).toBe(reason)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(lines.map(({ msg }) => msg)).not.toContain('the store is back')
    }
    async function isWellAgain(outbox: Outbox): Promise<void> {
      await expect.poll(() => outbox.trouble()).toBeUndefined()
    }

    test('for a lock on the table is in trouble until it is let go', async () => {
      const outbox = await openAt(url)
      const holder = new Client({ connectionString: url })
      await holder.connect()
      await holder.query('begin; lock table outbox_mail in share mode')
      await isFound(outbox, '57014')
      await holder.query('rollback')
      await holder.end()
      await isWellAgain(outbox)
    })

    test('is not in trouble when a question alone takes too long', async () => {
      const outbox = await openAt(url)
      const holder = new Client({ connectionString: url })
      await holder.connect()
      await holder.query('begin; lock table outbox_hour in access exclusive mode')
      await expect(outbox.readHours(0, 1)).rejects.toMatchObject({
        code: 'store_unavailable',
        reason: '57014',
      })
      expect(outbox.trouble()).toBeUndefined()
      expect(await outcomeOf(outbox.accept(mail('beside')))).toBe('stored')
      await holder.query('rollback')
      await holder.end()
    })

    test('for want of a table is in trouble until that is restored', async () => {
      const outbox = await openAt(url)
      await query(url, 'alter table outbox_quota rename to away')
      await isFound(outbox, '42P01')
      await query(url, 'alter table away rename to outbox_quota')
      await isWellAgain(outbox)
    })

    test('for a broken index is in trouble until that is rebuilt', async () => {
      const outbox = await openAt(url)
      await fillPool(outbox, 'before')
      const [place] = await query(
        url,
        `select current_setting('data_directory') || '/' || pg_relation_filepath('outbox_mail_due') as file`,
      )
      await outboxes.pop()?.close()
      await postgres.server?.stop()
      writeFileSync(String(place?.['file']), Buffer.alloc(16_384, 0xee))
      await postgres.server?.start()
      const next = await openAt(url)
      await isFound(next, 'XX001')
      await query(url, 'reindex index outbox_mail_due')
      await isWellAgain(next)
    })

    test('for want of rights says which statement grants them, and is set up once they are granted', async () => {
      url = await postgres.createDatabase()
      const role = `weak_${process.pid}`
      await query(url, `create role ${role} login`)
      const weak = new URL(url)
      weak.username = role
      const outbox = await openAt(weak.href)
      expect(await outcomeOf(outbox.accept(mail('a')))).toBe('store_unavailable')
      expect(lines).toMatchObject([{ reason: '42501', msg: 'the store cannot be set up' }])
      const [, statement = ''] = /run: (grant .*;)/.exec(String(lines[0]?.['todo'])) ?? []
      expect(statement).toBe(`grant usage, create on schema public to ${role};`)
      await query(url, statement)
      await isWellAgain(outbox)
      await own(outbox, mail('a'))
    })

    test('needs no right to create tables where they are', async () => {
      await openAt(url)
      await outboxes.pop()?.close()
      lines.length = 0
      const role = `dml_${process.pid}`
      await query(url, `create role ${role} login`)
      const weak = new URL(url)
      weak.username = role
      const outbox = await openAt(weak.href)
      expect(lines).toMatchObject([{ reason: '42501', msg: 'the store cannot be set up' }])
      const [, statement = ''] = /run: (grant [^;]*;)/.exec(String(lines[0]?.['todo'])) ?? []
      await query(url, statement)
      await isWellAgain(outbox)
      await own(outbox, mail('a'))
    })
  })

  describe('a commit whose answer was lost', () => {
    const leases = (id: string) =>
      query(url, `select state, lease, attempts from outbox_mail where id = '${id}'`)

    test.each([
      ['that happened', true],
      ['that did not happen', false],
    ])('%s is found out over a new connection: the mail is accepted, once', async (_, reaches) => {
      proxy = await postgresProxy(url)
      const outbox = await openAt(proxy.url)
      const lost = proxy.silenceAt(';commit', reaches)
      const accepting = own(outbox, mail('doubtful'))
      await lost
      const lease = await accepting
      expect(await leases('doubtful')).toEqual([
        { state: 'sending', lease: String(lease.leaseId), attempts: 1 },
      ])
      expect(await outbox.settle(lease, sent)).toMatchObject({ state: 'sent' })
      await expect.poll(() => outbox.find('doubtful')).toMatchObject({ state: 'sent' })
    })

    test('counts once against a limit', async () => {
      proxy = await postgresProxy(url)
      const through = proxy.url
      const limits = { recipient: { max: 2, windowMs: centuryMs } }
      const outbox = await open({ engine: () => engineAt(through) }, { log, limits })
      outboxes.push(outbox)
      const lost = proxy.silenceAt(';commit', true)
      const accepting = own(outbox, mail('doubtful'))
      await lost
      await accepting
      await own(outbox, mail('second'))
      expect(await outbox.accept(mail('third'))).toMatchObject({ state: 'limited' })
    })

    test('and cannot be found out is said as what it is, and the same mail again is the same mail', async () => {
      proxy = await postgresProxy(url)
      const through = proxy.url
      const outbox = await open({ engine: () => engineAt(through) }, { log, findOutMs: 7000 })
      outboxes.push(outbox)
      const lost = proxy.silenceAt(';commit', true)
      const refused = outcomeOf(outbox.accept(mail('ghost')))
      await lost
      proxy.refuse(true)
      expect(await refused).toBe('store_unknown')
      // from now on nothing is in doubt any more: nothing of these is stored
      expect(await outcomeOf(outbox.accept(mail('later')))).toBe('store_unavailable')
      expect(await leases('ghost')).toMatchObject([{ state: 'sending' }])
      const other = await openAt(url)
      expect(await other.accept(mail('ghost'))).toMatchObject({
        state: 'existing',
        mail: { state: 'sending' },
      })
      proxy.refuse(false)
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      // nobody takes it back: the caller was told that it may be sent
      expect(await leases('ghost')).toMatchObject([{ state: 'sending' }])
      expect(await leases('later')).toEqual([])
    })

    test('of a question is no doubt about a mail', async () => {
      proxy = await postgresProxy(url)
      const outbox = await openAt(proxy.url)
      const lost = proxy.silenceAt(';commit', true)
      const asking = outcomeOf(outbox.find('none'))
      await lost
      expect(await asking).toBe('store_unavailable')
    })
  })
})
