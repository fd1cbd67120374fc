/** Owns the flags that describe a mail, for the commands that mint a token of it. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { MintOptions } from '../../client/src/mint.ts'
import { secretOfApp } from '../config/secret-names.ts'
import { parseDurationMs } from '../rate.ts'
import { CommandError } from './terminal.ts'

export interface MailFlags {
  readonly app: string
  readonly kind: string
  readonly to?: string
  readonly link?: string
  readonly linkUrl?: string
  readonly linkToken?: string
  readonly key?: string
  readonly name?: string
  readonly locale?: string
  readonly claim: Readonly<Record<string, string | number>>
  readonly claims?: string
  readonly jti?: string
  readonly retrySuppressed?: boolean
  readonly expires: number
}

export const mailHelp = `
The secret is read from JWT_MAILER_SECRET, or JWT_MAILER_SECRET_<APP> for an app that has its own. There is no flag for
it: every user of the machine can read a command line. A file .env in this folder can hold it.`

export function addMailFlags(command: Command): Command {
  return command
    .option('--app <name>', 'the app that the mail belongs to', 'default')
    .option('--kind <name>', 'the kind of mail', 'confirmation')
    .option('--to <address>', 'the address of the recipient')
    .option('--link <url>', 'the whole link, such as https://app.example.com/confirm?token=abc')
    .option('--link-url <url>', 'or its first half, such as https://app.example.com/confirm/')
    .option('--link-token <token>', 'and its second half: a token that your app made')
    .option('--key <text>', 'access key or one-time code')
    .option('--name <text>', 'the name of the recipient')
    .option('--locale <tag>', 'the language, such as it')
    .addOption(
      new Option(
        '--claim <name=value>',
        'one more claim; a whole number is sent as a number; may be repeated',
      )
        .argParser(readClaim)
        .default({}, 'none'),
    )
    .option('--claims <file>', 'claims as a JSON object; - reads standard input; flags override them')
    .option('--jti <text>', 'idempotency key: a repeat with the same text is the same mail')
    .option('--retry-suppressed', 'send although a mail to this address has bounced')
    .addOption(
      new Option('--expires <time>', 'how long the token is valid: 90s, 10m, 24h, 7d')
        .argParser(readExpiry)
        .default(86_400, '24h'),
    )
}

const flagNames = new Map([
  ['user_email', '--to'],
  ['user_aut_key', '--key'],
  ['user_aut_key_or_otp', '--key'],
  ['email_link', '--link'],
  ['email_link_url', '--link-url'],
  ['email_link_token', '--link-token'],
  ['user_name', '--name'],
  ['retry_suppressed', '--retry-suppressed'],
  ['locale', '--locale'],
])

/** The flag that gives this claim. */
export const flagOf = (claim: string) => flagNames.get(claim) ?? `--claim ${claim}=…`

/** Throws a `CommandError` that names the flag or variable that is missing or wrong. */
export async function mailFromFlags(flags: MailFlags, env: NodeJS.ProcessEnv): Promise<MintOptions> {
  const {
    user_email,
    user_aut_key,
    user_aut_key_or_otp,
    email_link,
    email_link_url,
    email_link_token,
    jti,
    retry_suppressed,
    ...data
  } = flags.claims === undefined ? {} : (await import('./claims-file.ts')).readClaims(flags.claims)
  const to = flags.to ?? user_email
  if (!to)
    throw new CommandError('the recipient is missing: give --to ADDRESS, or user_email among the claims')
  const url = flags.linkUrl ?? email_link_url
  const token = flags.linkToken ?? email_link_token
  const whole = flags.link ?? email_link
  if (whole && (url || token))
    throw new CommandError(
      'a link is given as a whole or by its halves: give --link alone, or the two others',
    )
  if (!url !== !token) throw new CommandError('a link has two halves: give both --link-url and --link-token')
  return {
    to: String(to),
    link: whole ? String(whole) : url && token ? { url: String(url), token: String(token) } : undefined,
    accessKey: textOf(flags.key ?? user_aut_key_or_otp ?? user_aut_key),
    name: flags.name,
    locale: flags.locale,
    data: { ...data, ...flags.claim },
    idempotencyKey: textOf(flags.jti ?? jti),
    retrySuppressed: flags.retrySuppressed ?? retry_suppressed === true,
    secret: secretOf(flags.app, env),
    expiresInS: flags.expires,
  }
}

/** Throws a `CommandError` that names the variable. */
export function secretOf(app: string, env: NodeJS.ProcessEnv): string {
  const secret = env[secretOfApp(app)] || env['JWT_MAILER_SECRET']
  if (secret) return secret
  throw new CommandError('set JWT_MAILER_SECRET to the secret that you share with the mailer')
}

const defaultUrl = 'http://localhost:8080'

export function urlOption(env: NodeJS.ProcessEnv, description: string): Option {
  return new Option('--url <url>', `${description}; also JWT_MAILER_URL`).default(
    env['JWT_MAILER_URL'] || defaultUrl,
  )
}

/** `https://mailer.example.com/emailservice-shop/order` */
export function routeOf(url: string, { app, kind }: Pick<MailFlags, 'app' | 'kind'>): string {
  const service = app === 'default' ? 'emailservice' : `emailservice-${encodeURIComponent(app)}`
  return `${url.replace(/\/+$/, '')}/${service}/${encodeURIComponent(kind)}`
}

const textOf = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : undefined

/** A text that a number prints the same way becomes that number, which a text claim accepts too; `007` stays text. */
function readClaim(text: string, before: MailFlags['claim']): MailFlags['claim'] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must look like name=value.')
  const value = text.slice(at + 1)
  const number = Number(value)
  const whole = Number.isSafeInteger(number) && String(number) === value
  return { ...before, [text.slice(0, at)]: whole ? number : value }
}

/** Seconds. */
function readExpiry(text: string): number {
  const ms = parseDurationMs(text)
  if (ms !== undefined) return ms / 1000
  throw new InvalidArgumentError('It must look like 90s, 10m, 24h or 7d.')
}
