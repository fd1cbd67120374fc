/** Owns one node of the cluster of the fuzz: Patroni and its Postgres on ports of loopback, and the ways in which it fails. */
import { execFileSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './port.ts'
import { type Account, binaries } from './postgres.ts'
import { openWire, type Wire } from './wire.ts'

export const examples = resolve(import.meta.dirname, '../../examples/cluster')

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

export const passwords = {
  superuser: 'superuser-secret',
  replication: 'replication-secret',
  rewind: 'rewind-secret',
}

/** Where a node is for its own machine, and for all others; and the wires between the two. */
export interface Place {
  readonly name: string
  readonly inner: { readonly postgres: number; readonly api: number }
  readonly outer: { readonly postgres: number; readonly api: number }
  readonly etcd: number
  readonly wires: readonly Wire[]
  readonly toEtcd: Wire
}

export async function openPlace(name: string, etcdPort: number): Promise<Place> {
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

export function clusterNode({
  name,
  inner,
  outer,
  etcd,
  toEtcd,
  wires,
  home,
  account,
  own,
  run,
}: NodeParts): ClusterNode {
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
