/** Owns what is made of the measurements: medians with their spread, ratios within a round, and what was expected. */
import type { Case, Measurement } from './measure.ts'
import { isService, type SenderId, senderNames } from './senders.ts'
import type { Tally } from './sink.ts'

/** The median of the rounds, with the lowest and the highest. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** `value` is what was measured, `holds` undefined where this run did not measure it. */
export interface Expectation {
  readonly what: string
  readonly value: string
  readonly holds: boolean | undefined
}

export interface Findings {
  readonly cases: readonly Case[]
  readonly measurements: readonly Measurement[]
  readonly connections: number
  readonly tally: Tally
}

type Figure = 'rate' | 'p50Ms' | 'p99Ms' | 'cpuUs' | 'peakMiB' | 'loopP99Ms'

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

function rowsOf(measurements: readonly Measurement[], item: Case): Measurement[] {
  const { sender, callers, rttMs } = item
  return measurements.filter((m) => m.sender === sender && m.callers === callers && m.rttMs === rttMs)
}

/** Divides within each round, so that what slowed the whole round down does not count. */
function ratioOf({ measurements }: Findings, figure: Figure, over: Case, under: Case): Spread | undefined {
  const below = rowsOf(measurements, under)
  const ratios = rowsOf(measurements, over).flatMap((row) => {
    const base = below.find(({ round }) => round === row.round)
    return base ? [row[figure] / base[figure]] : []
  })
  return ratios.length > 0 ? spreadOf(ratios) : undefined
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
const round = (value: number) =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
const show = ({ median, min, max }: Spread) => `${round(median)} [${round(min)}–${round(max)}]`

/** One expectation about one spread. */
function expectation(
  what: string,
  spread: Spread | undefined,
  holds: (median: number) => boolean,
): Expectation {
  if (!spread) return { what, value: 'not measured', holds: undefined }
  return { what, value: show(spread), holds: holds(spread.median) }
}

/** What issue and README promise, held against the run. */
export function checkExpectations(findings: Findings): Expectation[] {
  const { cases, measurements, connections, tally } = findings
  const first = cases.find(({ sender }) => sender === 'a')
  if (!first) return [arrival(measurements, tally)]
  const sent = (sender: SenderId): Case => ({ ...first, sender })
  const own = cases.filter(({ sender }) => sender === 'a')
  const slow = own.filter(({ rttMs, callers }) => rttMs > 0 && callers === first.callers)
  const crowds = own.filter(({ callers }) => callers !== first.callers)
  const peak = Math.max(...crowds.flatMap((item) => rowsOf(measurements, item)).map(({ peakMiB }) => peakMiB))
  return [
    arrival(measurements, tally),
    expectation(
      'CPU per mail (a)/(b) at most 0.6',
      ratioOf(findings, 'cpuUs', first, sent('b')),
      (x) => x <= 0.6,
    ),
    expectation(
      'CPU per mail (a)/(c) at most 7',
      ratioOf(findings, 'cpuUs', first, sent('c')),
      (x) => x <= 7,
    ),
    ...slow.map((item) => {
      const least = (0.9 * connections * 1000) / (2 * item.rttMs)
      const rates = spreadOf(rowsOf(measurements, item).map(({ rate }) => rate))
      const what = `at ${item.rttMs} ms round trip at least 0.9 × connections / (2 × RTT) = ${round(least)} mails/s`
      return expectation(what, rates, (x) => x >= least)
    }),
    ...crowds.map((item) => {
      const what = `throughput of ${item.callers} callers at least 0.9 × that of ${first.callers}`
      return expectation(what, ratioOf(findings, 'rate', item, first), (x) => x >= 0.9)
    }),
    ...crowds.map((item) => {
      const what = `99 of 100 turns of the event loop held up for at most 10 ms at ${item.callers} callers`
      return expectation(
        what,
        spreadOf(rowsOf(measurements, item).map((row) => row.loopP99Ms)),
        (x) => x <= 10,
      )
    }),
    {
      what: 'peak memory at most 200 MiB with the most callers',
      value: crowds.length > 0 ? `${round(peak)} MiB` : 'not measured',
      holds: crowds.length > 0 ? peak <= 200 : undefined,
    },
  ]
}

function arrival(measurements: readonly Measurement[], tally: Tally): Expectation {
  const { missing, duplicates, misaddressed, strangers } = tally
  const accepted = sum(measurements.map((m) => m.accepted))
  const failed = sum(measurements.map((m) => m.failed))
  const value = `${accepted} accepted, ${failed} refused; ${missing} missing, ${duplicates} twice, ${misaddressed + strangers} to others`
  const holds = missing + duplicates + misaddressed + strangers === 0
  return { what: 'each accepted mail arrived exactly once', value, holds }
}

/** Everything for a person to read. */
export function printTable(findings: Findings, expectations: readonly Expectation[]): string {
  const { measurements } = findings
  return [
    table(
      ['', 'callers', 'RTT ms', 'mails/s', 'p50 ms', 'p99 ms', 'CPU µs/mail', 'loop p99 ms', 'peak MiB'],
      caseRows(findings),
    ),
    '\nMedian of the rounds [lowest–highest]. CPU and memory are the sender’s alone; memory is the highest so far.',
    busiest(measurements),
    '\nRatios within a round',
    table(['', 'callers', 'RTT ms', 'throughput', 'CPU per mail'], ratioRows(findings)),
    '\nExpectations',
    ...expectations.map(
      ({ what, value, holds }) => ` ${holds ? '✓' : holds === false ? '✗' : '-'} ${what}: ${value}`,
    ),
  ].join('\n')
}

function caseRows({ cases, measurements }: Findings): string[][] {
  return cases.map((item) => {
    const rows = rowsOf(measurements, item)
    const spread = (figure: Figure) => show(spreadOf(rows.map((row) => row[figure])))
    const peak = Math.max(...rows.map(({ peakMiB }) => peakMiB))
    const figures = (['rate', 'p50Ms', 'p99Ms', 'cpuUs'] as const).map(spread)
    const loop = isService(item.sender) ? spread('loopP99Ms') : ''
    return [senderNames[item.sender], String(item.callers), String(item.rttMs), ...figures, loop, round(peak)]
  })
}

/** (a) over every other sender, and over (d) everywhere it ran. */
function ratioRows(findings: Findings): string[][] {
  return findings.cases
    .filter(({ sender }) => sender !== 'a')
    .flatMap((other) => {
      const own: Case = { ...other, sender: 'a' }
      const rate = ratioOf(findings, 'rate', own, other)
      const cpu = ratioOf(findings, 'cpuUs', own, other)
      if (!rate || !cpu) return []
      return [[`(a)/(${other.sender})`, String(other.callers), String(other.rttMs), show(rate), show(cpu)]]
    })
}

function most(who: keyof Measurement['busy'], measurements: readonly Measurement[]): string {
  return `${Math.round(Math.max(0, ...measurements.map(({ busy }) => busy[who])) * 100)} %`
}

function busiest(measurements: readonly Measurement[]): string {
  const services = measurements.filter(({ sender }) => isService(sender))
  const load = services.length > 0 ? `, the load generator ${most('load', services)}` : ''
  const forServices = services.length > 0 ? ` (${most('sink', services)} with the service)` : ''
  const ours = `Of one core the sink used at most ${most('sink', measurements)}${forServices}${load}.`
  return `${ours} Programs outside the bench used up to ${most('others', measurements)} (should be near 0).`
}

function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
  return [head, ...rows].map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}
