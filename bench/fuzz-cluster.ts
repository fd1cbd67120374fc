/** Owns what befalls the database in the fuzz on a cluster, and how long the service takes to notice that it is over. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../test/support/cluster.ts'
import type { ClusterNode } from '../test/support/cluster-node.ts'
import type { FuzzCallers } from './fuzz-callers.ts'

export interface ClusterFaults {
  /** How often each has befallen the leader. */
  readonly counts: ReadonlyMap<string, number>
  readonly pauses: readonly Pause[]
}

/** One fault, as callers saw it. */
interface Pause extends Refusals, Partial<Gap> {
  readonly fault: string
}

interface Gap {
  /** Until another node led. */
  readonly withoutLeaderS: number
  /** From the new leader to the first mail accepted after it. */
  readonly backMs: number
}

interface Refusals {
  readonly refusals: number
  readonly medianRefusalMs: number
  readonly slowestRefusalMs: number
}

type Callers = Pick<FuzzCallers, 'acceptedSince' | 'refusalsMsSince'>

/** Patroni replaces a leader that is not heard of for 20 s. */
const silentMs = 26_000
/** Before that no standby can prove to Patroni that it has everything, and a leader that dies is waited for. */
const settledMs = 5_000
const lookMs = 50
const backWithinMs = 60_000

type Fault = (cluster: Cluster, leader: ClusterNode) => Promise<() => void | Promise<void>>
const nothing = () => undefined

/** Each resolves to what mends it. */
const faults: Readonly<Record<string, Fault>> = {
  async killed(_cluster, leader) {
    leader.kill()
    return () => leader.start()
  },
  async switchedOver(cluster) {
    await cluster.switchover()
    return nothing
  },
  async cutOffFromEtcd(_cluster, leader) {
    leader.cutOffFromEtcd()
    return () => leader.join()
  },
  async cutOff(_cluster, leader) {
    leader.cutOff()
    return () => leader.join()
  },
  // both wake as a machine does that no watchdog has reset
  async hung(_cluster, leader) {
    leader.freeze()
    await sleep(silentMs)
    return () => leader.thaw()
  },
  async withoutPatroni(_cluster, leader) {
    leader.freezePatroni()
    await sleep(silentMs)
    return () => leader.thaw()
  },
  async standbyPromoted(cluster, leader) {
    const standby = cluster.nodes.find((node) => node !== leader)
    standby?.promote()
    // it keeps a timeline that no other node knows, and never follows again by itself
    return async () => standby?.reinitialise()
  },
}

export const clusterFaults = Object.keys(faults)

/** One fault after the other until `until`, each on a cluster that is whole. */
export async function wreckCluster(
  cluster: Cluster,
  callers: Callers,
  until: number,
  names: readonly string[],
): Promise<ClusterFaults> {
  const counts = new Map<string, number>()
  const pauses: Pause[] = []
  for (let n = 0; Date.now() < until; n += 1) {
    const name = names[n % names.length] ?? ''
    const fault = faults[name]
    const leader = await cluster.leader()
    if (fault === undefined || leader === undefined) continue
    counts.set(name, (counts.get(name) ?? 0) + 1)
    const begun = Date.now()
    const watching = new AbortController()
    const watched = watch(cluster, callers, leader, watching.signal)
    const mend = await fault(cluster, leader)
    // a standby that was promoted by hand does not replace the leader
    if (name === 'standbyPromoted') watching.abort()
    const gap = await watched
    await mend()
    await cluster.whole()
    pauses.push({ fault: name, ...gap, ...refusalsSince(callers, begun) })
    await sleep(settledMs)
  }
  return { counts, pauses }
}

function refusalsSince({ refusalsMsSince }: Callers, moment: number): Refusals {
  const ms = refusalsMsSince(moment)
  return {
    refusals: ms.length,
    medianRefusalMs: ms[Math.floor(ms.length / 2)] ?? 0,
    slowestRefusalMs: ms.at(-1) ?? 0,
  }
}

/** `undefined` when it is broken off. Rejects when no other leader takes mails. */
async function watch(
  cluster: Cluster,
  { acceptedSince }: Callers,
  former: ClusterNode,
  signal: AbortSignal,
): Promise<Gap | undefined> {
  const begun = Date.now()
  const isOver = () => Date.now() - begun > backWithinMs
  let led: number | undefined
  while (!signal.aborted && !isOver()) {
    const leads = await Promise.all(cluster.nodes.map((node) => node !== former && node.isLeader()))
    if (leads.includes(true)) {
      led ??= Date.now()
      const accepted = acceptedSince(led)
      if (accepted !== undefined) return { withoutLeaderS: (led - begun) / 1000, backMs: accepted - led }
    }
    await sleep(lookMs)
  }
  if (signal.aborted) return undefined
  throw new Error(led === undefined ? 'no other leader was found' : 'no mail is accepted after a new leader')
}
