/**
 * Measures how fast a backlog leaves after an outage, and what a fresh mail waits meanwhile: a service in production mode,
 * one relay for each number of connections, each taking its time for every mail. A line of JSON.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { mailId } from '../src/outbox/mail-id.ts'
import { openOutbox } from '../src/outbox/outbox.ts'
import { postgresEngine } from '../src/outbox/store/postgres.ts'
import { sqliteEngine } from '../src/outbox/store/sqlite.ts'
import { askTimed } from '../test/support/caller.ts'
import { startPostgres } from '../test/support/postgres.ts'
import { type ScriptedRelay, scriptedRelay } from '../test/support/relay.ts'
import { type Service, startService } from '../test/support/service.ts'
import { sampleClaims, secret, signToken } from '../test/support/tokens.ts'
import { count, list, oneOf, positive } from './options.ts'

const options = new Command('bench/drain.ts')
  .description('Measures how fast a backlog leaves, and what a fresh mail waits meanwhile.')
  .option('--relays <list>', 'connections of each relay, in their order', list(count), [10, 50])
  .option('--mails <n>', 'mails in the backlog', count, 20_000)
  .option('--ms <n>', 'how long a relay takes for a mail', count, 100)
  .option('--seconds <n>', 'how long at most it is measured', positive, 60)
  .option('--engine <name>', 'sqlite or postgres', oneOf('sqlite', 'postgres'), 'sqlite')
  .addHelpText(
    'after',
    `
Figures:
  perSecond     mails of the backlog that the relays took in a second, from the first one on
  ofPossible    the same as a share of connections / time of a mail
  serviceCores  how much of a core the service used, and relayCores this process, which is the relays
  freshP50Ms    how long the answer to a fresh mail takes meanwhile; also the 95th of 100 and the longest`,
  )
  .parse()
  .opts<{
    relays: number[]
    mails: number
    ms: number
    seconds: number
    engine: 'sqlite' | 'postgres'
  }>()

const freshEveryMs = 250
const silent = { info() {}, warn() {}, error: (...what: unknown[]) => console.error(...what) }
const folder = mkdtempSync(join(tmpdir(), 'drain-bench-'))

async function main(): Promise<void> {
  const server = options.engine === 'postgres' ? await startPostgres({ fsync: true }) : undefined
  const relays = await Promise.all(options.relays.map(() => slowRelay()))
  try {
    await fill(server?.url)
    const env: Record<string, string> = {
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@mail.example.com',
      LIMIT_PER_RECIPIENT: 'off',
      DATA_DIR: folder,
      ...(server && { DATABASE_URL: server.url }),
    }
    for (const [place, { port }] of relays.entries()) {
      const variable = place === 0 ? 'SMTP_URL' : `SMTP_URL_${place + 1}`
      env[variable] = `smtp://user:password@127.0.0.1:${port}?tls=off&connections=${options.relays[place]}`
    }
    const service = await startService({ mode: 'production', env })
    const figures = await measure(service, relays)
    await service.stop()
    console.log(JSON.stringify({ ...options, ...figures }))
  } finally {
    await Promise.all(relays.map((relay) => relay.close()))
    await server?.close()
    rmSync(folder, { recursive: true })
  }
}

const slowRelay = () =>
  scriptedRelay({ dot: () => new Promise((taken) => setTimeout(taken, options.ms, '250 taken')) })

async function fill(url: string | undefined): Promise<void> {
  const engine = url ? postgresEngine({ url }) : sqliteEngine({ path: join(folder, 'outbox.sqlite') })
  const outbox = await openOutbox({ engine, secrets: [secret], limits: {}, log: silent })
  let left = options.mails
  const filler = async () => {
    while (left-- > 0) await queueOne(outbox, left)
  }
  await Promise.all(Array.from({ length: 100 }, filler))
  await outbox.close()
}

async function queueOne(outbox: Awaited<ReturnType<typeof openOutbox>>, number: number): Promise<void> {
  const jti = `backlog-${number}`
  const token = signToken(sampleClaims({ jti }))
  const mail = { app: 'default', kind: 'confirmation', token }
  const times = { expires: Date.now() + 3_600_000 + number * 100, windowMs: 86_400_000 }
  const accepted = await outbox.accept({
    ...mail,
    ...times,
    id: mailId({ ...mail, jti }),
    recipient: `user${number}@example.org`,
  })
  if (accepted.state !== 'owner') throw new Error(`unexpected: ${accepted.state}`)
  await outbox.handBack(accepted.lease)
}

async function measure({ url, child }: Service, relays: readonly ScriptedRelay[]) {
  const serviceCpu = () => cpuSecondsOf(child.pid ?? 0)
  const taken = () => relays.reduce((sum, { mails }) => sum + mails.length, 0)
  while (taken() === 0) await sleep(5)
  const began = performance.now()
  const before = taken()
  const cpuBefore = [serviceCpu(), cpuSecondsOf(process.pid)] as const
  const waits: number[] = []
  const asked: Promise<unknown>[] = []
  // the last mails leave some connections without any: they say nothing about a long backlog
  const enough = options.mails * 0.95
  while (taken() < enough && performance.now() - began < options.seconds * 1000) {
    const token = signToken(sampleClaims({ jti: `fresh-${waits.length}-${asked.length}` }))
    asked.push(askTimed({ url }, token).then(({ ms }) => waits.push(ms)))
    await sleep(freshEveryMs)
  }
  const seconds = (performance.now() - began) / 1000
  const ofCore = (since: number, now: number) => Math.round(((now - since) / seconds) * 100) / 100
  const serviceCores = ofCore(cpuBefore[0], serviceCpu())
  const relayCores = ofCore(cpuBefore[1], cpuSecondsOf(process.pid))
  const perSecond = (taken() - before) / seconds
  const shares = relays.map(({ mails }) => mails.length)
  await Promise.all(asked)
  waits.sort((a, b) => a - b)
  const possible = options.relays.reduce((sum, connections) => sum + connections, 0) / (options.ms / 1000)
  return {
    perSecond: Math.round(perSecond),
    ofPossible: Math.round((perSecond / possible) * 1000) / 1000,
    byRelay: shares,
    serviceCores,
    relayCores,
    freshP50Ms: Math.round(waits[Math.floor(waits.length / 2)] ?? 0),
    freshP95Ms: Math.round(waits[Math.floor(waits.length * 0.95)] ?? 0),
    freshMaxMs: Math.round(waits.at(-1) ?? 0),
  }
}

/** Of Linux: user and system time, in hundredths of a second, behind the name in brackets. */
function cpuSecondsOf(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number)
  return (user + system) / 100
}

await main()
