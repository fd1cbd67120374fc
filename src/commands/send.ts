/** Owns `jwt-mailer send`: one mail through a running service, followed until it is sent. */
import { setTimeout as pause } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import type { Accepted, ClientFailure, Mailer, Status } from '../client/index.ts'
import { failures } from '../contract.ts'
import { describeMail, flagOf, mailHelp, mailOf, type MailFlags } from './mail-options.ts'
import { CommandError, type ExitCode, type Terminal } from './terminal.ts'

interface SendFlags extends MailFlags {
  readonly url: string
  readonly wait?: boolean
  readonly timeout: string
  readonly json?: boolean
}

const pollMs = 1_000
const help = `
Exit codes: 0 accepted; with --wait, sent · 1 refused or given up; with --wait, also still unsent · 2 the command could not be carried out
${mailHelp}

Examples:
  $ jwt-mailer send --to ada@example.com --link-url https://app.example.com/confirm/ --link-token abc --key 7hK2pQ
  $ jwt-mailer send --kind resetkey --to ada@example.com --key 493027 --wait
  $ jwt-mailer send --claims claims.json --json | jq -r .id`

export function sendCommand(program: Command, finish: (code: ExitCode) => void, terminal: Terminal): void {
  const command = program
    .command('send')
    .summary('send a mail through a running service')
    .description('Mints a token and sends it, as a caller does; shows what became of the mail.')
  describeMail(command)
    .addOption(
      new Option('--url <url>', 'where the service listens')
        .env('JWT_MAILER_URL')
        .default('http://localhost:8080'),
    )
    .option('--wait', 'follow a queued mail until it is sent or given up')
    .option('--timeout <seconds>', 'how long to wait for that', '300')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText('after', help)
    .action(async (flags: SendFlags) => finish(await send(flags, terminal)))
}

async function send(flags: SendFlags, terminal: Terminal): Promise<ExitCode> {
  const waitS = Number(flags.timeout)
  if (!(waitS > 0)) throw new CommandError('--timeout must be a number of seconds')
  const { secret, expiresInS, ...mail } = mailOf(flags, process.env)
  const { createMailer } = await import('../client/index.ts')
  const mailer = asked(() => createMailer({ url: flags.url, secret, app: flags.app, expiresInS }))
  const answer = await mailer.send(flags.kind, mail)
  if (!answer.ok) return tellFailure(answer, flags, terminal)
  const state =
    flags.wait && answer.state === 'queued' ? await follow(mailer, answer, waitS, terminal) : undefined
  if (state && !state.ok) return tellFailure(state, flags, terminal)
  return tell(state ?? answer, flags, terminal)
}

/** What the client throws is about what stands on the command line. */
function asked<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw error instanceof TypeError ? new CommandError(error.message) : error
  }
}

async function follow(
  mailer: Mailer,
  { id }: Accepted,
  waitS: number,
  terminal: Terminal,
): Promise<Status | ClientFailure> {
  const started = Date.now()
  for (;;) {
    const status = await mailer.status(id)
    const passedS = Math.round((Date.now() - started) / 1000)
    const over = passedS >= waitS || !status.ok || status.state === 'sent' || status.state === 'dead'
    const tries = status.ok ? `${status.attempts} ${status.attempts === 1 ? 'try' : 'tries'}` : ''
    terminal.progress?.(over || !status.ok ? '' : `${status.state}, ${tries}, ${passedS} s`)
    if (over) return status
    await pause(pollMs)
  }
}

function tell(answer: Accepted | Status, { json, wait }: SendFlags, terminal: Terminal): ExitCode {
  const { id, state } = answer
  const detail = 'detail' in answer && answer.detail ? ` (${answer.detail})` : ''
  if (json) terminal.out(JSON.stringify(answer))
  else terminal.out(`${terminal.paint(state === 'dead' ? 'red' : 'green', state)}${detail}  ${id}`)
  return state === 'sent' || (!wait && state !== 'dead') ? 0 : 1
}

function tellFailure(answer: ClientFailure, { json, url }: SendFlags, terminal: Terminal): ExitCode {
  const { code, claim, retryAfterS } = answer
  if (json) terminal.out(JSON.stringify(answer))
  else {
    const facts = [claim, claim && flagOf(claim), retryAfterS && `again in ${retryAfterS} s`]
      .filter(Boolean)
      .join(', ')
    terminal.err(`${terminal.paint('red', code)}${facts && ` (${facts})`}: ${meaningOf(code, url)}`)
  }
  return Object.hasOwn(failures, code) ? 1 : 2
}

function meaningOf(code: ClientFailure['code'], url: string): string {
  switch (code) {
    case 'unreachable':
      return `nobody answers at ${url}: is the service running? JWT_MAILER_URL or --url says where`
    case 'timeout':
      return `no answer from ${url} in time`
    case 'bad_answer':
      return `what answers at ${url} is no jwt-mailer`
    case 'aborted':
      return 'aborted'
    case 'claims_invalid':
      return 'a claim is missing or wrong; "jwt-mailer types" shows what each mail needs'
    default:
      return failures[code].meaning.replaceAll('`', '')
  }
}
