/**
 * Owns a Postgres cluster for the fuzz: Debian's etcd, Patroni and HAProxy on loopback, with the configuration of
 * `examples/cluster`, on free ports and in a temporary folder. Knows how its nodes fail.
 */
import { execFileSync, type ChildProcess, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { required } from './missing.ts'
import { freePort } from './port.ts'
import { type Account, binaries, serverAccount } from './postgres.ts'
import { openWire, type Wire } from './wire.ts'

const examples = resolve(import.meta.dirname, '../../examples/cluster')
const readyTimeoutMs = 60_000
const programs = ['/usr/bin/etcd', '/usr/bin/patroni', '/usr/sbin/haproxy']

/** Why there can be no cluster here, or `undefined`. Throws when one is required. */
export function clusterMissing(): string | undefined {
  const absent = programs.filter((path) => !existsSync(path))
  if (absent.length === 0 && binaries() !== undefined) return undefined
  return required(
    'REQUIRE_CLUSTER',
    "no cluster: install Debian's postgresql, patroni, etcd-server and haproxy",
  )
}

export interface ClusterNode {
  readonly name: string
  /** Does it hold the leader's key? */
  isLeader(): Promise<boolean>
  /** `kill -9` of Patroni and Postgres, as when a machine loses power. */
  kill(): void
  /** The machine hangs: nothing of it runs until `thaw`. */
  freeze(): void
  /** Patroni hangs, and its Postgres goes on as if it were the leader. */
  freezePatroni(): void
  thaw(): void
  /** Its Patroni hears nothing of etcd until `join`. */
  cutOffFromEtcd(): void
  /** Nothing leads to it, and its Patroni hears nothing of etcd, until `join`. */
  cutOff(): void
  join(): void
  /** Makes Postgres a leader past Patroni. */
  promote(): void
  /** Has Patroni copy the leader anew, as an operator does with a standby that cannot follow any more. */
  reinitialise(): Promise<void>
  start(): void
}

export interface Cluster {
  /** The database, through HAProxy. */
  readonly url: string
  readonly nodes: readonly ClusterNode[]
  leader(): Promise<ClusterNode | undefined>
  /** Resolves when there are a leader and two standbys that follow it. */
  whole(): Promise<void>
  switchover(): Promise<void>
  close(): void
}

export async function startCluster(): Promise<Cluster> {
  const home = mkdtempSync(join(tmpdir(), 'jwt-mailer-cluster-'))
  const account = await serverAccount()
  const own = (path: string) => {
    if (account.uid !== undefined && account.gid !== undefined) chownSync(path, account.uid, account.gid)
  }
  own(home)
  const children = new Set<ChildProcess>()
  function run(name: string, command: string, args: string[], env: NodeJS.ProcessEnv, as: Account = {}) {
    const log = openSync(join(home, `${name}.log`), 'a')
    const child = spawn(command, args, { ...as, cwd: home, env, stdio: ['ignore', log, log] })
    children.add(child)
    child.once('exit', () => children.delete(child))
    child.once('error', () => children.delete(child))
    return child
  }

  const [client, peer, listen] = [await freePort(), await freePort(), await freePort()]
  const loopback = (port: number) => `127.0.0.1:${port}`
  const path = { PATH: process.env['PATH'] }
  run('etcd', 'etcd', [], {
    ...path,
    ETCD_NAME: 'etcd1',
    ETCD_DATA_DIR: join(home, 'etcd'),
    ETCD_LISTEN_CLIENT_URLS: `http://${loopback(client)}`,
    ETCD_ADVERTISE_CLIENT_URLS: `http://${loopback(client)}`,
    ETCD_LISTEN_PEER_URLS: `http://${loopback(peer)}`,
    ETCD_INITIAL_ADVERTISE_PEER_URLS: `http://${loopback(peer)}`,
    ETCD_INITIAL_CLUSTER: `etcd1=http://${loopback(peer)}`,
    // Patroni 3.0.2 takes the leader's key from another through v3 when it wakes late
    ETCD_ENABLE_V2: 'true',
  })

  const places: Place[] = []
  for (const name of ['one', 'two', 'three']) places.push(await openPlace(name, client))
  const nodes = places.map((place) => node({ ...place, home, account, own, run }))
  for (const each of nodes) each.start()
  const addresses = places.flatMap(({ outer }, n) => [
    [`POSTGRES_${n + 1}`, loopback(outer.postgres)],
    [`PATRONI_${n + 1}`, `${outer.api}`],
  ])
  run('haproxy', 'haproxy', ['-db', '-f', join(examples, 'haproxy.cfg')], {
    ...path,
    POSTGRES_LISTEN: loopback(listen),
    ...Object.fromEntries(addresses),
  })

  const leader = async () => {
    for (const each of nodes) if (await each.isLeader()) return each
    return undefined
  }
  const url = (database: string) =>
    `postgres://postgres:${passwords.superuser}@${loopback(listen)}/${database}`
  const ask = async (sql: string, database = 'postgres') => {
    const asking = new Client({ connectionString: url(database), connectionTimeoutMillis: 2_000 })
    asking.on('error', () => undefined)
    try {
      await asking.connect()
      return (await asking.query<Record<string, unknown>>(sql)).rows
    } finally {
      await asking.end().catch(() => undefined)
    }
  }
  async function whole(): Promise<void> {
    const until = Date.now() + readyTimeoutMs
    // a base backup streams as well
    const standbys = `select count(*) as n, count(*) filter (where sync_state = 'sync') as synchronous
      from pg_stat_replication where state = 'streaming' and application_name <> 'pg_basebackup'
        and pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 1000000`
    for (;;) {
      const [row] = await ask(standbys).catch(() => [])
      if (Number(row?.['n']) === nodes.length - 1 && Number(row?.['synchronous']) > 0) return
      if (Date.now() > until) throw new Error(`the cluster does not become whole; its logs are in ${home}`)
      await sleep(250)
    }
  }
  function close(): void {
    process.off('exit', close)
    for (const each of nodes) {
      each.thaw()
      each.kill()
    }
    for (const child of children) child.kill('SIGKILL')
    for (const { wires } of places) for (const wire of wires) wire.close()
    rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
  // a run that is broken off leaves no process behind
  process.once('exit', close)
  try {
    await whole()
    await ask('create database mail')
  } catch (error) {
    process.off('exit', close)
    throw error
  }
  return {
    url: url('mail'),
    nodes,
    leader,
    whole,
    async switchover() {
      // Patroni learns a moment later than Postgres which standby is synchronous, and refuses until then
      for (let tries = 1; tries <= 20; tries += 1) {
        const from = await leader()
        const answer = await fetch(`http://${loopback(places[0]?.inner.api ?? 0)}/switchover`, {
          method: 'POST',
          body: JSON.stringify({ leader: from?.name ?? '' }),
          signal: AbortSignal.timeout(20_000),
        })
        if (answer.ok) return
        await sleep(250)
      }
      throw new Error('Patroni refuses the switchover')
    },
    close,
  }
}

const passwords = {
  superuser: 'superuser-secret',
  replication: 'replication-secret',
  rewind: 'rewind-secret',
}

/** Where a node is for its own machine, and for all others; and the wires between the two. */
interface Place {
  readonly name: string
  readonly inner: { readonly postgres: number; readonly api: number }
  readonly outer: { readonly postgres: number; readonly api: number }
  readonly etcd: number
  readonly wires: readonly Wire[]
  readonly toEtcd: Wire
}

async function openPlace(name: string, etcdPort: number): Promise<Place> {
  const inner = { postgres: await freePort(), api: await freePort() }
  const outer = { postgres: await freePort(), api: await freePort() }
  const etcd = await freePort()
  const toEtcd = await openWire(etcd, etcdPort)
  const inbound = [await openWire(outer.postgres, inner.postgres), await openWire(outer.api, inner.api)]
  return { name, inner, outer, etcd, toEtcd, wires: [toEtcd, ...inbound] }
}

interface NodeParts extends Place {
  readonly home: string
  readonly account: Account
  readonly own: (path: string) => void
  readonly run: (
    name: string,
    command: string,
    args: string[],
    env: NodeJS.ProcessEnv,
    as?: Account,
  ) => ChildProcess
}

function node({ name, inner, outer, etcd, toEtcd, wires, home, account, own, run }: NodeParts): ClusterNode {
  const folder = join(home, name)
  const data = join(folder, 'data')
  mkdirSync(folder)
  own(folder)
  let patroni: ChildProcess | undefined
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    PATRONI_NAME: name,
    PATRONI_ETCD_HOSTS: `127.0.0.1:${etcd}`,
    // it would find etcd past the wire
    PATRONI_ETCD_USE_PROXIES: 'true',
    PATRONI_RESTAPI_LISTEN: `127.0.0.1:${inner.api}`,
    PATRONI_RESTAPI_CONNECT_ADDRESS: `127.0.0.1:${outer.api}`,
    PATRONI_POSTGRESQL_LISTEN: `127.0.0.1:${inner.postgres}`,
    PATRONI_POSTGRESQL_CONNECT_ADDRESS: `127.0.0.1:${outer.postgres}`,
    PATRONI_POSTGRESQL_DATA_DIR: data,
    PATRONI_POSTGRESQL_BIN_DIR: binaries(),
    PATRONI_SUPERUSER_USERNAME: 'postgres',
    PATRONI_SUPERUSER_PASSWORD: passwords.superuser,
    PATRONI_REPLICATION_USERNAME: 'replicator',
    PATRONI_REPLICATION_PASSWORD: passwords.replication,
    PATRONI_REWIND_USERNAME: 'rewinder',
    PATRONI_REWIND_PASSWORD: passwords.rewind,
  }

  function postmaster(): number | undefined {
    try {
      return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])
    } catch {
      return undefined
    }
  }
  /** Postgres, its processes first, each with the signal. */
  function signalPostgres(signal: NodeJS.Signals): void {
    const parent = postmaster()
    if (parent === undefined || !isOurs(parent, data)) return
    for (const pid of [...childrenOf(parent), parent]) signalProcess(pid, signal)
  }
  return {
    name,
    isLeader: () =>
      fetch(`http://127.0.0.1:${inner.api}/primary`, { signal: AbortSignal.timeout(500) }).then(
        ({ status }) => status === 200,
        () => false,
      ),
    kill() {
      patroni?.kill('SIGKILL')
      signalPostgres('SIGKILL')
    },
    freeze() {
      patroni?.kill('SIGSTOP')
      signalPostgres('SIGSTOP')
    },
    freezePatroni: () => void patroni?.kill('SIGSTOP'),
    thaw() {
      signalPostgres('SIGCONT')
      patroni?.kill('SIGCONT')
    },
    cutOffFromEtcd: () => toEtcd.cut(),
    cutOff() {
      for (const wire of wires) wire.cut()
    },
    join() {
      for (const wire of wires) wire.mend()
    },
    promote() {
      const options = { ...account, cwd: home, stdio: 'ignore' } as const
      execFileSync(join(binaries() ?? '', 'pg_ctl'), ['promote', '-D', data, '-W'], options)
    },
    async reinitialise() {
      for (let tries = 1; tries <= 40; tries += 1) {
        const answer = await fetch(`http://127.0.0.1:${inner.api}/reinitialize`, {
          method: 'POST',
          body: JSON.stringify({ force: true }),
          signal: AbortSignal.timeout(10_000),
        }).catch(() => undefined)
        if (answer?.ok) return
        await sleep(250)
      }
      throw new Error('Patroni does not copy the leader anew')
    },
    start() {
      if (patroni?.exitCode === null && patroni.signalCode === null) return
      patroni = run(name, 'patroni', [join(examples, 'patroni.yml')], env, account)
    },
  }
}

/** A number left behind in a file may belong to another process by now. */
function isOurs(pid: number, data: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data)
  } catch {
    return false
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended meanwhile
  }
}
