import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Statement } from '../../../src/outbox/store/statement.ts'
import type {
  AcceptOperation,
  SearchOperation,
  SettleOperation,
} from '../../../src/outbox/store/operation.ts'
import { postgresSql, type Sql, sqliteSql } from '../../../src/outbox/store/sql.ts'
import { open, type Store, stores } from '../stores.ts'

const now = 1_800_000_000_000
const accept: AcceptOperation = {
  op: 'accept',
  id: '7',
  app: 'default',
  kind: 'confirmation',
  recipient: 'hidden',
  body: 'sealed',
  leaseId: 1,
  due: now,
  expires: now,
  windowMs: 1,
  now,
  quotas: [],
  scope: null,
}
const lookedFor: AcceptOperation = { ...accept, scope: 'app', lookedFor: '7' }
const settle: SettleOperation = {
  op: 'settle',
  id: '7',
  leaseId: 1,
  state: 'queued',
  attempts: 1,
  due: now,
  detail: 'connect',
  relay: null,
  stayUntil: null,
  now,
}

const place = { due: String(now), created: String(now), id: 'x' }
const searching: SearchOperation = { op: 'search', state: 'queued', limit: 50, scan: 1000 }
const searchesByAddress = (sql: Sql): Record<string, Statement> => {
  const byAddress: SearchOperation = { ...searching, recipient: 'hidden', kind: 'confirmation' }
  return {
    searchAddress: sql.search(byAddress),
    searchAddressOn: sql.search({ ...byAddress, after: place }),
    searchAddressDead: sql.search({ ...byAddress, state: 'dead', after: place }),
    searchAddressEnd: sql.searchEnd(byAddress),
  }
}

/** Everything that is asked while mails come and go, or regularly. */
function statements(sql: Sql): Record<string, Statement> {
  const leasing = { op: 'lease', leaseId: 1, due: now, forgetAt: now, limit: 16, now } as const
  return {
    insert: sql.insert([accept]),
    takeable: sql.takeable([accept]),
    takeOver: sql.takeOver([accept]),
    remove: sql.remove([accept]),
    find: sql.find([accept]),
    count: sql.count([{ key: 'recipient:7:1', ends: now, latestEnd: now, max: 1, n: 1 }]),
    uncount: sql.uncount([{ key: 'recipient:7:1', n: 1 }]),
    settle: sql.settle([settle]),
    note: sql.note([
      { op: 'feedback', id: '7', created: now, feedback: 'delivered', now, scope: 'app', suppressUntil: now },
    ]),
    insertUnsuppressed: sql.insert([lookedFor]),
    insertWhileRotating: sql.insert([{ ...lookedFor, formerRecipient: '6' }]),
    suppressed: sql.suppressed([lookedFor])!,
    suppress: sql.suppress([{ recipient: '7', app: 'default', reason: 'added', since: now, until: now }]),
    bounceAgain: sql.bounceAgain([{ recipient: '7', app: 'default', created: now, now, until: now }]),
    liftDelivered: sql.liftDelivered([{ recipient: '7', app: 'default', created: now }]),
    liftDeliveredOfAll: sql.liftDelivered([{ recipient: '7', app: null, created: now }]),
    findSuppressed: sql.findSuppressed(['7']),
    listSuppressed: sql.listSuppressed(50),
    lift: sql.lift(['7'], null),
    liftApp: sql.lift(['7'], 'default'),
    renameSuppressed: sql.renameSuppressed('7', '8'),
    dropRenamed: sql.dropRenamed('7'),
    lastOfPage: sql.lastOfPage('', 500),
    erase: sql.erase({ op: 'erase', mails: [{ id: '7', recipient: 'hidden' }], forgetAt: now, now }),
    purgeSuppression: sql.purgeSuppression(now, 500),
    settleSent: sql.settleSent([settle]),
    expire: sql.expire(leasing),
    leaseSoonest: sql.lease(leasing, 'soonest'),
    leaseQueued: sql.lease(leasing, 'queued'),
    leaseSending: sql.lease(leasing, 'sending'),
    list: sql.list('dead', 50),
    search: sql.search(searching),
    searchOn: sql.search({ ...searching, after: place }),
    searchDead: sql.search({ ...searching, state: 'dead', app: 'default', after: place }),
    searchEnd: sql.searchEnd({ ...searching, after: place }),
    ...searchesByAddress(sql),
    giveUp: sql.giveUp({ op: 'giveUp', id: '7', forgetAt: now, now }),
    addHours: sql.addHours([{ hour: now, name: 'sent', n: 1, at: now }]),
    readHours: sql.readHours(now, now, 50),
    purgeHours: sql.purgeHours(now, 500),
    stats: sql.stats(100_000),
    countSent: sql.countSent(100_000),
    requeue: sql.requeue({ op: 'requeue', id: '7', expires: now, limit: 500, diedBy: now, now }),
    requeueAll: sql.requeue({ op: 'requeue', id: null, expires: now, limit: 500, diedBy: now, now }),
    bringForward: sql.bringForward({ state: 'queued', due: now, latest: now }, 500),
    purgeSent: sql.purge('sent', now, 500),
    purgeQuota: sql.purgeQuota(now, 500),
  }
}

