/** Owns `jwt-mailer doctor`: its options, the table or JSON it prints, and the exit code. */
import { Resolver } from 'node:dns'
import { InvalidArgumentError } from 'commander'
import { checkAddress } from '../address.ts'
import type { Paint } from '../doctor/table.ts'
import type { AddCommand, CommandIo, ExitCode } from './terminal.ts'

interface Options {
  readonly json?: boolean
  readonly sendTo?: string
  readonly dns?: string
  readonly dkimSelector: readonly string[]
}

const help = `
Exit codes: 0 nothing is ✗ · 1 something is ✗ · 2 the command could not run

Examples:
  $ jwt-mailer doctor
  $ jwt-mailer doctor --send-to me@example.com
  $ jwt-mailer doctor --json | jq -r '.findings[] | select(.level == "bad") | .says'
  $ heroku run -- jwt-mailer doctor --dkim-selector s1`

export const addDoctor: AddCommand = (program, io) => {
  program
    .command('doctor')
    .summary('examine a deployment: relays, DNS, store, links, clock')
    .description(
      'Examines a deployment with the environment of the service. Prints what is well (✓), what may fail some day (!), what loses mails (✗), and what to do about it. Sends no mail without --send-to.',
    )
    .option('--json', 'print one JSON object')
    .option(
      '--send-to <address>',
      'send one real mail to this address through every relay that works',
      readAddress,
    )
    .option('--dns <server>', 'the DNS server to ask, such as 9.9.9.9 or 127.0.0.1:5353', readServer)
    .option(
      '--dkim-selector <name>',
      'a DKIM selector of the sending domain; may be repeated',
      addSelector,
      [],
    )
    .addHelpText('after', help)
    .action(async (options: Options) => io.finish(await examine(options, io)))
}

async function examine(options: Options, { terminal, env }: CommandIo): Promise<ExitCode> {
  const { examineDeployment } = await import('../doctor/deployment.ts')
  const { dns, sendTo, dkimSelector: selectors } = options
  const findings = await examineDeployment({
    env,
    dns,
    sendTo,
    selectors,
    onProgress: (waitingFor) =>
      terminal.progress?.(waitingFor.length > 0 ? `examining ${waitingFor.join(', ')} …` : ''),
  })
  const well = findings.every(({ level }) => level !== 'bad')
  if (options.json) terminal.out(JSON.stringify({ ok: well, findings }))
  else {
    const { tableOf } = await import('../doctor/table.ts')
    const paint: Paint = (style, text) => terminal.paint(style, text)
    for (const line of tableOf(findings, terminal.columns ?? 100, paint)) terminal.out(line)
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
