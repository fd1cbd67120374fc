/**
 * Owns a real Postgres for tests: Debian's binaries on a free port in a folder of their own, or `DATABASE_URL`. The files
 * of a run share one server (`shared-postgres.ts`), on which each makes its own databases. Without either the tests that
 * need it are skipped by name, or fail when `REQUIRE_POSTGRES=1`.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { required } from './missing.ts'
import { freePort } from './port.ts'

const run = promisify(execFile)

export interface TestPostgres {
  /** Address of a fresh, empty database. */
  readonly url: string
  /** Another empty database on the same server. */
  createDatabase(): Promise<string>
  /** A database more whose outbox is set up, as after a first start, and empty: a copy, which costs a tenth of setting it up. */
  createOutbox(): Promise<string>
  /** Stops and starts the server, `immediate` without a word to its clients; `undefined` when others use it too. */
  readonly server:
    | { stop(how?: 'fast' | 'immediate'): Promise<void>; start(): Promise<void>; readonly pid: number }
    | undefined
  close(): Promise<void>
}

/** Why there is no Postgres here, or `undefined` when there is one. Throws when one is required. */
export function postgresMissing(): string | undefined {
  if (process.env['DATABASE_URL'] || binaries() !== undefined) return undefined
  return required('REQUIRE_POSTGRES', "no Postgres: install Debian's postgresql or set DATABASE_URL")
}

export interface PostgresOptions {
  /** Not the server that the run shares, but one that the test may stop. */
  readonly own?: boolean
  /** Wait for the disk as in production. Killing the server loses nothing either way; only a dead machine would. */
  readonly fsync?: boolean
  /** A server of our own that offers TLS with a certificate nobody signed, as Heroku's do. */
  readonly tls?: boolean
}

export async function startPostgres({
  own = false,
  tls = false,
  fsync = false,
}: PostgresOptions = {}): Promise<TestPostgres> {
  const given = process.env['DATABASE_URL'] ?? (own || fsync ? undefined : process.env['TEST_POSTGRES'])
  return given && !tls ? useServer(given) : startServer(tls, fsync)
}

export function binaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  const [newest] = readdirSync(root).toSorted((a, b) => Number(b) - Number(a))
  const folder = newest === undefined ? undefined : join(root, newest, 'bin')
  return folder !== undefined && existsSync(join(folder, 'initdb')) ? folder : undefined
}

async function useServer(address: string): Promise<TestPostgres> {
  const databases = freshDatabases(address)
  const url = await databases.create()
  return {
    url,
    server: undefined,
    createDatabase: () => databases.create(),
    createOutbox: () => databases.createOutbox(),
    close: () => databases.drop(),
  }
}

async function startServer(tls: boolean, fsync: boolean): Promise<TestPostgres> {
  const folder = binaries() ?? ''
  if (folder === '') throw new Error(postgresMissing())
  const account = await serverAccount()
  const home = mkdtempSync(join(tmpdir(), 'jwt-mailer-postgres-'))
  if (account.uid !== undefined && account.gid !== undefined) chownSync(home, account.uid, account.gid)
  const data = join(home, 'data')
  await run(join(folder, 'initdb'), ['-D', data, '-U', 'mailer', '-A', 'trust', '--no-sync'], {
    ...account,
    cwd: home,
  })
  const port = await freePort()
  const options = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${home}`,
    `fsync=${fsync ? 'on' : 'off'}`,
    'max_connections=400',
    // hundreds of databases stand for seconds each: to look after them all took as much CPU as some tests
    'autovacuum=off',
    // only a machine that dies tears pages
    `full_page_writes=${fsync ? 'on' : 'off'}`,
    'jit=off',
    ...(tls ? await tlsSettings(home, account) : []),
  ]
  const args = ['-D', data, ...options.flatMap((option) => ['-c', option])]
  let child: ChildProcess | undefined

  const isRunning = (one = child) => one !== undefined && one.exitCode === null && one.signalCode === null

  // A test run that is broken off leaves no server behind.
  const abandon = () => child?.kill('SIGQUIT')
  process.once('exit', abandon)

  async function start(): Promise<void> {
    if (isRunning()) return
    child = spawn(join(folder, 'postgres'), args, { ...account, cwd: home, stdio: 'ignore' })
    const isReady = join(folder, 'pg_isready')
    for (let tries = 0; tries < 200; tries += 1) {
      const ready = await run(isReady, ['-h', '127.0.0.1', '-p', String(port)]).then(
        () => true,
        () => false,
      )
      if (ready) return
      if (!isRunning()) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error('Postgres did not start')
  }

  async function stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const stopping = child
    if (stopping === undefined || !isRunning()) return
    const exited = new Promise((resolve) => stopping.once('exit', resolve))
    stopping.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await exited
  }

  await start()
  const databases = freshDatabases(`postgres://mailer@127.0.0.1:${port}/postgres`)
  return {
    url: await databases.create(),
    createDatabase: () => databases.create(),
    createOutbox: () => databases.createOutbox(),
    server: {
      start,
      stop,
      get pid() {
        return child?.pid ?? 0
      },
    },
    async close() {
      await stop('immediate')
      process.off('exit', abandon)
      rmSync(home, { recursive: true, force: true })
    },
  }
}

async function tlsSettings(home: string, account: Account): Promise<string[]> {
  const [key, certificate] = [join(home, 'server.key'), join(home, 'server.crt')]
  const subject = ['-subj', '/CN=database.test', '-days', '2']
  const files = ['-keyout', key, '-out', certificate]
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...files], {
    ...account,
    cwd: home,
  })
  return ['ssl=on', `ssl_key_file=${key}`, `ssl_cert_file=${certificate}`]
}

export interface Account {
  readonly uid?: number
  readonly gid?: number
}

/** The server refuses to run as root. */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {}
  return { uid: await idOf('-u'), gid: await idOf('-g') }
}

const idOf = async (flag: string) => Number((await run('id', [flag, 'postgres'])).stdout)

function freshDatabases(address: string) {
  const created: string[] = []
  let template: Promise<string> | undefined
  async function administer(sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: address })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }
  async function create(from = 'template0'): Promise<string> {
    const name = `jwt_mailer_test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`
    // nobody is ever connected to what is copied, which would be in the way
    await administer(`create database ${name} template ${from}`)
    created.push(name)
    const url = new URL(address)
    url.pathname = `/${name}`
    return url.href
  }
  async function makeTemplate(): Promise<string> {
    const url = await create()
    const { openOutbox } = await import('../../src/outbox/outbox.ts')
    const { postgresEngine } = await import('../../src/outbox/store/postgres.ts')
    const log = { info() {}, warn() {}, error() {} }
    const outbox = await openOutbox({ engine: postgresEngine({ url }), limits: {}, secrets: ['any'], log })
    await outbox.close()
    const name = new URL(url).pathname.slice(1)
    const [{ server_version_num: version } = {}] = await administer('show server_version_num')
    // through the log of the database, which is the default since 15, a copy costs three times as much
    return Number(version) < 150_000 ? name : `${name} strategy file_copy`
  }
  return {
    create,
    async createOutbox(): Promise<string> {
      template ??= makeTemplate()
      return create(await template)
    },
    async drop(): Promise<void> {
      for (const name of created) await administer(`drop database if exists ${name} with (force)`)
    },
  }
}
