/** Owns `jwt-mailer token`: a token made by hand, and one explained without giving away what it holds. */
import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import jwt from 'jsonwebtoken'
import { mintToken } from '../client/mint.ts'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { tokenKey, verifyToken } from '../token.ts'
import { describeMail, mailHelp, mailOf, type MailFlags, routeOf } from './mail-options.ts'
import { CommandError, type ExitCode, type Terminal } from './terminal.ts'

interface TokenFlags extends MailFlags {
  readonly url: string
  readonly decode?: string
  readonly json?: boolean
}

const help = `
Exit codes: 0 made; with --decode, the token is good · 1 with --decode, the service would refuse it, or no secret is set to tell · 2 the command could not be carried out
${mailHelp}

Examples:
  $ jwt-mailer token --to ada@example.com --link-url https://app.example.com/confirm/ --link-token abc --key 7hK2pQ
  $ echo '{"user_email":"ada@example.com","user_aut_key":"493027"}' | jwt-mailer token --kind resetkey --claims -
  $ jwt-mailer token --decode - < token.txt`

export function tokenCommand(program: Command, finish: (code: ExitCode) => void, terminal: Terminal): void {
  const command = program
    .command('token')
    .summary('make a token by hand, or explain one')
    .description(
      'Prints a signed token, and on standard error the curl line that sends it. With --decode it tells what a token says: times in words, whose secret signed it, and what the service would answer; key, link and address are masked.',
    )
  describeMail(command)
    .addOption(
      new Option('--url <url>', 'where the service listens, for the curl line')
        .env('JWT_MAILER_URL')
        .default('http://localhost:8080'),
    )
    .option('--decode <token>', 'explain this token, - for standard input')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText('after', help)
    .action((flags: TokenFlags) =>
      finish(flags.decode === undefined ? mint(flags, terminal) : explain(flags, flags.decode, terminal)),
    )
}

function mint(flags: TokenFlags, terminal: Terminal): ExitCode {
  const token = mintToken(mailOf(flags, process.env))
  const url = routeOf(flags.url, flags)
  // by a pipe: what stands behind curl can be read in the list of processes
  const curl = `printf '%s' '${JSON.stringify({ token })}' | curl -H 'Content-Type: application/json' --data-binary @- ${url}`
  if (flags.json) terminal.out(JSON.stringify({ token, url, curl }))
  else {
    terminal.out(token)
    // beside the result, so that TOKEN=$(jwt-mailer token …) holds the token alone
    terminal.err(`\n${curl}`)
  }
  return 0
}

const masked = new Set(['user_email', 'user_aut_key', 'user_aut_key_or_otp', 'email_link_token'])
const times = new Set(['iat', 'nbf', 'exp'])

function explain(flags: TokenFlags, given: string, terminal: Terminal): ExitCode {
  const token = (given === '-' ? readFileSync(0, 'utf8') : given).trim()
  const decoded = jwt.decode(token, { complete: true })
  if (!decoded || typeof decoded.payload === 'string')
    throw new CommandError('this is no token: three parts with dots between them, the first two JSON')
  const claims = Object.entries(decoded.payload).map(([name, value]) => [name, shown(name, value)] as const)
  const secrets = secretsIn(process.env)
  const signer = secrets.find(([, secret]) => opens(token, secret))?.[0]
  const verdict = signer === undefined && secrets.length === 0 ? undefined : verdictOn(token, secrets)
  if (flags.json) {
    const { header } = decoded
    terminal.out(
      JSON.stringify({ header, claims: Object.fromEntries(claims), signer: signer ?? null, ...verdict }),
    )
  } else {
    terminal.out(`${terminal.paint('bold', 'header')}  ${harmless(JSON.stringify(decoded.header))}`)
    for (const claim of claims) terminal.out(claim.map(harmless).join(': '))
    terminal.out(signer ? `signed with ${signer}` : signerMissing(secrets.length))
    if (verdict) terminal.out(terminal.paint(verdict.code === 'ok' ? 'green' : 'red', verdict.says))
  }
  return verdict?.code === 'ok' ? 0 : 1
}

// oxlint-disable-next-line no-control-regex -- control characters are what must go
const controls = /[\x00-\x1f\x7f-\x9f]/g

/** A token is foreign text: what it would tell the terminal to do is shown, not done. */
function harmless(text: string): string {
  return text.replace(controls, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function signerMissing(count: number): string {
  return count === 0
    ? 'not verified: set JWT_MAILER_SECRET, or JWT_MAILER_SECRET_<APP>'
    : 'signed with none of the secrets in the environment'
}

/** Every secret of the environment, by its variable. */
function secretsIn(env: NodeJS.ProcessEnv): [string, string][] {
  return Object.entries(env).flatMap(([name, value]) =>
    name.startsWith('JWT_MAILER_SECRET') && value ? [[name, value]] : [],
  )
}

function opens(token: string, secret: string): boolean {
  try {
    jwt.verify(token, tokenKey(secret), {
      algorithms: ['HS256'],
      ignoreExpiration: true,
      ignoreNotBefore: true,
    })
    return true
  } catch {
    return false
  }
}

/** What the service would say before it looks at the mail itself. */
function verdictOn(token: string, secrets: readonly (readonly [string, string])[]) {
  try {
    verifyToken(
      token,
      secrets.map(([, secret]) => tokenKey(secret)),
    )
    return { code: 'ok', says: 'good: the service would go on to the mail' }
  } catch (error) {
    if (!(error instanceof MailerError)) throw error
    const { answer } = failureAnswer(error)
    return { code: answer.code, says: `the service would answer ${answer.code}: ${answer.msg}` }
  }
}

function shown(name: string, value: unknown): string {
  if (times.has(name) && typeof value === 'number') return `${value} (${inWords(value * 1000, Date.now())})`
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (!masked.has(name)) return text
  const at = text.lastIndexOf('@')
  return name === 'user_email' && at > 0
    ? `${text[0]}***${text.slice(at)}`
    : `*** (${text.length} characters)`
}

const units = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
] as const

function inWords(time: number, now: number): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return 'no time at all'
  const seconds = Math.round(Math.abs(time - now) / 1000)
  const [size, unit] = units.find(([each]) => seconds >= each) ?? [1, 'second']
  const count = Math.floor(seconds / size)
  const span = `${count} ${unit}${count === 1 ? '' : 's'}`
  return `${date.toISOString().replace('.000', '')}, ${time > now ? `in ${span}` : `${span} ago`}`
}
