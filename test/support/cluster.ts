/**
 * Owns a Postgres cluster for the fuzz: Debian's etcd, Patroni and HAProxy on loopback, with the configuration of
 * `examples/cluster`, on free ports and in a temporary folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { type ClusterNode, clusterNode, examples, openPlace, passwords, type Place } from './cluster-node.ts'
import { required } from './missing.ts'
import { freePort } from './port.ts'
import { type Account, binaries, serverAccount } from './postgres.ts'

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
  const nodes = places.map((place) => clusterNode({ ...place, home, account, own, run }))
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
