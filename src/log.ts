/**
 * Owns what may be logged: fields chosen one by one, never an object that came from outside.
 *
 * Tokens, links, keys, secrets, addresses and URLs hide in request objects, SMTP replies and messages of errors.
 * So nothing here takes such an object whole; an unexpected error leaves its class, its code and its stack frames.
 */
import { pino, type DestinationStream, type Logger } from 'pino'

export type Log = Logger

/** Who does not read the log loses lines, not the service. */
const maxLogBytes = 8 * 1024 * 1024

/** Readable lines on a terminal, one JSON object a line everywhere else. */
export async function openLog(level: string): Promise<Log> {
  const destination = process.stdout.isTTY ? await prettyStream() : undefined
  return pino({ level, base: null }, destination ?? bufferedOutput())
}

/** A write for many lines instead of one for each. Whoever ends the process flushes first. */
function bufferedOutput(): DestinationStream {
  return pino.destination({
    dest: 1,
    sync: false,
    minLength: 8 * 1024,
    periodicFlush: 100,
    maxLength: maxLogBytes,
  })
}

/** pino-pretty is a development dependency; where it is missing, JSON is readable enough. */
async function prettyStream(): Promise<DestinationStream | undefined> {
  const module = await import('pino-pretty').catch(() => undefined)
  return module?.default({ colorize: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
}

/** An error as it may stand in a log: its message may quote anything, its frames only our own files. */
export function describeError(error: unknown): { type: string; code?: string; frames?: string[] } {
  if (!(error instanceof Error)) return { type: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code.slice(0, 60) } : {}
  const frames = (error.stack ?? '')
    .replace(error.message, '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
  return { type: error.constructor.name, ...code, frames: frames.slice(0, 8).map((line) => line.trim()) }
}
