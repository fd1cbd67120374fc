/** Owns the three kinds of sender as running processes: how each is started, driven and stopped. */
import { mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../test/support/port.ts'
import type { Certificate } from './certificate.ts'
import { type Child, startNode } from './ipc.ts'
import type { RelayTarget } from './sample.ts'

/** a: this service · b: pooled nodemailer · c: the limit · d: the service of another checkout. */
export type SenderId = 'a' | 'b' | 'c' | 'd'

export const senderNames = {
  a: '(a) this service',
  b: '(b) pooled nodemailer',
  c: '(c) raw SMTP, the limit',
  d: '(d) service of --service',
} as const satisfies Record<SenderId, string>

/** Is it a service, driven over HTTP? */
export const isService = (id: SenderId) => id === 'a' || id === 'd'

/** `measured` is the process whose CPU and memory count; `driver` hands it the mails (for b and c they are one). */
export interface Sender {
  readonly id: SenderId
  readonly measured: Child
  readonly driver: Child
  /** Where the service listens. */
  readonly port?: number
}

/** What every service of a run shares. */
export interface RunContext {
  /** Scratch space of the run. */
  readonly dir: string
  readonly certificate: Certificate
  readonly relayPort: number
  readonly user: string
  readonly password: string
  readonly connections: number
  readonly secret: string
}

const START_TIMEOUT_MS = 15_000
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

export function startSink({ keyFile, certFile }: Certificate, user: string, password: string): Child {
  return startNode([here('sink.ts'), keyFile, certFile, user, password])
}

export function startLoad(secret: string): Child {
  return startNode([here('load.ts'), secret])
}

export function startDriver(id: 'b' | 'c', target: RelayTarget): Sender {
  const child = startNode([here(id === 'b' ? 'pooled.ts' : 'raw.ts'), JSON.stringify(target)])
  return { id, measured: child, driver: child }
}

/**
 * Starts the service of the checkout `root` as an operator does, in production mode, and waits until it answers.
 * Throws with the end of its log when it does not. It has been started once before: the very first start on a machine
 * also compiles what is kept for all others, and takes 30 MB for that.
 */
export async function startService(...how: Parameters<typeof startOnce>): Promise<Sender> {
  const first = await startOnce(...how)
  await first.measured.stop()
  return startOnce(...how)
}

async function startOnce(
  around: RunContext,
  options: { id: 'a' | 'd'; root: string; load: Child; env: Record<string, string> },
): Promise<Sender> {
  const { id, root, load } = options
  const port = await freePort()
  const logFile = join(around.dir, `service-${id}-${port}.log`)
  const dataDir = join(around.dir, `data-${id}-${port}`)
  mkdirSync(dataDir)
  const { user, password, relayPort } = around
  const env = {
    PATH: process.env['PATH'],
    HOME: around.dir,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    JWT_MAILER_SECRET: around.secret,
    SMTP_URL: `smtp://${user}:${password}@localhost:${relayPort}`,
    MAIL_FROM: 'noreply@mail.example.com',
    RELAY_CONNECTIONS: String(around.connections),
    NODE_EXTRA_CA_CERTS: around.certificate.certFile,
    DATA_DIR: dataDir,
    ...options.env,
  }
  const args = ['--import', here('probe.ts'), ...startArgs(root)]
  const measured = startNode(args, { cwd: root, env, log: openSync(logFile, 'a') })
  try {
    await answering(measured, port)
  } catch (error) {
    await measured.stop()
    const log = readFileSync(logFile, 'utf8').slice(-2000)
    throw new Error(`the service in ${root} did not start:\n${log}`, { cause: error })
  }
  return { id, measured, driver: load, port }
}

/** What `npm start` gives to node in that checkout, so that its flags are measured as well. */
function startArgs(root: string): string[] {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  )
  const [, args] = /^(?:exec )?node (.+)$/.exec(scripts['start'] ?? '') ?? []
  if (!args) throw new Error(`the start script in ${root} does not call node`)
  return args.split(' ')
}

async function answering(child: Child, port: number): Promise<void> {
  const end = performance.now() + START_TIMEOUT_MS
  while (performance.now() < end) {
    await child.ask('usage')
    const alive = await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined)
    if (alive?.ok) return
    await sleep(50)
  }
  throw new Error('no answer')
}