const filled = 20_000
const fillMail = (numbers: string, id: string) => `insert into outbox_mail
  (id, app, kind, recipient, state, lease, attempts, due, expires, window_ms, created)
  select ${id}, 'default', 'confirmation', 'hidden', case when n % 1000 = 0 then 'queued' else 'sent' end, 0, 1,
  ${now} + n, ${now}, 1, ${now} from ${numbers}`
const fillSuppression = (numbers: string, id: string) => `insert into outbox_suppression
  select ${id}, 'default', 'bounced', ${now} + n, ${now}, 1, ${now} + n from ${numbers}`
const fillQuota = (numbers: string, id: string) =>
  `insert into outbox_quota (key, ends, n) select ${id}, ${now} + n, 1 from ${numbers}`

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`with twenty thousand mails in ${name}`, () => {
    let store: Store
    let explain: (statement: Statement) => Promise<string>
    let done: () => Promise<void> | void

    beforeAll(async () => {
      store = await start()
      await (await open(store)).close()
      ;({ explain, done } = await (name === 'SQLite' ? explainSqlite(store) : explainPostgres(store)))
    })
    afterAll(async () => {
      await done()
      await store.close()
    })

    const sql = name === 'SQLite' ? sqliteSql : postgresSql
    test.each(Object.entries(statements(sql)))(
      '%s finds its rows without reading them all',
      async (_, statement) => {
        expect(await explain(statement)).not.toMatch(/SCAN outbox_|Seq Scan on outbox_|Hash Cond|Merge Cond/)
      },
    )

    test.each(Object.entries(searchesByAddress(sql)))(
      '%s uses the index of those who wait or are dead',
      async (_, statement) => {
        expect(await explain(statement)).toContain('outbox_mail_recipient')
      },
    )

    test.each(Object.entries({ search: sql.search(searching), end: sql.searchEnd(searching) }))(
      'a page is read along the index, and no backlog is sorted for it: %s',
      async (_, statement) => {
        const plan = await explain(statement)
        expect(plan).toContain('outbox_mail_due')
        expect(plan).toMatch(name === 'SQLite' ? /LAST TERM OF ORDER BY/ : /Presorted Key: (?:\w+\.)?due/)
      },
    )
  })

async function explainSqlite(store: Store) {
  const database = new DatabaseSync(store.address)
  const numbers = `(with recursive s(n) as (select 1 union all select n + 1 from s where n < ${filled}) select n from s)`
  for (const fill of [fillMail, fillQuota, fillSuppression]) database.exec(fill(numbers, `'x' || n`))
  const explain = async ({ sql, params }: Statement) => {
    const plan = database.prepare(`explain query plan ${sql.replaceAll(/\$(\d)/g, '?$1')}`).all(...params)
    return plan.map(({ detail }) => detail).join('\n')
  }
  return { explain, done: () => database.close() }
}

async function explainPostgres(store: Store) {
  const client = new Client({ connectionString: store.address })
  await client.connect()
  for (const fill of [fillMail, fillQuota, fillSuppression])
    await client.query(fill(`generate_series(1, ${filled}) s(n)`, `'x' || n`))
  await client.query('analyze')
  await client.query('set enable_seqscan = off')
  const explain = async ({ sql, params }: Statement) => {
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${sql}`, [...params])
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  }
  return { explain, done: () => client.end() }
}
