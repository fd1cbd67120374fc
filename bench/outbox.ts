/**
 * Measures the outbox alone: accept + settle per second with so many callers, how long one takes, how much the event
 * loop is held up, and what a store full of settled mails changes. A line of JSON for each.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { Command } from 'commander'
import { Client } from 'pg'
import type { Engine } from '../src/outbox/store/engine.ts'
import { mailId } from '../src/outbox/mail-id.ts'
import { openOutbox } from '../src/outbox/outbox.ts'
import type { Outbox } from '../src/outbox/api.ts'
import { postgresEngine } from '../src/outbox/store/postgres.ts'
import { sqliteEngine } from '../src/outbox/store/sqlite.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { count, list, number, oneOf, positive } from './options.ts'

const helpOnFigures = `
Figures of a line with callers (one accept and one settle is one mail):
  perSecond                 mails in a second
  p50Ms, p99Ms              how long accept takes
  loopP99Ms, loopMaxMs      how long the event loop is held up
  cpuUsPerMail              CPU of the whole process
  threadUsPerMail           CPU of the thread that would answer requests
Figures of a line without callers: how long each other verb takes, and the memory at the end.

Postgres is started for the run, so its programs have to be installed.`
const options = new Command('bench/outbox.ts')
  .description('Measures the outbox alone, a line of JSON for each number of callers and of rows.')
  .option('--engine <list>', 'of sqlite, postgres', list(oneOf('sqlite', 'postgres')), ['sqlite', 'postgres'])
  .option('--callers <list>', 'callers at once', list(count), [1, 32, 256])
  .option('--seconds <n>', 'how long each number of callers is measured', positive, 3)
  .option('--rows <list>', 'settled mails that the store already holds', list(number), [0])
  .option(
    '--suppressed <list>',
    'addresses in the suppression list that each accept looks into; -1 looks nowhere',
    list((text: string) => (text === '-1' ? -1 : number(text))),
    [-1],
  )
  .option('--rounds <n>', 'so many times, the sizes of the suppression list in turn', count, 1)
  .option('--dir <path>', 'where the SQLite file is put', tmpdir())
  .addHelpText('after', helpOnFigures)
  .parse()
  .opts<{
    engine: Engine['name'][]
    callers: number[]
    seconds: number
    rows: number[]
    suppressed: number[]
    rounds: number
    dir: string
  }>()
const silent = { info() {}, warn() {}, error: (...what: unknown[]) => console.error(...what) }
const token = `header.${'x'.repeat(600)}.signature`

async function main(): Promise<void> {
  for (const engine of options.engine)
    for (const rows of options.rows)
      for (let round = 0; round < options.rounds; round += 1)
        for (const suppressed of options.suppressed) await measureEngine(engine, rows, suppressed)
}

async function measureEngine(engine: Engine['name'], rows: number, suppressed: number): Promise<void> {
  const store = engine === 'sqlite' ? sqliteStore() : await postgresStore()
  const outbox = await openOutbox({
    engine: store.engine,
    secrets: ['a secret for the bench, long enough'],
    limits: { recipient: { max: 30, windowMs: 3_600_000 } },
    log: silent,
    suppression: suppressed < 0 ? undefined : 'app',
  })
  try {
    if (rows > 0) await store.fill(filling, rows)
    if (suppressed > 0) await store.fill(suppressing, suppressed)
    for (const callers of options.callers)
      console.log(JSON.stringify({ engine, rows, suppressed, callers, ...(await measure(outbox, callers)) }))
    console.log(JSON.stringify({ engine, rows, ...(await measureQuestions(outbox)), rssMiB: mebibytes() }))
  } finally {
    await outbox.close()
    await store.close()
  }
}

async function measure(outbox: Outbox, callers: number) {
  const until = performance.now() + options.seconds * 1000
  const times: number[] = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const cpu = process.cpuUsage()
  const thread = process.threadCpuUsage()
  const started = performance.now()
  delay.enable()
  const caller = async () => {
    while (performance.now() < until) {
      const from = performance.now()
      await sendOne(outbox)
      times.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  await settled
  delay.disable()
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const here = process.threadCpuUsage(thread)
  times.sort((a, b) => a - b)
  return {
    perSecond: Math.round(times.length / seconds),
    p50Ms: round(times[Math.floor(times.length * 0.5)]),
    p99Ms: round(times[Math.floor(times.length * 0.99)]),
    loopP99Ms: round(delay.percentile(99) / 1e6),
    loopMaxMs: round(delay.max / 1e6),
    cpuUsPerMail: Math.round((user + system) / times.length),
    /** Of it in the thread that answers requests. */
    threadUsPerMail: Math.round((here.user + here.system) / times.length),
  }
}

