import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { SqlRow, Statement } from '../../../src/outbox/store/statement.ts'
import { installNext, type Migrations, migrations, schemaVersion } from '../../../src/outbox/store/schema.ts'
import { postgresDialect, sqliteDialect } from '../../../src/outbox/store/sql.ts'
import { mail, open, own, query, sent, type Store, stores } from '../stores.ts'

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`the schema on ${name}`, () => {
    let store: Store
    beforeAll(async () => {
      store = await start()
    })
    afterAll(() => store.close())

    test('is installed on an empty store, and found again by the next start', async () => {
      const first = await open(store)
      expect(await first.accept(mail('a'))).toMatchObject({ state: 'owner' })
      await first.close()
      const second = await open(store)
      expect(await second.find('a')).toMatchObject({ state: 'sending' })
      await second.close()
    })

    test('of a newer program is refused with a sentence that says what to do', async () => {
      await (await open(store)).close()
      await query(store.address, 'update outbox_schema set version = 99')
      await expect(open(store)).rejects.toThrow(
        /newer jwt-mailer \(schema 99; this program knows \d+\)\. Start that version again/,
      )
    })

    test('of a newer program that appears beside a running one is a deploy: it connects anew and goes on', async () => {
      const deployed = await store.another()
      const outbox = await open(deployed, { limits: { recipient: { max: 30, windowMs: 3_600_000 } } })
      onTestFinished(() => outbox.close())
      const lease = await own(outbox, mail('before'))
      await query(deployed.address, 'update outbox_schema set version = 99')
      await query(deployed.address, 'alter table outbox_mail add column of_a_newer_program text')
      // the store fails for a moment
      await query(deployed.address, 'alter table outbox_quota rename to lost')
      await expect(outbox.accept(mail('during'))).rejects.toMatchObject({ code: 'store_unavailable' })
      await query(deployed.address, 'alter table lost rename to outbox_quota')
      await expect.poll(() => outbox.trouble()).toBeUndefined()
      await outbox.settle(lease, sent)
      expect(await outbox.find('before')).toMatchObject({ state: 'sent' })
      await expect(deployed.engine().open()).rejects.toMatchObject({ reason: 'schema_newer' })
      expect(await query(deployed.address, 'select version from outbox_schema')).toMatchObject([
        { version: 99 },
      ])
    })

    test('is brought up to date from each older version, by two replicas at once, with its mails', async () => {
      for (let version = 1; version < schemaVersion; version += 1) {
        const older = await store.untouched()
        const database = await databaseAt(older.address)
        await database.install(migrations.slice(0, version))
        await database.run(`insert into outbox_mail
          (id, app, kind, recipient, body, state, lease, attempts, due, expires, window_ms, created)
          values ('old', 'default', 'confirmation', '', null, 'sent', 0, 1, 9000000000000, 1, 1, 1)`)
        const replicas = await Promise.all([open(older), open(older)])
        for (const replica of replicas) expect(await replica.find('old')).toMatchObject({ state: 'sent' })
        await own(replicas[0], mail('new'))
        await Promise.all(replicas.map((replica) => replica.close()))
        expect(await database.run('select version from outbox_schema')).toMatchObject([
          { version: schemaVersion },
        ])
        await database.close()
      }
    })

    test('takes a transaction a step: one that fails loses none before it, and is taken again', async () => {
      const database = await databaseAt((await store.untouched()).address)
      onTestFinished(() => database.close())
      const fruit: Migrations = [
        ['create table fruit (name text)', `insert into fruit values ('apple')`],
        ['alter table fruit add column color text', `update fruit set color = 'red'`],
      ]
      await database.install(fruit.slice(0, 1))
      const torn = [...fruit, ['alter table fruit add column price integer', 'update nothing set price = 1']]
      await expect(database.install(torn)).rejects.toThrow(/nothing/)
      expect(await database.run('select version from outbox_schema')).toMatchObject([{ version: 2 }])
      await database.install([...fruit, ['alter table fruit add column price integer']])
      await database.install([...fruit, ['alter table fruit add column price integer']])
      expect(await database.run('select * from fruit')).toEqual([
        { name: 'apple', color: 'red', price: null },
      ])
      expect(await database.run('select version from outbox_schema')).toMatchObject([{ version: 3 }])
    })
  })

/** A connection past the engines, for schemas that no program of today installs. */
async function databaseAt(address: string) {
  const onPostgres = address.startsWith('postgres:')
  const { ask, close } = onPostgres ? await postgresAt(address) : sqliteAt(address)

  async function step(wanted: Migrations): Promise<boolean> {
    const steps = installNext(onPostgres ? postgresDialect : sqliteDialect, { wanted })
    await ask({ sql: 'begin', params: [] })
    try {
      let next = steps.next()
      while (next.done !== true) {
        const rows: SqlRow[][] = []
        for (const statement of next.value) rows.push(await ask(statement))
        next = steps.next(rows)
      }
      await ask({ sql: 'commit', params: [] })
      return next.value
    } catch (error) {
      await ask({ sql: 'rollback', params: [] })
      throw error
    }
  }

  return {
    close,
    run: (sql: string) => ask({ sql, params: [] }),
    async install(wanted: Migrations) {
      while (!(await step(wanted)));
    },
  }
}

interface Connection {
  ask(statement: Statement): Promise<SqlRow[]>
  close(): Promise<void>
}

async function postgresAt(address: string): Promise<Connection> {
  const client = new Client({ connectionString: address })
  await client.connect()
  return {
    ask: async ({ sql, params }) => (await client.query<SqlRow>(sql, [...params])).rows,
    close: () => client.end(),
  }
}

function sqliteAt(address: string): Connection {
  mkdirSync(dirname(address), { recursive: true })
  const database = new DatabaseSync(address)
  return {
    ask: async ({ sql, params }) => database.prepare(sql.replaceAll(/\$(\d)/g, '?$1')).all(...params),
    close: async () => database.close(),
  }
}
