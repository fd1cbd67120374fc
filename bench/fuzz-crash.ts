/**
 * Kills replicas of the service at random while callers send mails through a relay that often fails, and counts.
 *
 * A mail is lost when a caller was answered error 0 and the relay never took it: that must not happen. A duplicate is a mail
 * that the relay took more than once, which SMTP makes unavoidable; each must have one Message-ID. Time runs fifteen
 * times faster in the replicas, so that leases end within seconds. Exit code 1 when anything is lost.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { startReplica } from '../test/support/replica.ts'
import type { Service } from '../test/support/service.ts'
import { type Cluster, clusterMissing, startCluster } from '../test/support/cluster.ts'
import { engines, serverStore, type ServiceStore, type ServiceStores } from '../test/support/service-store.ts'
import { type FuzzCallers, startCallers } from './fuzz-callers.ts'
import { type ClusterFaults, clusterFaults, wreckCluster } from './fuzz-cluster.ts'
import { type FuzzRelay, fuzzRelay } from './fuzz-relay.ts'
import { count, positive } from './options.ts'

const speed = 15
const drainMs = 120_000

const options = new Command('fuzz:crash')
  .description('Kills replicas while callers send, and counts mails that were lost or came twice.')
  .option('--seconds <n>', 'how long replicas are killed', positive, 60)
  .addOption(
    new Option('--engine <name>', 'where mails are stored')
      .choices(['sqlite', 'postgres', 'cluster'])
      .default('sqlite'),
  )
  .option('--replicas <n>', 'services on one store', count, 3)
  .option('--callers <n>', 'callers at once', count, 12)
  .addOption(
    new Option('--faults <names...>', 'what befalls the leader of the cluster, in this order')
      .choices(clusterFaults)
      .default(clusterFaults, 'all'),
  )
  .option('--json', 'print the figures as JSON instead of the table', false)
  .parse()
  .opts<{
    seconds: number
    engine: string
    replicas: number
    callers: number
    faults: string[]
    json: boolean
  }>()

interface Fuzz {
  readonly store: ServiceStore
  readonly relay: FuzzRelay
  /** By port; `undefined` while a replica is down. */
  readonly replicas: Map<number, Service | undefined>
  readonly counts: { kills: number; stops: number; unclean: number; cuts: number; leftReadOnly: number }
}

async function main(): Promise<void> {
  const cluster = options.engine === 'cluster' ? await openCluster() : undefined
  const stores = cluster ? clusterStores(cluster) : await startStores()
  const fuzz: Fuzz = {
    store: await stores.fresh(),
    relay: await fuzzRelay(),
    replicas: new Map(),
    counts: { kills: 0, stops: 0, unclean: 0, cuts: 0, leftReadOnly: 0 },
  }
  try {
    await startAll(fuzz, options.replicas)
    const callers = startCallers(options.callers, () => urlsOf(fuzz))
    const until = Date.now() + options.seconds * 1000
    // a cluster has faults of its own beside those of the service
    const [faults] = await Promise.all([
      cluster && wreckCluster(cluster, callers, until, options.faults),
      wreck(fuzz, until, cluster === undefined),
    ])
    await callers.stop()
    fuzz.relay.setFaulty(false)
    const left = await drain(fuzz.store)
    for (const service of fuzz.replicas.values()) if (service) noteReadOnly(fuzz, service)
    report(fuzz, callers, left, faults)
  } finally {
    await Promise.all([...fuzz.replicas.values()].map((service) => service?.kill()))
    await fuzz.relay.close()
    await stores.close()
  }
}

type Stores = Pick<ServiceStores, 'fresh' | 'close'>

async function startStores(): Promise<Stores> {
  const chosen = engines.find(({ engine }) => engine.toLowerCase() === options.engine)
  if (!chosen) throw new Error('there is no such engine')
  if (chosen.missing !== undefined) throw new Error(chosen.missing)
  return chosen.startStores()
}

async function openCluster(): Promise<Cluster> {
  const missing = clusterMissing()
  if (missing !== undefined) throw new Error(missing)
  return startCluster()
}

function clusterStores(cluster: Cluster): Stores {
  return { fresh: async () => serverStore(cluster.url), close: async () => cluster.close() }
}

/** What a router would choose from: the replicas that are up, or all when none is. */
function urlsOf({ replicas }: Fuzz): string[] {
  const up = [...replicas].filter(([, service]) => service !== undefined)
  return (up.length > 0 ? up : [...replicas]).map(([port]) => `http://127.0.0.1:${port}`)
}