let sent = 0
/** The service does not wait for it either. */
let settled: Promise<unknown> = Promise.resolve()
async function sendOne(outbox: Outbox): Promise<void> {
  const id = mailId({ app: 'default', kind: 'confirmation', jti: `${process.pid}-${(sent += 1)}`, token })
  const recipient = `user${sent % 100_000}@example.org`
  const mail = { id, app: 'default', kind: 'confirmation', recipient, token }
  const accepted = await outbox.accept({ ...mail, expires: Date.now() + 86_400_000, windowMs: 86_400_000 })
  if (accepted.state !== 'owner') throw new Error(`unexpected: ${accepted.state}`)
  settled = outbox.settle(accepted.lease, { state: 'sent', relay: 'smtp', detail: 'accepted' })
}

async function measureQuestions(outbox: Outbox) {
  return {
    leaseMs: await timed(() => outbox.leaseDue(16)),
    statsMs: await timed(() => outbox.stats()),
    countSentMs: await timed(() => outbox.countSent()),
    listMs: await timed(() => outbox.list('dead', 50)),
    purgeMs: await timed(() => outbox.purge()),
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  for (let n = 0; n < 5; n += 1) await work()
  return round((performance.now() - from) / 5)
}

/** So many addresses that get no mail. */
const suppressing = (numbered: string, id: string, now: number) => `insert into outbox_suppression
  select substr(${id}, 1, 22), 'default', 'bounced', ${now}, ${now} + 2592000000, 1, ${now} + 9000000000 from ${numbered}`

/** So many settled mails, written in one go; the numbers give spread-out ids. */
const filling = (numbered: string, id: string, now: number) => `insert into outbox_mail
  (id, app, kind, recipient, state, lease, attempts, due, expires, window_ms, created, done, detail, relay)
  select ${id}, 'default', 'confirmation', 'recipientrecipientreci', 'sent', 0, 1, ${now} + 80000000 + n % 1000000,
    ${now} + 80000000, 86400000, ${now}, ${now}, 'accepted', 'smtp' from ${numbered}`

/** The ids are random: with a small cache, each row would fetch and write a page of every index. */
const fillSqlite = `
  const [path, sql] = process.argv.slice(1)
  const database = new (require('node:sqlite').DatabaseSync)(path)
  database.exec('pragma cache_size = -4000000')
  database.exec(sql)
  database.exec('pragma wal_checkpoint(truncate)')
  database.close()
`

function sqliteStore() {
  const folder = mkdtempSync(join(options.dir, 'outbox-bench-'))
  const path = join(folder, 'outbox.db')
  return {
    engine: sqliteEngine({ path }),
    async fill(sql: typeof filling, rows: number) {
      const series = `(with recursive s(n) as (select 1 union all select n + 1 from s where n < ${rows}) select n from s)`
      // a process of its own, so that its cache is not in the memory that is measured
      const fill = sql(series, `hex(randomblob(16))`, Date.now())
      execFileSync(process.execPath, ['--no-warnings', '--eval', fillSqlite, path, fill], {
        stdio: 'inherit',
      })
    },
    close: async () => rmSync(folder, { recursive: true }),
  }
}

async function postgresStore() {
  const server = await startPostgres({ fsync: true })
  return {
    engine: postgresEngine({ url: server.url }),
    async fill(sql: typeof filling, rows: number) {
      const client = new Client({ connectionString: server.url })
      await client.connect()
      await client.query(sql(`generate_series(1, ${rows}) as s(n)`, `md5(n::text)`, Date.now()))
      // what a store of this age has behind it
      await client.query('vacuum analyze')
      await client.query('checkpoint')
      await client.end()
    },
    close: () => server.close(),
  }
}

const round = (ms = 0) => Math.round(ms * 100) / 100
const mebibytes = () => Math.round(process.memoryUsage.rss() / 2 ** 20)

await main()
