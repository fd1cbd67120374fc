/** Owns the sending of one mail through a running service: the call, the wait until it is sent, and what is printed. */
import { setTimeout as pause } from 'node:timers/promises'
import {
  type Accepted,
  type ClientFailure,
  createMailer,
  type Mailer,
  type Status,
} from '../../client/src/index.ts'
import { failures } from '../contract.ts'
import { flagOf, mailFromFlags, type MailFlags } from './mail-options.ts'
import { CommandError, type CommandIo, type ExitCode, type Terminal } from './terminal.ts'

export interface SendFlags extends MailFlags {
  readonly url: string
  readonly wait?: boolean
  /** Wait also for what the relay reports. */
  readonly feedback?: boolean
  /** Seconds. */
  readonly timeout: number
  readonly json?: boolean
}

const pollMs = 1_000
const redirectMs = 5_000

/** 1 when the service refuses the mail or gives it up, or when it is still unsent after the wait. */
export async function sendMail(
  flags: SendFlags,
  { terminal, env }: Pick<CommandIo, 'terminal' | 'env'>,
): Promise<ExitCode> {
  const { secret, expiresInS, ...mail } = await mailFromFlags(flags, env)
  const mailer = orCommandError(() => createMailer({ url: flags.url, secret, app: flags.app, expiresInS }))
  const answer = await mailer.send(flags.kind, mail)
  if (!answer.ok) return printFailure(answer, flags, terminal)
  if (!flags.feedback && (!flags.wait || answer.state !== 'queued'))
    return printState(answer, flags, terminal)
  const status = await follow(mailer, answer, flags, terminal)
  return status.ok ? printState(status, flags, terminal) : printFailure(status, flags, terminal)
}

/** The client throws a TypeError when an option is wrong, and its options are flags here. */
function orCommandError<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw error instanceof TypeError ? new CommandError(error.message) : error
  }
}

async function follow(
  mailer: Mailer,
  { id }: Accepted,
  { timeout: waitS, feedback }: SendFlags,
  terminal: Terminal,
): Promise<Status | ClientFailure> {
  const started = Date.now()
  for (;;) {
    const status = await mailer.status(id)
    const passedS = Math.round((Date.now() - started) / 1000)
    const over = passedS >= waitS || !status.ok || isOver(status, feedback)
    const tries = status.ok ? `${status.attempts} ${status.attempts === 1 ? 'try' : 'tries'}` : ''
    terminal.progress?.(over || !status.ok ? '' : `${status.state}, ${tries}, ${passedS} s`)
    if (over) return status
    await pause(pollMs)
  }
}

/** A relay that still tries may report again. */
function isOver({ state, feedback }: Status, wantsFeedback = false): boolean {
  if (state === 'sent') return !wantsFeedback || (feedback !== undefined && feedback !== 'delayed')
  return state === 'dead'
}

function printState(answer: Accepted | Status, flags: SendFlags, terminal: Terminal): ExitCode {
  const { id, state } = answer
  const detail = 'detail' in answer && answer.detail ? ` (${answer.detail})` : ''
  const { feedback, bounce }: Pick<Status, 'feedback' | 'bounce'> = 'attempts' in answer ? answer : {}
  const reported = [feedback, bounce].filter(Boolean).join(' ')
  if (flags.json) terminal.out(JSON.stringify(answer))
  else {
    const word = terminal.paint(state === 'dead' ? 'red' : 'green', state)
    terminal.out(`${word}${detail}${reported && `, ${reported}`}  ${id}`)
  }
  if (flags.feedback) return feedback === 'delivered' ? 0 : 1
  return state === 'sent' || (!flags.wait && state !== 'dead') ? 0 : 1
}

async function printFailure(
  answer: ClientFailure,
  { json, url }: SendFlags,
  terminal: Terminal,
): Promise<ExitCode> {
  const { code, claim, retryAfterS } = answer
  if (json) terminal.out(JSON.stringify(answer))
  else {
    const facts = [claim, claim && flagOf(claim), retryAfterS && `again in ${retryAfterS} s`]
      .filter(Boolean)
      .join(', ')
    const place = code === 'bad_answer' || code === 'bad_request' ? await redirectOf(url) : undefined
    const meaning = place === undefined ? meaningOf(answer, url) : redirected(url, place)
    terminal.err(`${terminal.paint('red', code)}${facts && ` (${facts})`}: ${meaning}`)
  }
  return Object.hasOwn(failures, code) ? 1 : 2
}

/** Scheme and host to which this address sends every request on. Mails never follow: they would show their token there. */
async function redirectOf(url: string): Promise<string | undefined> {
  try {
    const live = `${url.replace(/\/+$/, '')}/health/live`
    const { status, headers } = await fetch(live, {
      redirect: 'manual',
      signal: AbortSignal.timeout(redirectMs),
    })
    const place = status >= 300 && status < 400 ? URL.parse(headers.get('location') ?? '', url) : null
    return place && /^https?:$/.test(place.protocol) ? place.origin : undefined
  } catch {
    return undefined
  }
}

function redirected(url: string, place: string): string {
  return `${url} sends every request on to ${place}: set JWT_MAILER_URL or --url to where the service is`
}

function meaningOf({ code, msg, hint }: ClientFailure, url: string): string {
  switch (code) {
    case 'unreachable':
      return `nothing listens at ${url}: is the service running? Set JWT_MAILER_URL or --url`
    case 'timeout':
      return `no answer from ${url} in time`
    case 'bad_answer':
      return `the server at ${url} is not a jwt-mailer`
    case 'aborted':
      return 'aborted'
    case 'claims_invalid':
      return `${msg ?? 'a claim is missing or wrong'}. "jwt-mailer types" shows what each mail needs`
    default: {
      const { msg: usual, meaning } = failures[code]
      // the usual sentence says less than the meaning
      const own = msg === usual ? undefined : msg
      return [meaning.replaceAll('`', ''), own, hint].filter(Boolean).join('. ')
    }
  }
}
