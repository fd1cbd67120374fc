/** Owns the environment: its only reader. One schema, one frozen `Config`, and a sentence for whatever is wrong. */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { checkAddress, isMailDomain } from '../address.ts'
import { databaseUrlTrouble } from './database-url.ts'
import { ConfigError, problemCollector } from './config-error.ts'
import type { RelayConfig } from '../relay-config.ts'
import { readRelays } from './relays.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import type { Mailbox } from '../message.ts'
import { parseRate, type Rate } from '../rate.ts'

export interface Config {
  readonly production: boolean
  readonly host: string
  readonly port: number
  /** Heroku's router ends TLS and tells us so in X-Forwarded-Proto. */
  readonly heroku: boolean
  readonly trustedProxies: number
  readonly logLevel: string
  readonly keysOf: Secrets['keysOf']
  readonly sealSecrets: Secrets['sealSecrets']
  /** Postgres, when several replicas share one outbox; else a file in `dataDir`. */
  readonly databaseUrl: string | undefined
  readonly dataDir: string
  /** Mails per time; `undefined` is no limit. */
  readonly limits: { readonly recipient: Rate | undefined; readonly app: Rate | undefined }
  readonly sender: Mailbox
  readonly appName: string
  readonly allowHttpLinks: boolean
  readonly mailsDir: string | undefined
  /** `/preview` is served; in production only behind `adminToken`. */
  readonly preview: boolean
  readonly adminToken: string | undefined
  /** `/metrics` is served, behind `adminToken` where there is one. */
  readonly metrics: boolean
  /** In the order in which they are tried. Empty in development without a relay: the built-in inbox takes its place. */
  readonly relays: readonly RelayConfig[]
  readonly warnings: readonly string[]
}

/** Dashboards and compose files set a variable to nothing when they mean "unset". */
const given = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema)
const text = given(z.string().optional())
const whole = (least: number, most: number) => {
  const sentence = `must be a whole number from ${least} to ${most}`
  return z
    .string()
    .regex(/^\d+$/, sentence)
    .transform(Number)
    .refine((value) => value >= least && value <= most, sentence)
}
const onOff = given(
  z
    .enum(['on', 'off'], 'must be "on" or "off"')
    .transform((value) => value === 'on')
    .optional(),
)
const singleLine = given(
  z
    .string()
    .max(100, 'must be at most 100 characters long')
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must be a single line without control characters')
    .optional(),
)
const limit = z.string().transform((value, context) => {
  try {
    return parseRate(value)
  } catch {
    context.addIssue('must be a number of mails per time, such as 30/1h (s, m, h, d), or off')
    return z.NEVER
  }
})
const hostName = z.string().regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name')
const databaseUrl = z.string().superRefine((value, context) => {
  const trouble = databaseUrlTrouble(value)
  if (trouble !== undefined) context.addIssue(trouble)
})
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** Every variable with a fixed name. `JWT_MAILER_SECRET_<APP>` is read beside it. */
export const environmentSchema = z.object({
  PORT: given(whole(0, 65_535).default(8080)),
  HOST: given(hostName.default('0.0.0.0')),
  JWT_MAILER_SECRET: z.string().optional(),
  JWT_MAILER_SECRET_PREVIOUS: text,
  MAILERTOGO_SMTP_HOST: given(hostName.optional()),
  MAILERTOGO_SMTP_PORT: given(whole(1, 65_535).default(587)),
  MAILERTOGO_SMTP_USER: text,
  MAILERTOGO_SMTP_PASSWORD: text,
  MAILERTOGO_DOMAIN: given(hostName.optional()),
  SMTP_URL: text,
  SMTP_URL_2: text,
  SMTP_URL_3: text,
  SENDGRID_API_KEY: text,
  SENDGRID_API_URL: text,
  RELAYS: text,
  RELAY_CONNECTIONS: given(whole(1, 100).default(10)),
  MAIL_FROM: text,
  SENDER_NAME: singleLine,
  APP_NAME: singleLine,
  ALLOW_HTTP_LINKS: onOff,
  DATABASE_URL: given(databaseUrl.optional()),
  DATA_DIR: given(z.string().default('data')),
  LIMIT_PER_RECIPIENT: given(limit.prefault('30/1h')),
  LIMIT_PER_APP: given(limit.prefault('off')),
  MAILS_DIR: given(z.string().refine(existsSync, 'there is no such folder').optional()),
  PREVIEW: onOff,
  METRICS: onOff,
  ADMIN_TOKEN: given(
    z.string().min(16, 'must be at least 16 characters long; a new one: openssl rand -hex 16').optional(),
  ),
  TRUST_PROXY: given(whole(0, 10).optional()),
  LOG_LEVEL: given(z.enum(logLevels, `must be one of ${logLevels.join(', ')}`).default('info')),
  // a near miss would quietly be development: a made-up secret, links without TLS
  NODE_ENV: given(
    z
      .string()
      .refine((value) => value === 'production' || !/prod/i.test(value), 'must be written "production"')
      .optional(),
  ),
  DYNO: text,
})
type Environment = z.infer<typeof environmentSchema>

