/** Owns `jwt-mailer doctor`: its options, the table or JSON it prints, and the exit code. */
import { Resolver } from 'node:dns'
import { Command, InvalidArgumentError } from 'commander'
import { checkAddress } from '../address.ts'

/** Where the command speaks: whole lines, results to `out`, progress to `progress` when there is a terminal. */
export interface DoctorTerminal {
  out(line: string): void
  readonly paint: (style: 'red' | 'green' | 'yellow', text: string) => string
  readonly columns?: number | undefined
  /** Shows what is being waited for; called with '' at the end. */
  readonly progress?: ((text: string) => void) | undefined
}

interface Options {
  readonly json?: boolean
  readonly sendTo?: string
  readonly dns?: string
  readonly dkimSelector: readonly string[]
}

/** `finish` hears the exit code: 0 all is well or only `!`, 1 something is `✗`. */
export function doctorCommand(
  finish: (code: 0 | 1) => void,
  terminal: DoctorTerminal,
  env: NodeJS.ProcessEnv = process.env,
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
    .action(async (options: Options) => finish(await examine(options, terminal, env)))
}

async function examine(options: Options, terminal: DoctorTerminal, env: NodeJS.ProcessEnv): Promise<0 | 1> {
  const { examineDeployment } = await import('../doctor/deployment.ts')
  const findings = await examineDeployment({
    env,
    dns: options.dns,
    selectors: options.dkimSelector,
    sendTo: options.sendTo,
    onProgress: (waitingFor) => terminal.progress?.(waitingFor.join(', ')),
  })
  const well = findings.every(({ level }) => level !== 'bad')
  if (options.json) terminal.out(JSON.stringify({ ok: well, findings }))
  else {
    const { tableOf } = await import('../doctor/table.ts')
    for (const line of tableOf(findings, terminal.columns ?? 100, terminal.paint)) terminal.out(line)
  }
  return well ? 0 : 1
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
