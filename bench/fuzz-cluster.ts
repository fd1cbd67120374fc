/** Owns what befalls the database in the fuzz on a cluster, and how long the service takes to notice that it is over. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, ClusterNode } from '../test/support/cluster.ts'
import type { FuzzCallers } from './fuzz-callers.ts'

export interface ClusterFaults {
  /** How often each has befallen the leader. */
  readonly counts: ReadonlyMap<string, number>
  /** Seconds without a leader, and milliseconds from the new leader to the first mail accepted after it. */
  readonly gaps: () => readonly {
    readonly fault: string
    readonly withoutLeaderS: number
    readonly backMs: number
  }[]
}

/** Patroni replaces a leader that is not heard of for 20 s. */
const silentMs = 26_000
/** Before that no standby can prove to Patroni that it has everything, and a leader that dies is waited for. */
const settledMs = 5_000
/** Processes that were killed are gone then. */
const resetMs = 1_000
const lookMs = 50
const backWithinMs = 60_000

type Fault = (cluster: Cluster, leader: ClusterNode) => Promise<() => void | Promise<void>>
const nothing = () => undefined

async function reset(node: ClusterNode): Promise<void> {
  node.kill()
  await sleep(resetMs)
  node.start()
}

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
  // A process that wakes after its time may take the leader's key back: a watchdog resets such a machine.
  async hung(_cluster, leader) {
    leader.freeze()
    await sleep(silentMs)
    return () => reset(leader)
  },
  async withoutPatroni(_cluster, leader) {
    leader.freezePatroni()
    await sleep(silentMs)
    return () => reset(leader)
  },
  async standbyPromoted(cluster, leader) {
    const standby = cluster.nodes.find((node) => node !== leader)
    standby?.promote()
    // it keeps a timeline that no other node knows, and never follows again by itself
    return async () => standby?.reinitialise()
  },
}

/** One fault after the other until `until`, each on a cluster that is whole. */
export async function wreckCluster(
  cluster: Cluster,
  callers: Pick<FuzzCallers, 'acceptedSince'>,
  until: number,
): Promise<ClusterFaults> {
  const counts = new Map<string, number>()
  const gaps: { fault: string; withoutLeaderS: number; backMs: number }[] = []
  for (let n = 0; Date.now() < until; n += 1) {
    const [name, fault] = Object.entries(faults)[n % Object.keys(faults).length] ?? []
    const leader = await cluster.leader()
    if (name === undefined || fault === undefined || leader === undefined) continue
    counts.set(name, (counts.get(name) ?? 0) + 1)
    const watching = new AbortController()
    const watched = watch(cluster, callers, leader, watching.signal)
    const mend = await fault(cluster, leader)
    // a standby that was promoted by hand does not replace the leader
    if (name === 'standbyPromoted') watching.abort()
    const gap = await watched
    if (gap) gaps.push({ fault: name, ...gap })
    await mend()
    await cluster.whole()
    await sleep(settledMs)
  }
  return { counts, gaps: () => gaps }
}

/** `undefined` when it is broken off. Rejects when no other leader takes mails. */
async function watch(
  cluster: Cluster,
  { acceptedSince }: Pick<FuzzCallers, 'acceptedSince'>,
  former: ClusterNode,
  signal: AbortSignal,
): Promise<{ withoutLeaderS: number; backMs: number } | undefined> {
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
