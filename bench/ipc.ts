/**
 * Owns the processes of the bench and the questions they ask each other: a parent `ask`s, a child answers.
 * Every child answers `usage` with what it has used, and ends when its parent ends.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'

const LOOK_MS = 2

/** What a process has used since its start. CPU covers all its threads, user and system. */
export interface Usage {
  readonly cpuUs: number
  readonly peakMiB: number
  /** The delay that 99 of 100 turns of the event loop stayed below since the last question; only after `watchLoop`. */
  readonly loopP99Ms?: number
}

type Handlers = Record<string, (value: any) => unknown>

interface Question {
  readonly id: number
  readonly name: string
  readonly value: any
}
interface Reply {
  readonly id: number
  readonly value?: any
  readonly error?: string
}

/** A running child. `ask` rejects when the child fails, ends or takes longer than `timeoutMs`. */
export interface Child {
  readonly pid: number
  ask<T>(name: string, value?: unknown, timeoutMs?: number): Promise<T>
  /** SIGTERM, and SIGKILL after 10 s. Resolves to the exit code, or to the signal's name. */
  stop(): Promise<number | string>
}

/** In a child: answer what the parent asks. */
export function answer(handlers: Handlers = {}): void {
  const all: Handlers = { usage, ...handlers }
  process.on('message', (question: Question) => void handle(all, question))
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // The channel alone must not keep a service alive that wants to end.
  process.channel?.unref()
}

async function handle(handlers: Handlers, { id, name, value }: Question): Promise<void> {
  try {
    process.send?.({ id, value: await handlers[name]?.(value) } satisfies Reply)
  } catch (error) {
    process.send?.({ id, error: String(error) } satisfies Reply)
  }
}

/**
 * Starts `node ...args` and resolves at once; the first `ask` waits until the child listens.
 * `log` is a file descriptor for the child's output.
 */
export function startNode(
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; log?: number } = {},
): Child {
  const output = options.log ?? 'inherit'
  const stdio: StdioOptions = ['ignore', output, output, 'ipc']
  const child = spawn(process.execPath, args, { cwd: options.cwd, env: options.env ?? process.env, stdio })
  const ended = whenEnded(child)
  const waiting = new Map<number, (reply: Reply) => void>()
  let last = 0
  child.on('message', (reply: Reply) => waiting.get(reply.id)?.(reply))
  child.once('exit', () => {
    for (const settle of waiting.values()) settle({ id: 0, error: 'has ended' })
  })

  function ask<T>(name: string, value?: unknown, timeoutMs = 10_000): Promise<T> {
    const id = ++last
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const timer = setTimeout(() => settle({ id, error: `no answer within ${timeoutMs} ms` }), timeoutMs)
    const settle = (reply: Reply) => {
      clearTimeout(timer)
      waiting.delete(id)
      if (reply.error === undefined) resolve(reply.value)
      else reject(new Error(`${args.at(-1)}: ${name}: ${reply.error}`))
    }
    waiting.set(id, settle)
    if (child.connected) child.send({ id, name, value } satisfies Question)
    else settle({ id, error: 'is not running' })
    return promise
  }

  async function stop(): Promise<number | string> {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
    const how = await ended
    clearTimeout(timer)
    return how
  }
  return { pid: child.pid ?? 0, ask, stop }
}

function whenEnded(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'exit'))
    child.once('error', (error) => resolve(error.message))
  })
}

let loop: ReturnType<typeof monitorEventLoopDelay> | undefined

/** From now on `usage` also tells how long the event loop is held up. */
export function watchLoop(): void {
  loop = monitorEventLoopDelay({ resolution: LOOK_MS })
  loop.enable()
}

function usage(): Usage {
  const { user, system } = process.cpuUsage()
  const used = { cpuUs: user + system, peakMiB: peakMiB() }
  if (!loop) return used
  // what is recorded is the time between two looks
  const loopP99Ms = Math.max(0, loop.percentile(99) / 1e6 - LOOK_MS)
  loop.reset()
  return { ...used, loopP99Ms }
}

/** VmHWM, because `maxRSS` of a spawned process begins with the memory of its parent. */
function peakMiB(): number {
  try {
    const status = readFileSync('/proc/self/status', 'latin1')
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) / 1024
  } catch {
    return process.resourceUsage().maxRSS / 1024
  }
}
