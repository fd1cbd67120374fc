/** Owns the real service as a child process: started with exactly the environment given, asked until it answers, stopped. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './port.ts'

const project = resolve(import.meta.dirname, '../..')
const readyTimeoutMs = 30_000
const stopTimeoutMs = 30_000

interface ServiceOptions {
  readonly mode: 'production' | 'development'
  readonly env?: Readonly<Record<string, string>>
  /** A copy of the project to start in and from; without one the project itself, started in an empty folder. */
  readonly folder?: string
  /** User and group to run as, when the test runs as root. */
  readonly uid?: number | undefined
  /** The Node to run it with, by default the one that runs the test. */
  readonly node?: string
  /** A file to run in place of `src/start.js`, and its arguments. */
  readonly program?: readonly string[]
  /** By default a free one. */
  readonly port?: number
}

export interface Service {
  readonly url: string
  readonly port: number
  readonly child: ChildProcess
  /** Everything written so far to standard output and standard error. */
  readonly output: () => string
  /** Sends SIGTERM and resolves with the exit code, `null` when it had to be killed. */
  stop(): Promise<number | null>
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<void>
}

/**
 * Starts the service on a free port and resolves once `/health/live` answers 200. Nothing of the test's own environment
 * reaches it but PATH. Rejects with its output when it ends first or does not answer in time.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  // Started in the project it would read a developer's own .env.
  const cwd = options.folder ?? (await mkdtemp(join(tmpdir(), 'jwt-mailer-service-')))
  const program = options.program ?? [join(options.folder ?? project, 'src/start.js')]
  const child = spawn(options.node ?? process.execPath, program, {
    cwd,
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: options.mode,
      HOST: '127.0.0.1',
      PORT: String(port),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  })
  // A test run that is broken off leaves nothing behind.
  const abandon = () => child.kill('SIGKILL')
  process.once('exit', abandon)
  child.once('exit', () => process.off('exit', abandon))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk))
  const output = () => text
  const stop = async () => {
    const code = await stopChild(child)
    if (options.folder === undefined) await rm(cwd, { recursive: true, force: true })
    return code
  }
  const kill = async () => {
    const ended = once(child, 'exit')
    if (child.kill('SIGKILL')) await ended
    if (options.folder === undefined) await rm(cwd, { recursive: true, force: true })
  }
  try {
    await untilLive(url, child)
  } catch (cause) {
    await stop()
    throw new Error(`The service did not start:\n${output()}`, { cause })
  }
  return { url, port, child, output, stop, kill }
}

async function untilLive(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + readyTimeoutMs
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const answer = await fetch(`${url}/health/live`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
    await sleep(25)
  }
  throw new Error(child.exitCode === null ? 'no answer in time' : `ended with code ${child.exitCode}`)
}

async function stopChild(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
  await ended
  clearTimeout(killer)
  return child.exitCode
}
