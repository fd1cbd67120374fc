/** Owns `jwt-mailer doctor`: its options, the table or JSON it prints, and the exit code. */
import { Resolver } from 'node:dns'
import { Command, InvalidArgumentError } from 'commander'
import { checkAddress } from '../address.ts'
import type { ExitCode, Terminal } from './terminal.ts'
import type { Paint } from '../doctor/table.ts'

interface Options {
  readonly json?: boolean
  readonly sendTo?: string
  readonly dns?: string
  readonly dkimSelector: readonly string[]
}

/** Where it runs; the defaults are the process's own. */
export interface Surroundings {
  readonly env?: NodeJS.ProcessEnv
  /** Of the terminal; the table is as wide. */
  readonly columns?: number
  /** Shows what is being waited for; called with nothing at the end. */
  readonly onProgress?: (waitingFor: readonly string[]) => void
}

/** `finish` hears the exit code: 0 nothing is ✗, 1 something is. */
export function doctorCommand(
  finish: (code: ExitCode) => void,
  terminal: Pick<Terminal, 'out' | 'paint'>,
  surroundings: Surroundings = {},
): Command {
  return new Command('doctor')
    .summary('examine a deployment: relays, DNS, store, links, clock')
    .description(
      'Runs through a deployment as a colleague would, with the environment of the service, and tells what is well (✓), what will hurt some day (!) and what loses mails (✗), with what to do. Sends no mail unless asked to.',
    )
    .option('--json', 'one JSON object instead of a table')
    .option('--send-to <address>', 'send one real mail there through every relay that is well', readAddress)
    .option('--dns <server>', 'the DNS server to ask, such as 9.9.9.9 or 127.0.0.1:5353', readServer)
    .option(
      '--dkim-selector <name>',
      'a DKIM selector of the sending domain; may be repeated',
      addSelector,
      [],
    )
    .addHelpText(
      'after',
      `
Exit codes: 0 nothing is ✗ · 1 something is ✗ · 2 the command could not be carried out

Examples:
  $ jwt-mailer doctor
  $ jwt-mailer doctor --send-to me@example.com
  $ jwt-mailer doctor --json | jq -r '.findings[] | select(.level == "bad") | .says'
  $ heroku run -- jwt-mailer doctor --dkim-selector s1`,
    )
    .action(async (options: Options) => finish(await examine(options, terminal, surroundings)))
}

async function examine(
  options: Options,
  terminal: Pick<Terminal, 'out' | 'paint'>,
  { env = process.env, columns = process.stdout.columns ?? 100, onProgress = showProgress }: Surroundings,
): Promise<ExitCode> {
  const { examineDeployment } = await import('../doctor/deployment.ts')
  const { dns, sendTo, dkimSelector: selectors } = options
  const findings = await examineDeployment({ env, dns, sendTo, selectors, onProgress })
  const well = findings.every(({ level }) => level !== 'bad')
  if (options.json) terminal.out(JSON.stringify({ ok: well, findings }))
  else {
    const { tableOf } = await import('../doctor/table.ts')
    const paint: Paint = (style, text) => terminal.paint(style, text)
    for (const line of tableOf(findings, columns, paint)) terminal.out(line)
  }
  return well ? 0 : 1
}

/** One line that is written over and gone in the end; results that are piped away stay clean. */
function showProgress(waitingFor: readonly string[]): void {
  if (!process.stderr.isTTY) return
  const text = waitingFor.length > 0 ? `examining ${waitingFor.join(', ')} …` : ''
  process.stderr.write(`\r\u001b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
}

function readAddress(value: string): string {
  try {
    return checkAddress(value)
  } catch {
    throw new InvalidArgumentError('It must be one plain address, such as me@example.com.')
  }
}

function readServer(value: string): string {
  try {
    new Resolver().setServers([value])
    return value
  } catch {
    throw new InvalidArgumentError('It must be an IP address, with or without a port.')
  }
}

function addSelector(value: string, earlier: readonly string[]): string[] {
  if (!/^[a-z0-9](?:[a-z0-9._-]{0,60}[a-z0-9])?$/i.test(value))
    throw new InvalidArgumentError('It must be the part before ._domainkey, such as s1.')
  return [...earlier, value]
}
