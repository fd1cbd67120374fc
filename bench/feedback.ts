/**
 * Measures whether reports of a relay slow mails: the service on one core, mails beside it, and in every second slice of
 * time a thousand events a second. Mails come at a steady rate, or from callers who each ask again as soon as they are
 * answered: then they come as fast as the service takes them. A line of JSON for each kind of slice.
 *
 * All requests are written before their slice begins, and travel over kept connections, because what the load itself
 * needs of its core would count as a delay of the mails.
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
import { type HttpConnection, httpConnection } from './http-connection.ts'
import { count, oneOf } from './options.ts'

const options = new Command('bench/feedback.ts')
  .description('Measures how long mails take while a relay reports, and while it does not, in turns.')
  .option('--relay <name>', 'which relay reports', oneOf('sendgrid', 'postmark'), 'sendgrid')
  .option('--events <n>', 'events a second', count, 1000)
  .option('--batch <n>', 'events in a request', count, 100)
  .option('--mails <n>', 'mails a second', count, 100)
  .option('--callers <n>', 'instead of --mails: so many callers, without a pause', count, 0)
  .option('--rounds <n>', 'slices of each kind', count, 5)
  .option('--seconds <n>', 'length of a slice', count, 4)
  .parse()
  .opts<Record<'events' | 'batch' | 'mails' | 'callers' | 'rounds' | 'seconds', number> & { relay: string }>()

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

interface Slice {
  /** Of each mail, in ms. */
  readonly times: number[]
  readonly cpuUs: number
  readonly events: number
}

const connections: HttpConnection[] = []
/** Over a connection that is free, or a new one. */
async function ask(request: string): Promise<void> {
  const connection = connections.pop() ?? httpConnection(service.port)
  const body = await connection.ask(request)
  connections.push(connection)
  if (body === undefined || !body.includes('"error":0')) throw new Error(`answered ${body}`)
}

function post(path: string, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const length = Buffer.byteLength(body)
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${length}\r\n${lines.join('')}\r\n${body}`
}

let minted = 0
function mailRequest(): string {
  const claims = sampleClaims({ jti: `${(minted += 1)}`, user_email: `user${minted}@example.com` })
  return post(
    '/emailservice',
    { 'content-type': 'application/json' },
    JSON.stringify({ token: signToken(claims) }),
  )
}

let reported = 0
const messageIds: string[] = []
function reportRequest(): string {
  const words: Feedback[] = ['delayed', 'delivered']
  const events = Array.from({ length: options.batch }, () => {
    const n = (reported += 1)
    return event(words[Math.floor(n / messageIds.length) % 2]!, messageIds[n % messageIds.length]!)
  })
  const { headers, body } = sign(events)
  return post(`/feedback/${options.relay}`, headers, body)
}

/** Begins so many of `requests` a second, and waits for none before the next. */
async function steadily(requests: readonly string[], perSecond: number, begin: (request: string) => void) {
  const started = performance.now()
  for (let begun = 0; begun < requests.length; ) {
    const due = Math.min(requests.length, Math.ceil(((performance.now() - started) * perSecond) / 1000))
    while (begun < due) begin(requests[begun++]!)
    await sleep(1)
  }
}

async function slice(withEvents: boolean): Promise<Slice> {
  const { seconds, callers } = options
  const requestsOf = (number: number, write: () => string) => Array.from({ length: number }, write)
  const mails = requestsOf(callers > 0 ? 3_000 * seconds : options.mails * seconds, mailRequest)
  const perSecond = options.events / options.batch
  const reports = requestsOf(withEvents ? perSecond * seconds : 0, reportRequest)
  const times: number[] = []
  const asked: Promise<void>[] = []
  async function sendMail(request: string): Promise<void> {
    const from = performance.now()
    await ask(request)
    times.push(performance.now() - from)
  }
  const cpu = cpuUs()
  const until = performance.now() + seconds * 1000
  async function call(): Promise<void> {
    while (performance.now() < until) await sendMail(mails.pop()!)
  }
  await Promise.all([
    steadily(reports, perSecond, (request) => asked.push(ask(request))),
    ...(callers > 0
      ? Array.from({ length: callers }, call)
      : [steadily(mails, options.mails, (request) => asked.push(sendMail(request)))]),
  ])
  await Promise.all(asked)
  return { times, cpuUs: cpuUs() - cpu, events: reports.length * options.batch }
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
  for (const withEvents of round % 2 ? [true, false] : [false, true]) {
    slices.get(withEvents)?.push(await slice(withEvents))
    relay.mails.length = 0
    relay.commands.length = 0
  }

const rounded = (value: number) => Math.round(value * 1000) / 1000
for (const list of slices.values()) {
  const times = list.flatMap((one) => one.times).toSorted((a, b) => a - b)
  const at = (share: number) => rounded(times[Math.floor(times.length * share)] ?? 0)
  const seconds = options.rounds * options.seconds
  const perSecond = (of: (one: Slice) => number) =>
    rounded(list.reduce((sum, one) => sum + of(one), 0) / seconds)
  console.log(
    JSON.stringify({
      eventsPerSecond: perSecond((one) => one.events),
      mailsPerSecond: perSecond((one) => one.times.length),
      meanMs: rounded(times.reduce((sum, ms) => sum + ms, 0) / times.length),
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      shareOfCore: perSecond((one) => one.cpuUs / 1e6),
    }),
  )
}
for (const connection of connections) connection.close()
await service.stop()
await relay.close()
rmSync(dir, { recursive: true })
