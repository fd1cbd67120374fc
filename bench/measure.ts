/** Owns one measurement: one case run once, with what it cost. And the order in which cases take their turns. */
import { cpus } from 'node:os'
import type { Order, Result } from './drive.ts'
import type { Child, Usage } from './ipc.ts'
import type { Options } from './options.ts'
import { isService, type Sender, type SenderId } from './senders.ts'
import type { Claimed } from './sink.ts'

/** One row of the table. */
export interface Case {
  readonly sender: SenderId
  readonly callers: number
  readonly rttMs: number
}

export interface Measurement extends Case {
  readonly round: number
  readonly accepted: number
  readonly failed: number
  /** Accepted mails a second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU of the sender per accepted mail. */
  readonly cpuUs: number
  /** Highest resident memory of the sender so far. */
  readonly peakMiB: number
  /** How long the event loop was held up, of services only. */
  readonly loopP99Ms: number
  /** Share of one core, which shows the bottleneck; `others` is everything else that the machine did. */
  readonly busy: Readonly<Record<'sender' | 'load' | 'sink' | 'others', number>>
}

/** All senders at the first number of callers and every round trip; the services also with more callers. */
export function casesOf({ only, service, callers, rtt }: Options): Case[] {
  const senders: SenderId[] = service === undefined ? [...only] : [...only, 'd']
  const [first = 32, ...more] = callers
  const [base = 0] = rtt
  const compared = rtt.flatMap((rttMs) => senders.map((sender) => ({ sender, callers: first, rttMs })))
  const services = senders.filter(isService)
  return [
    ...compared,
    ...more.flatMap((n) => services.map((sender) => ({ sender, callers: n, rttMs: base }))),
  ]
}

/** Each round begins with another case, so that none always follows the same disturbance. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const by = round % items.length
  return [...items.slice(by), ...items.slice(0, by)]
}

/** Numbers the orders of a run, and remembers for each what the sink must find. */
export function measurer(sink: Child, connections: number) {
  const claimed: Claimed[] = []
  let delayedMs = 0

  /** Runs one case for `seconds`, or until `max` mails. Rejects when a process fails or hangs. */
  async function measure(
    sender: Sender,
    item: Case,
    seconds: number,
    round = 0,
    max = mostMails(item, seconds),
  ) {
    const { driver, measured } = sender
    if (item.rttMs !== delayedMs) await sink.ask('delay', item.rttMs)
    delayedMs = item.rttMs
    const tag = claimed.length + 1
    const order: Order = { tag, callers: item.callers, seconds, max }
    await driver.ask('prepare', sender.port ? { ...order, port: sender.port } : order, 120_000)
    const usages = () => Promise.all([measured, driver, sink].map((child) => child.ask<Usage>('usage')))
    const before = await usages()
    const machineBefore = machineCpuUs()
    const result = await driver.ask<Result>('go', undefined, seconds * 1000 + 60_000)
    const machineUs = machineCpuUs() - machineBefore
    const after = await usages()
    claimed.push({ tag, issued: result.issued, failed: result.failed })
    return summarize({ ...item, round }, result, { before, after, machineUs })
  }

  /** Tokens are minted before the clock starts: enough for any service, but not without bound. */
  function mostMails({ sender, rttMs }: Case, seconds: number): number {
    const perSecond =
      rttMs > 0 ? (1000 * connections) / rttMs : sender === 'b' || sender === 'c' ? 100_000 : 10_000
    return Math.ceil(perSecond * seconds)
  }

  return { claimed, measure }
}

interface Costs {
  /** Of the sender, its driver and the sink. */
  readonly before: readonly Usage[]
  readonly after: readonly Usage[]
  readonly machineUs: number
}

function summarize(row: Case & { round: number }, result: Result, costs: Costs): Measurement {
  const { before, after, machineUs } = costs
  const { elapsedMs, p50Ms, p99Ms } = result
  const failed = result.failed.length
  const accepted = result.issued - failed
  const [sender = 0, load = 0, sink = 0] = after.map(({ cpuUs }, i) => cpuUs - (before[i]?.cpuUs ?? 0))
  // where the sender drives itself, `sender` and `load` are one process
  const ours = sink + sender + (isService(row.sender) ? load : 0)
  const busy = (cpuUs: number) => cpuUs / (elapsedMs * 1000)
  return {
    ...row,
    accepted,
    failed,
    rate: accepted / (elapsedMs / 1000),
    p50Ms,
    p99Ms,
    cpuUs: sender / accepted,
    peakMiB: after[0]?.peakMiB ?? 0,
    loopP99Ms: after[0]?.loopP99Ms ?? Number.NaN,
    busy: {
      sender: busy(sender),
      load: busy(load),
      sink: busy(sink),
      others: busy(Math.max(0, machineUs - ours)),
    },
  }
}

/** All that the cores of this machine have worked since it started, in steps of a hundredth of a second. */
function machineCpuUs(): number {
  return cpus().reduce((sum, { times }) => sum + 1000 * (times.user + times.nice + times.sys + times.irq), 0)
}
