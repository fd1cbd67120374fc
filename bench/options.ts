/** Owns the command line of the bench, and how its commands read numbers and lists. */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { SenderId } from './senders.ts'

export interface Options {
  readonly rounds: number
  readonly seconds: number
  /** The first is where senders are compared; the others only concern the service. */
  readonly callers: readonly number[]
  /** Simulated round trips in ms; the first is where senders are compared. */
  readonly rtt: readonly number[]
  readonly connections: number
  readonly only: readonly SenderId[]
  readonly service: string | undefined
  readonly env: Record<string, string>
  readonly serviceEnv: Record<string, string>
  readonly strict: boolean
}

/** As commander hands it over. */
type Given = Omit<Options, 'rounds' | 'seconds'> & { quick: boolean; rounds?: number; seconds?: number }

export const number = (text: string) => {
  const value = Number(text)
  if (text === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('Not a number.')
  return value
}
export const positive = (text: string) => {
  if (number(text) <= 0) throw new InvalidArgumentError('Must be more than 0.')
  return number(text)
}
export const count = (text: string) => {
  if (!Number.isInteger(positive(text))) throw new InvalidArgumentError('Must be a whole number.')
  return number(text)
}
export const list =
  <T>(read: (text: string) => T) =>
  (text: string) =>
    text.split(',').map(read)
export const oneOf =
  <T extends string>(...names: T[]) =>
  (text: string): T => {
    const found = names.find((name) => name === text)
    if (found === undefined) throw new InvalidArgumentError(`Choose from ${names.join(', ')}.`)
    return found
  }
const pair = (text: string, before: Record<string, string> = {}) => {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write KEY=VALUE.')
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** Exits with a sentence when the command line is wrong, and after `--help`. */
export function readOptions(argv: string[]): Options {
  const command = new Command('bench')
    .description(
      'Measures the service beside pooled nodemailer and a raw SMTP client, in one interleaved run.',
    )
    .option('--quick', 'about half a minute: 3 rounds of 1 s (otherwise 5 of 3 s)', false)
    .option('--rounds <n>', 'rounds; each case runs once in each, in rotated order', count)
    .option('--seconds <n>', 'how long each case runs in each round', positive)
    .option(
      '--callers <list>',
      'callers at once; the first is where senders are compared',
      list(count),
      [32, 256],
    )
    .option(
      '--rtt <list>',
      'simulated round trips in ms; the first is where senders are compared',
      list(number),
      [0, 20],
    )
    .addOption(
      new Option('--connections <n>', 'relay connections of each sender')
        .env('RELAY_CONNECTIONS')
        .default(10)
        .argParser(count),
    )
    .option(
      '--only <list>',
      'of a (this service), b (pooled nodemailer), c (raw SMTP)',
      list(oneOf('a', 'b', 'c')),
      ['a', 'b', 'c'],
    )
    .option('--service <dir>', 'also (d): the service of another checkout, treated like (a)')
    .option('--env <KEY=VALUE>', 'extra environment of (a); may be repeated', pair, {})
    .option('--service-env <KEY=VALUE>', 'extra environment of (d); may be repeated', pair, {})
    .option('--strict', 'exit with 1 when an expectation does not hold', false)
    .parse(argv, { from: 'user' })
  const { quick, ...given } = command.opts<Given>()
  return { ...given, rounds: given.rounds ?? (quick ? 3 : 5), seconds: given.seconds ?? (quick ? 1 : 3) }
}
