/**
 * Owns one run of the bench: starts the sink and the senders, lets them take turns, shows what came out.
 * Results go to stdout, progress to stderr.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeCertificate } from './certificate.ts'
import type { Child, Usage } from './ipc.ts'
import { casesOf, type Measurement, measurer, rotated } from './measure.ts'
import { type Options, readOptions } from './options.ts'
import { readSelfTimes } from './profile.ts'
import { checkExpectations, type Findings, printTable, type Stretch } from './report.ts'
import { type RelayTarget, readSample, standInSample } from './sample.ts'
import {
  type Sender,
  senderNames,
  startDriver,
  startLoad,
  startService,
  startSink,
  type Surroundings,
} from './senders.ts'
import type { Tally } from './sink.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const STRETCH = 10_000
const STRETCHES = 10
const tell = (text: string) => process.stderr.write(`${text}\n`)

type Measure = ReturnType<typeof measurer>['measure']

async function run(options: Options, dir: string, children: Child[]): Promise<Findings> {
  const started = <T extends Child | Sender>(what: T): T => {
    children.push('measured' in what ? what.measured : what)
    return what
  }
  const certificate = makeCertificate(dir)
  const [user, password, secret] = ['bench', randomBytes(12).toString('hex'), randomBytes(32).toString('hex')]
  const { connections } = options
  const sink = started(startSink(certificate, user, password))
  const relayPort = await sink.ask<number>('port')
  const around: Surroundings = { dir, certificate, relayPort, user, password, connections, secret }
  const { measure, claimed } = measurer(sink, connections)
  const cases = casesOf(options)
  const senders = await startSenders()
  await warmUp()
  const measurements = await takeTurns()
  const stretches = options.long && options.only.includes('a') ? await longRun() : []
  return { cases, measurements, connections, tally: await settledTally(), stretches }

  async function startSenders(): Promise<Sender[]> {
    const { only, service, profile } = options
    const found: Sender[] = []
    const load = started(startLoad(secret))
    if (only.includes('a')) {
      const nodeArgs = profile ? ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`] : []
      found.push(
        started(await startService(around, { id: 'a', root: ROOT, load, env: options.env, nodeArgs })),
      )
    }
    if (service !== undefined) {
      const root = resolve(service)
      found.push(started(await startService(around, { id: 'd', root, load, env: options.serviceEnv })))
    }
    const sample = found[0] ? await capturedSample(found[0]) : await standInSample()
    const sampleFile = join(dir, 'sample.json')
    writeFileSync(sampleFile, JSON.stringify(sample))
    tell(`the mail: ${sample.raw.length} bytes on the wire${found[0] ? '' : ' (a stand-in)'}`)
    const target: RelayTarget = {
      port: relayPort,
      user,
      password,
      connections,
      sampleFile,
      certFile: certificate.certFile,
    }
    for (const id of ['b', 'c'] as const) if (only.includes(id)) found.push(started(startDriver(id, target)))
    return found
  }

  async function capturedSample(service: Sender) {
    const captured = sink.ask<string>('capture', undefined, 30_000)
    const { failed } = await measure(service, { sender: service.id, callers: 1, rttMs: 0 }, 10, 0, 1)
    if (failed > 0) throw new Error(`${senderNames[service.id]} did not send the first mail`)
    return readSample(await captured)
  }

  /** nodemailer's composer is not up to speed before its first thousand mails. */
  async function warmUp(): Promise<void> {
    const [callers = 32] = options.callers
    for (const sender of senders) {
      await measure(sender, { sender: sender.id, callers, rttMs: 0 }, Math.max(2, options.seconds))
    }
  }

  async function takeTurns(): Promise<Measurement[]> {
    const found: Measurement[] = []
    for (let round = 0; round < options.rounds; round++) {
      for (const item of rotated(cases, round)) {
        const sender = senders.find(({ id }) => id === item.sender)
        if (!sender) continue
        const row = await measure(sender, item, options.seconds, round)
        found.push(row)
        const what = `${senderNames[item.sender]}, ${item.callers} callers, ${item.rttMs} ms`
        tell(
          `round ${round + 1}/${options.rounds}  ${what}: ${row.rate.toFixed(0)} mails/s, ${row.cpuUs.toFixed(0)} µs`,
        )
      }
    }
    return found
  }

  /** A fresh service, so that the first stretch has no history. */
  async function longRun(): Promise<Stretch[]> {
    const load = started(startLoad(secret))
    const service = started(await startService(around, { id: 'a', root: ROOT, load, env: options.env }))
    const [callers = 32] = options.callers
    const found: Stretch[] = []
    for (let i = 1; i <= STRETCHES; i++) {
      found.push(await stretch(measure, service, callers, i))
      tell(`long run: ${i * STRETCH} of ${STRETCHES * STRETCH} mails`)
    }
    return found
  }

  /** Waits up to 15 s for mails that were accepted but not yet sent, and a second for any that come twice. */
  async function settledTally(): Promise<Tally> {
    await sleep(1000)
    const end = performance.now() + 15_000
    for (;;) {
      const tally = await sink.ask<Tally>('tally', claimed)
      if (tally.missing === 0 || performance.now() > end) return tally
      await sleep(500)
    }
  }
}

async function stretch(measure: Measure, service: Sender, callers: number, i: number): Promise<Stretch> {
  const item = { sender: service.id, callers, rttMs: 0 }
  const { rate, p50Ms, p99Ms } = await measure(service, item, 120, 0, STRETCH)
  await sleep(500)
  const { heapMiB, rssMiB } = await service.measured.ask<Usage>('collected')
  return { mails: i * STRETCH, rate, p50Ms, p99Ms, heapMiB, rssMiB }
}

function showProfile(dir: string): void {
  const { functions, places } = readSelfTimes(dir, ROOT)
  for (const list of [functions.slice(0, 25), places.slice(0, 12)]) {
    tell('')
    for (const { where, ms, share } of list) {
      tell(`${(share * 100).toFixed(1).padStart(5)} %  ${ms.toFixed(0).padStart(6)} ms  ${where}`)
    }
  }
}

async function main(options: Options): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'jwt-mailer-bench-'))
  const children: Child[] = []
  const clean = async () => {
    await Promise.all(children.map((child) => child.stop()))
    rmSync(dir, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void clean().finally(() => process.exit(1)))
  }
  try {
    const findings = await run(options, dir, children)
    await clean()
    const expectations = checkExpectations(findings)
    const machine = { cores: availableParallelism(), cpu: cpus()[0]?.model ?? '', node: process.version }
    if (options.json)
      process.stdout.write(`${JSON.stringify({ machine, options, ...findings, expectations })}\n`)
    else process.stdout.write(`${printTable(findings, expectations)}\n`)
    if (options.profile) showProfile(resolve(options.profile))
    if (options.strict && expectations.some(({ holds }) => holds === false)) process.exitCode = 1
  } finally {
    await clean()
  }
}

try {
  await main(readOptions(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
