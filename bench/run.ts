/**
 * Owns one run of the bench: starts the sink and the senders, lets them take turns, prints the result.
 * Results go to stdout, progress to stderr.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeCertificate } from './certificate.ts'
import type { Child } from './ipc.ts'
import { casesOf, type Measurement, measurer, rotated } from './measure.ts'
import { type Options, readOptions } from './options.ts'
import { checkExpectations, type Findings, printTable } from './report.ts'
import { type RelayTarget, readSample, standInSample } from './sample.ts'
import {
  type Sender,
  senderNames,
  startDriver,
  startLoad,
  startService,
  startSink,
  type RunContext,
} from './senders.ts'
import type { Tally } from './sink.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const tell = (text: string) => process.stderr.write(`${text}\n`)

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
  const around: RunContext = { dir, certificate, relayPort, user, password, connections, secret }
  const { measure, claimed } = measurer(sink, connections)
  const cases = casesOf(options)
  const senders = await startSenders()
  await warmUp()
  const measurements = await takeTurns()
  return { cases, measurements, connections, tally: await settledTally() }

  async function startSenders(): Promise<Sender[]> {
    const { only, service } = options
    const found: Sender[] = []
    const load = started(startLoad(secret))
    if (only.includes('a')) {
      found.push(started(await startService(around, { id: 'a', root: ROOT, load, env: options.env })))
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
    process.stdout.write(`${printTable(findings, expectations)}
`)
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