/** Throws one `ConfigError` that names every variable at fault and says what to do. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = environmentSchema.safeParse(env)
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}.`))
  }
  const values = parsed.data
  const production = values.NODE_ENV === 'production'
  const { problems, collect } = problemCollector()
  const ways = collect(() => readSomeRelay(values, production))
  const sender = collect(() => readSender(values, production || ways?.relays.length !== 0))
  if (production && values.PREVIEW && values.ADMIN_TOKEN === undefined) {
    problems.push(
      'ADMIN_TOKEN: is missing. PREVIEW=on shows every mail; set what opens it: openssl rand -hex 16',
    )
  }
  const secrets = collect(() => readSecrets(env, values, production))
  if (!ways || !sender || !secrets || problems.length > 0) throw new ConfigError(problems)
  return Object.freeze({
    production,
    host: values.HOST,
    port: values.PORT,
    heroku: values.DYNO !== undefined,
    trustedProxies: values.TRUST_PROXY ?? (values.DYNO === undefined ? 0 : 1),
    logLevel: values.LOG_LEVEL,
    keysOf: secrets.keysOf,
    sealSecrets: secrets.sealSecrets,
    databaseUrl: values.DATABASE_URL,
    dataDir: values.DATA_DIR,
    limits: { recipient: values.LIMIT_PER_RECIPIENT, app: values.LIMIT_PER_APP },
    sender,
    appName: values.APP_NAME ?? (sender.name || sender.address.slice(sender.address.indexOf('@') + 1)),
    allowHttpLinks: values.ALLOW_HTTP_LINKS ?? !production,
    mailsDir: values.MAILS_DIR,
    preview: values.PREVIEW ?? !production,
    adminToken: values.ADMIN_TOKEN,
    metrics: values.METRICS ?? !production,
    relays: ways.relays,
    warnings: [...secrets.warnings, ...ways.warnings, ...loginWarnings(ways.relays), ...lossWarnings(values)],
  })
}

function readSomeRelay(values: Environment, production: boolean): ReturnType<typeof readRelays> {
  const ways = readRelays(values)
  if (ways.relays.length > 0 || !production) return ways
  throw new ConfigError([
    'SMTP_URL: no relay is configured. Add the MailerToGo add-on (it sets MAILERTOGO_SMTP_HOST, _USER, _PASSWORD), or set SMTP_URL=smtp://user:password@host:587, or SENDGRID_API_KEY.',
  ])
}

function readSender(values: Environment, required: boolean): Mailbox {
  const name = values.SENDER_NAME ?? values.APP_NAME ?? ''
  if (values.MAIL_FROM !== undefined) {
    try {
      return { name, address: checkAddress(values.MAIL_FROM) }
    } catch {
      throw new ConfigError(['MAIL_FROM: must be one plain address such as noreply@example.com.'])
    }
  }
  if (values.MAILERTOGO_DOMAIN !== undefined) {
    if (isMailDomain(values.MAILERTOGO_DOMAIN))
      return { name, address: `noreply@${values.MAILERTOGO_DOMAIN}` }
    throw new ConfigError(['MAILERTOGO_DOMAIN: must be a domain such as mail.example.com.'])
  }
  if (!required) return { name, address: 'noreply@example.com' }
  throw new ConfigError([
    'MAIL_FROM: the sender address is missing. Set MAIL_FROM=noreply@your-domain (a domain your relay may send for).',
  ])
}

function loginWarnings(relays: readonly RelayConfig[]): string[] {
  const open = relays.filter((relay) => relay.kind === 'smtp' && relay.tls !== 'off' && !relay.auth)
  return open.map(({ name }) => `The relay ${name} has no user and password: mails go there without a login.`)
}

function lossWarnings({ DYNO, DATABASE_URL }: Environment): string[] {
  if (DYNO === undefined || DATABASE_URL !== undefined) return []
  return [
    'DATABASE_URL is not set: a dyno loses its disk at every restart, and with it the mails that still wait. Add Heroku Postgres.',
  ]
}
