/**
 * Measures whether reports of a relay slow mails: the service on one core, mails at a steady rate, and in every second
 * slice of time a thousand events a second beside them. A line of JSON for each kind of slice.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import type { Feedback } from '../src/feedback.ts'
import { scriptedRelay } from '../test/support/relay.ts'
import { reportingSystems } from '../test/support/reports.ts'
import { startService } from '../test/support/service.ts'
import { sampleClaims, secret, signToken } from '../test/support/tokens.ts'
import { count, oneOf } from './options.ts'

const options = new Command('bench/feedback.ts')
  .description('Measures how long mails take while a relay reports, and while it does not, in turns.')
  .option('--relay <name>', 'which relay reports', oneOf('sendgrid', 'postmark'), 'sendgrid')
  .option('--events <n>', 'events a second', count, 1000)
  .option('--batch <n>', 'events in a request', count, 100)
  .option('--mails <n>', 'mails a second', count, 100)
  .option('--rounds <n>', 'slices of each kind', count, 5)
  .option('--seconds <n>', 'length of a slice', count, 4)
  .parse()
  .opts<{ relay: string; events: number; batch: number; mails: number; rounds: number; seconds: number }>()

const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === options.relay)!
const dir = mkdtempSync(join(tmpdir(), 'feedback-bench-'))
const relay = await scriptedRelay()
const variables = { sendgrid: 'SENDGRID_FEEDBACK_KEY', postmark: 'POSTMARK_FEEDBACK_LOGIN' }
const variable = options.relay === 'sendgrid' ? variables.sendgrid : variables.postmark
const service = await startService({
  mode: 'production',
  env: {
    JWT_MAILER_SECRET: secret,
    SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
    MAIL_FROM: 'noreply@mail.example.com',
    DATA_DIR: dir,
    LOG_LEVEL: 'warn',
    [variable]: settings.proofs[0]!,
  },
})
const pid = String(service.child.pid)
// all of its threads
execFileSync('taskset', ['-a', '-c', '-p', '0', pid], { stdio: 'ignore' })
execFileSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)], { stdio: 'ignore' })

/** CPU of the service so far, in µs. */
function cpuUs(): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return ((user ?? 0) + (system ?? 0)) * 10_000
}

let sent = 0
const messageIds: string[] = []
async function sendMail(times: number[]): Promise<void> {
  const claims = sampleClaims({ jti: `${(sent += 1)}`, user_email: `user${sent}@example.com` })
  const from = performance.now()
  const { status } = await fetch(`${service.url}/emailservice`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: signToken(claims) }),
  })
  times.push(performance.now() - from)
  if (status !== 200) throw new Error(`a mail was answered ${status}`)
}

let reported = 0
async function report(): Promise<void> {
  const words: Feedback[] = ['delayed', 'delivered']
  const events = Array.from({ length: options.batch }, () => {
    const n = (reported += 1)
    return event(words[Math.floor(n / messageIds.length) % 2]!, messageIds[n % messageIds.length]!)
  })
  const { headers, body } = sign(events)
  const { status } = await fetch(`${service.url}/feedback/${options.relay}`, {
    method: 'POST',
    headers,
    body,
  })
  if (status !== 200) throw new Error(`a report was answered ${status}`)
}

/** Begins `work` so many times a second, without waiting for it. */
async function steadily(perSecond: number, until: number, work: () => Promise<void>): Promise<void> {
  const begun: Promise<void>[] = []
  const started = performance.now()
  while (performance.now() < until) {
    begun.push(work())
    await sleep(Math.max(0, started + (begun.length * 1000) / perSecond - performance.now()))
  }
  await Promise.all(begun)
}

interface Slice {
  readonly times: number[]
  readonly cpuUs: number
}

async function slice(withEvents: boolean): Promise<Slice> {
  const times: number[] = []
  const [until, cpu] = [performance.now() + options.seconds * 1000, cpuUs()]
  await Promise.all([
    steadily(options.mails, until, () => sendMail(times)),
    withEvents ? steadily(options.events / options.batch, until, report) : undefined,
  ])
  return { times, cpuUs: cpuUs() - cpu }
}

await slice(false)
for (const { source } of relay.mails) {
  const [, id] = /^Message-ID: <([^@]+)@/im.exec(source) ?? []
  if (id !== undefined) messageIds.push(id)
}
await slice(true)
const slices = new Map<boolean, Slice[]>([
  [false, []],
  [true, []],
])
for (let round = 0; round < options.rounds; round += 1)
  for (const withEvents of round % 2 ? [true, false] : [false, true])
    slices.get(withEvents)?.push(await slice(withEvents))

for (const [withEvents, list] of slices) {
  const times = list.flatMap((one) => one.times).toSorted((a, b) => a - b)
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 100) / 100
  const mean = Math.round((times.reduce((sum, ms) => sum + ms, 0) / times.length) * 100) / 100
  const core = list.reduce((sum, one) => sum + one.cpuUs, 0) / (options.rounds * options.seconds * 1e6)
  const line = { eventsPerSecond: withEvents ? options.events : 0, mails: times.length, meanMs: mean }
  console.log(
    JSON.stringify({
      ...line,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      shareOfCore: Math.round(core * 1000) / 1000,
    }),
  )
}
await service.stop()
await relay.close()
rmSync(dir, { recursive: true })
