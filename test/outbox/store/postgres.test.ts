import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from 'pg'
import { openMetrics } from '../../../src/metrics.ts'
import { postgresEngine } from '../../../src/outbox/store/postgres.ts'
import { addressAndTls } from '../../../src/outbox/store/postgres-address.ts'
import { centuryMs } from '../../support/limits.ts'
import { freePort } from '../../support/port.ts'
import { postgresMissing, startPostgres, type TestPostgres } from '../../support/postgres.ts'
import { mail, open, query, sent } from '../stores.ts'

const address = 'postgres://user:p%40ss@db.example:5432/mail'
const unverified = { rejectUnauthorized: false }
const verified = { rejectUnauthorized: true }

test.each([
  ['', false, false],
  ['', true, unverified],
  ['?sslmode=disable', true, false],
  ['?sslmode=require', false, unverified],
  ['?sslmode=no-verify', false, unverified],
  ['?sslmode=verify-ca', false, verified],
  ['?sslmode=verify-full', true, verified],
])('an address with %j asks for TLS as libpq would (on Heroku: %s)', (asked, onHeroku, ssl) => {
  expect(addressAndTls(`${address}${asked}`, onHeroku)).toEqual({ connectionString: address, ssl })
})

test('other words of the address are kept', () => {
  const { connectionString } = addressAndTls(`${address}?sslmode=require&application_name=x`, false)
  expect(connectionString).toBe(`${address}?application_name=x`)
})

const missing = postgresMissing()

describe.skipIf(missing !== undefined)(
  `Postgres with a certificate nobody signed${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    let postgres: TestPostgres
    beforeAll(async () => {
      postgres = await startPostgres({ tls: true })
    })
    afterAll(() => postgres.close())

    async function speak(asked: string, onHeroku = false) {
      const outbox = await open({
        engine: () => postgresEngine({ url: `${postgres.url}${asked}`, onHeroku }),
      })
      const trouble = outbox.trouble()
      const seen = await query(
        postgres.url,
        `select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'jwt-mailer'`,
      )
      await outbox.close()
      return { trouble, ssl: seen.map(({ ssl }) => ssl) }
    }

    test('is spoken to in TLS on Heroku, and where the address requires it', async () => {
      expect(await speak('', true)).toEqual({ trouble: undefined, ssl: [true] })
      expect(await speak('?sslmode=require')).toEqual({ trouble: undefined, ssl: [true] })
    })

    test('is spoken to in the clear where nothing asks for more', async () => {
      expect(await speak('')).toEqual({ trouble: undefined, ssl: [false] })
    })

    test('is not trusted where the address wants to know who answers', async () => {
      expect(await speak('?sslmode=verify-full')).toEqual({ trouble: 'DEPTH_ZERO_SELF_SIGNED_CERT', ssl: [] })
    })
  },
)

describe.skipIf(missing !== undefined)(
  `what vacuum has to do on Postgres${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    test('is set by the schema, and a scrape tells dead rows and the oldest transaction', async () => {
      const postgres = await startPostgres()
      const outbox = await open({ engine: () => postgresEngine({ url: postgres.url }) })
      const holder = new Client({ connectionString: postgres.url })
      await holder.connect()
      try {
        const [options] = await query(
          postgres.url,
          `select reloptions::text as text from pg_class where relname = 'outbox_mail'`,
        )
        expect(options?.['text']).toContain('autovacuum_vacuum_scale_factor=0.01')
        await holder.query('begin; select 1')
        const accepted = await outbox.accept(mail('a'))
        if (accepted.state === 'owner') await outbox.settle(accepted.lease, sent)
        const metrics = await openMetrics()
        metrics.watch({ outbox, transport: { breakers: () => [], pools: () => [] }, now: () => 1e12 })
        const text = await metrics.text()
        expect(text).toMatch(/^jwt_mailer_outbox_dead_rows \d+$/m)
        expect(
          Number(/^jwt_mailer_outbox_oldest_transaction_seconds (\S+)$/m.exec(text)?.[1]),
        ).toBeGreaterThan(0)
      } finally {
        await holder.end()
        await outbox.close()
        await postgres.close()
      }
    })
  },
)

const pgbouncer = '/usr/sbin/pgbouncer'
const noPool = missing ?? (existsSync(pgbouncer) ? undefined : "no PgBouncer: install Debian's pgbouncer")

describe.skipIf(noPool !== undefined)(
  `behind PgBouncer in transaction mode${noPool ? ` (skipped: ${noPool})` : ''}`,
  () => {
    let postgres: TestPostgres
    let pool: { url: string; child: ChildProcess; folder: string }
    beforeAll(async () => {
      postgres = await startPostgres()
      pool = await startPgbouncer(postgres.url)
    })
    afterAll(async () => {
      pool.child.kill()
      rmSync(pool.folder, { recursive: true })
      await postgres.close()
    })

    test('three outboxes over two connections to the database accept, settle and share', async () => {
      const limits = { recipient: { max: 150, windowMs: centuryMs } }
      const replica = { engine: () => postgresEngine({ url: pool.url }) }
      const outboxes = await Promise.all([1, 2, 3].map(() => open(replica, { limits })))
      const states = await Promise.all(
        Array.from({ length: 300 }, async (_, n) => {
          const outbox = outboxes[n % 3] ?? raise()
          const accepted = await outbox.accept(mail(`m${n}`))
          return accepted.state === 'owner'
            ? (await outbox.settle(accepted.lease, sent)).state
            : accepted.state
        }),
      )
      expect(states.filter((state) => state === 'sent')).toHaveLength(150)
      expect(states.filter((state) => state === 'limited')).toHaveLength(150)
      expect(outboxes.map((outbox) => outbox.trouble())).toEqual([undefined, undefined, undefined])
      await Promise.all(outboxes.map((outbox) => outbox.close()))
    })
  },
)

async function startPgbouncer(url: string): Promise<{ url: string; child: ChildProcess; folder: string }> {
  const target = new URL(url)
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-pgbouncer-'))
  chmodSync(folder, 0o755)
  const port = await freePort()
  const file = join(folder, 'pgbouncer.ini')
  const settings = [
    '[databases]',
    `* = user=${target.username} host=${target.hostname} port=${target.port || 5432}`,
    '[pgbouncer]',
    `listen_port = ${port}`,
    'listen_addr = 127.0.0.1',
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'default_pool_size = 2',
  ]
  writeFileSync(file, settings.join('\n'))
  const child = spawn(pgbouncer, ['-q', ...(process.getuid?.() === 0 ? ['-u', 'postgres'] : []), file], {
    stdio: 'ignore',
  })
  while (child.exitCode === null && !(await answers(port)))
    await new Promise((resolve) => setTimeout(resolve, 50))
  const through = new URL(url)
  through.port = String(port)
  return { url: through.href, child, folder }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.unref()
    setTimeout(() => socket.destroy(), 200).unref()
  })
}

function raise(): never {
  throw new Error('nothing there')
}
