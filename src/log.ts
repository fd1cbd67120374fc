/**
 * Owns what may be logged: fields chosen one by one, never an object that came from outside.
 *
 * Tokens, links, keys, secrets, addresses and URLs hide in request objects, SMTP replies and messages of errors.
 * So nothing here takes such an object whole; an unexpected error leaves its class, its code and its stack frames.
 */
import { pino, type DestinationStream, type Logger } from 'pino'
import type { ReceiptFacts } from './message.ts'

export type Log = Logger

/** The fields of a request's one line. None of them identifies a person. */
export interface LineFields extends Partial<ReceiptFacts> {
  readonly app?: string
  readonly kind?: string
  readonly locale?: string
  readonly id?: string
  /** Of the recipient. */
  readonly domain?: string
  /** The caller still signs with the secret that is being replaced. */
  readonly secret?: 'previous'
  /** An earlier request of the same token has the mail. */
  readonly repeated?: true
  /** How long the request took. */
  readonly ms?: number
}

/** The one line that a request leaves in the log: each step of its way adds what it knows. */
export class LogLine {
  readonly fields: LineFields = {}

  add(more: LineFields): void {
    Object.assign(this.fields, more)
  }
}

/** If stdout is not read, lines beyond this are dropped; the service does not block. */
const maxLogBytes = 8 * 1024 * 1024

/** Readable lines on a terminal, one JSON object a line everywhere else. */
export async function openLog(level: string): Promise<Log> {
  const destination = process.stdout.isTTY ? await prettyStream() : undefined
  return pino({ level, base: null }, destination ?? bufferedOutput())
}

interface BytesOutput {
  write(bytes: Buffer): boolean
  flush(done?: (error?: Error) => void): void
  flushSync(): void
}

/**
 * One write for many lines. The code that ends the process flushes first. It gets bytes, because it measures all that
 * waits anew for each line when that is text, which doubles what a line costs.
 */
function bufferedOutput(): DestinationStream & Pick<BytesOutput, 'flush' | 'flushSync'> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- its types know lines of text only
  const output = pino.destination({
    dest: 1,
    sync: false,
    minLength: 8 * 1024,
    periodicFlush: 100,
    maxLength: maxLogBytes,
    contentMode: 'buffer',
  }) as unknown as BytesOutput
  return {
    write: (line) => output.write(Buffer.from(line)),
    flush: (done) => output.flush(done),
    flushSync: () => output.flushSync(),
  }
}

/** pino-pretty is a development dependency; where it is missing, JSON is readable enough. */
async function prettyStream(): Promise<DestinationStream | undefined> {
  if (!isBesidePino('pino-pretty')) return undefined
  const module = await import('pino-pretty')
  return module.default({
    colorize: true,
    translateTime: 'SYS:HH:MM:ss',
    // one line for each event, with its fields behind the words
    hideObject: true,
    messageFormat: (line, key) => `${typeof line[key] === 'string' ? line[key] : ''}${fieldsOf(line, key)}`,
  })
}

/** A package that is missing would be looked for in every folder above ours, also in one that everybody may write. */
function isBesidePino(name: string): boolean {
  const folderOf = (wanted: string) =>
    import.meta.resolve(wanted).split('/node_modules/').slice(0, -1).join('/')
  try {
    return folderOf(name) === folderOf('pino')
  } catch {
    return false
  }
}

const lineNames = new Set(['level', 'time', 'pid', 'hostname'])

function fieldsOf(line: Record<string, unknown>, messageKey: string): string {
  const shown = Object.entries(line).filter(([name]) => name !== messageKey && !lineNames.has(name))
  return shown
    .map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
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
