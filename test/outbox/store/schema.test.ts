import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Steps } from '../../../src/outbox/store/statement.ts'
import { installSchema, type Migrations } from '../../../src/outbox/store/schema.ts'
import { sqliteDialect } from '../../../src/outbox/store/sql.ts'
import { mail, open, query, type Store, stores } from '../stores.ts'

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
        /newer jwt-mailer \(schema 99; this program knows \d\)\. Start that version again/,
      )
    })
  })

describe('a schema of an older program', () => {
  const first = ['create table fruit (name text)', `insert into fruit values ('apple')`]
  const second = ['alter table fruit add column color text', `update fruit set color = 'red'`]

  test('is brought up to date step by step, and each step is taken once', () => {
    const database = new DatabaseSync(':memory:')
    install(database, [first])
    install(database, [first, second])
    install(database, [first, second])
    expect(database.prepare('select name, color from fruit').all()).toEqual([{ name: 'apple', color: 'red' }])
    expect(database.prepare('select version from outbox_schema').all()).toEqual([{ version: 2 }])
    database.close()
  })
})

function install(database: DatabaseSync, migrations: Migrations): void {
  const steps: Steps<void> = installSchema(sqliteDialect, migrations)
  let step = steps.next()
  while (step.done !== true)
    step = steps.next(
      step.value.map(({ sql, params }) => database.prepare(sql.replace('$1', '?1')).all(...params)),
    )
}
