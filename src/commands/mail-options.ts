/** Owns how a mail is described on the command line, for the commands that mint a token of it. */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import type { MintOptions } from '../client/mint.ts'
import { secretOfApp } from '../config/secret-names.ts'
import { CommandError } from './terminal.ts'

export interface MailFlags {
  readonly app: string
  readonly kind: string
  readonly to?: string
  readonly linkUrl?: string
  readonly linkToken?: string
  readonly key?: string
  readonly name?: string
  readonly locale?: string
  readonly claim: Readonly<Record<string, string | number>>
  readonly claims?: string
  readonly jti?: string
  readonly expires: number
}

export const mailHelp = `
The secret is read from JWT_MAILER_SECRET, or JWT_MAILER_SECRET_<APP> for an app that has its own, and never from the
command line: there every user of the machine could read it. A file .env in this folder can hold it.`

/** Adds the flags. */
export function describeMail(command: Command): Command {
  return command
    .option('--app <name>', 'the app whose mail it is', 'default')
    .option('--kind <name>', 'the kind of mail', 'confirmation')
    .option('--to <address>', 'whom it is for')
    .option('--link-url <url>', 'first half of the link, as https://app.example.com/confirm/')
    .option('--link-token <token>', 'second half of the link, a token your app made')
    .option('--key <text>', 'access key or one-time code')
    .option('--name <text>', 'how to address the reader')
    .option('--locale <tag>', 'the language, such as it')
    .addOption(
      new Option('--claim <name=value>', 'a further claim, a whole number as a number; may be repeated')
        .argParser(readClaim)
        .default({}, 'none'),
    )
    .option('--claims <file>', 'all claims as a JSON object, - for standard input; flags win over it')
    .option('--jti <text>', 'what makes the mail one of a kind: the same again is the same mail')
    .addOption(
      new Option('--expires <time>', 'how long the token lives: 90s, 10m, 24h, 7d')
        .argParser(readDuration)
        .default(86_400, '24h'),
    )
}

const flagNames = new Map([
  ['user_email', '--to'],
  ['user_aut_key', '--key'],
  ['user_aut_key_or_otp', '--key'],
  ['email_link_url', '--link-url'],
  ['email_link_token', '--link-token'],
  ['user_name', '--name'],
  ['locale', '--locale'],
])

/** The flag that gives this claim. */
export const flagOf = (claim: string) => flagNames.get(claim) ?? `--claim ${claim}=…`

/** What to mint. Throws a `CommandError` that says which flag or variable is missing or wrong. */
export function mailOf(flags: MailFlags, env: NodeJS.ProcessEnv): MintOptions {
  const { user_email, user_aut_key, user_aut_key_or_otp, email_link_url, email_link_token, jti, ...data } =
    flags.claims === undefined ? {} : readClaims(flags.claims)
  const to = flags.to ?? user_email
  if (!to) throw new CommandError('say whom the mail is for: --to ADDRESS, or user_email among the claims')
  const url = flags.linkUrl ?? email_link_url
  const token = flags.linkToken ?? email_link_token
  if (!url !== !token) throw new CommandError('a link has two halves: --link-url and --link-token')
  return {
    to: String(to),
    link: url && token ? { url: String(url), token: String(token) } : undefined,
    accessKey: textOf(flags.key ?? user_aut_key_or_otp ?? user_aut_key),
    name: flags.name,
    locale: flags.locale,
    data: { ...data, ...flags.claim },
    idempotencyKey: textOf(flags.jti ?? jti),
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

/** `https://mailer.example.com/emailservice-shop/order` */
export function routeOf(url: string, { app, kind }: Pick<MailFlags, 'app' | 'kind'>): string {
  const service = app === 'default' ? 'emailservice' : `emailservice-${encodeURIComponent(app)}`
  return `${url.replace(/\/+$/, '')}/${service}/${encodeURIComponent(kind)}`
}

const textOf = (value: string | number | null | undefined) =>
  value === undefined || value === null ? undefined : String(value)

const claimsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.null()]))

function readClaims(file: string): z.infer<typeof claimsSchema> {
  try {
    return claimsSchema.parse(JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')))
  } catch (error) {
    const why =
      error instanceof Error && 'syscall' in error
        ? error.message
        : 'they must be one JSON object of texts and numbers'
    throw new CommandError(`the claims in ${file === '-' ? 'standard input' : file} cannot be read: ${why}`)
  }
}

/** A whole number becomes one, which a text claim takes as well; what would not come back as it was (`007`) stays text. */
function readClaim(text: string, before: MailFlags['claim']): MailFlags['claim'] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must look like name=value.')
  const value = text.slice(at + 1)
  const number = Number(value)
  const whole = Number.isSafeInteger(number) && String(number) === value
  return { ...before, [text.slice(0, at)]: whole ? number : value }
}

const unitS = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
  ['d', 86_400],
])

/** Seconds. */
function readDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const seconds = Number(count) * (unitS.get(unit) ?? NaN)
  if (seconds > 0) return seconds
  throw new InvalidArgumentError('It must look like 90s, 10m, 24h or 7d.')
}