async function startAll(fuzz: Fuzz, replicas: number): Promise<void> {
  for (let n = 0; n < replicas; n += 1) {
    const service = await startReplica({ ...fuzz, speed })
    fuzz.replicas.set(service.port, service)
  }
}

/** Causes faults until `until`; resolves when all replicas run and the store can be reached again. */
async function wreck(fuzz: Fuzz, until: number, cutsStore: boolean): Promise<void> {
  const repairs: Promise<void>[] = []
  while (Date.now() < until) {
    await sleep(300 + Math.random() * 1700)
    const up = [...fuzz.replicas].filter(([, service]) => service !== undefined)
    const [port, victim] = up[Math.floor(Math.random() * up.length)] ?? []
    if (cutsStore && Math.random() < 0.1) repairs.push(cutStore(fuzz))
    // a slow machine needs long to start a replica, and must not spend most of the run without any
    else if (port !== undefined && victim && (up.length > 1 || Math.random() < 0.1))
      repairs.push(replace(fuzz, port, victim))
  }
  await Promise.all(repairs)
}

async function replace(fuzz: Fuzz, port: number, victim: Service): Promise<void> {
  const { replicas, counts } = fuzz
  replicas.set(port, undefined)
  if (Math.random() < 0.8) {
    await victim.kill()
    counts.kills += 1
  } else {
    counts.stops += 1
    if ((await victim.stop()) !== 0) counts.unclean += 1
  }
  noteReadOnly(fuzz, victim)
  replicas.set(port, await startReplica({ ...fuzz, speed, port }))
}

/** How often the replica gave up a database because it took no writes (SQLSTATE 25006). */
function noteReadOnly({ counts }: Fuzz, service: Service): void {
  counts.leftReadOnly += service.output().split('"reason":"25006","msg":"the store is gone"').length - 1
}

/** Ends every connection to Postgres, or holds the SQLite file for a while as another program would. */
async function cutStore({ store, counts }: Fuzz): Promise<void> {
  counts.cuts += 1
  if (store.env['DATABASE_URL'] !== undefined)
    return void (await store.rows(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    ))
  const release = await store.hold()
  await sleep(Math.random() * 800)
  await release()
}

/** Waits until no mail is unsent; resolves to how many still are when that takes too long. */
async function drain(store: ServiceStore): Promise<number> {
  const until = Date.now() + drainMs
  for (;;) {
    const waiting = `select count(*) as n from outbox_mail where state in ('sending', 'queued')`
    const [row] = await store.rows(waiting).catch(() => [])
    const left = Number(row?.['n'] ?? NaN)
    if (left === 0 || Date.now() > until) return left
    await sleep(250)
  }
}

function report({ relay, counts }: Fuzz, callers: FuzzCallers, unsent: number, faults?: ClusterFaults): void {
  const taken = relay.taken()
  const total = (counted: ReadonlyMap<string, number>) => [...counted.values()].reduce((sum, n) => sum + n, 0)
  const lost = [...callers.accepted].filter((recipient) => !taken.has(recipient))
  const figures = {
    engine: options.engine,
    seconds: options.seconds,
    accepted: callers.accepted.size,
    lost: lost.length,
    duplicates: [...taken.values()].reduce((sum, counted) => sum + total(counted) - 1, 0),
    differentMessageIds: [...taken.values()].filter((counted) => counted.size > 1).length,
    kills: counts.kills,
    stops: counts.stops,
    uncleanStops: counts.unclean,
    storeCuts: counts.cuts,
    requests: callers.requests(),
    unanswered: callers.unanswered(),
    refused: callers.refused.size,
    refusedButSent: [...callers.refused].filter((recipient) => taken.has(recipient)).length,
    unsent,
    ...(faults && { slowestRefusalMs: callers.refusalsMsSince(0).at(-1) ?? 0 }),
    ...(faults && { leftReadOnly: counts.leftReadOnly }),
    ...(faults && Object.fromEntries(faults.counts)),
  }
  if (options.json) console.log(JSON.stringify(figures))
  else for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(20)} ${value}`)
  for (const pause of faults?.pauses ?? []) console.log(JSON.stringify(pause))
  const wrong = figures.lost + figures.differentMessageIds + figures.uncleanStops + figures.unsent
  process.exitCode = wrong > 0 ? 1 : 0
}

// an interrupted run leaves no replica running
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
await main()
