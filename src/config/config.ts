/**
 * Owns the configuration: what the environment means for the service, as one frozen `Config`, or a `ConfigError`. The
 * service reads its environment here and nowhere else. Beside it, `healthcheck.ts` reads where the service listens, and
 * a command reads the variables that stand for its options.
 */
import type { AdapterSettings } from '../adapter.ts'
import { checkAddress, isMailDomain } from '../address.ts'
import type { FeedbackSettings } from '../feedback-source.ts'
import type { Mailbox } from '../message.ts'
import type { Rate } from '../rate.ts'
import type { RelayConfig } from '../relay-config.ts'
import { alteredValues } from './altered-values.ts'
import { readAdapters } from './adapters.ts'
import { ConfigError, type ConfigProblem, problemCollector } from './config-error.ts'
import { type Environment, readEnvironment } from './environment.ts'
import { readFeedback } from './feedback.ts'
import { weaknessOf } from './key-strength.ts'
import { readPublicKeys, withPublicKeys } from './public-keys.ts'
import { readRelays } from './relays.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { readWebhooks, type Webhooks } from './webhooks.ts'

export interface Config {
  readonly production: boolean
  /** In development this machine only: the inbox is full of links that sign somebody in. */
  readonly host: string
  readonly port: number
  /** Heroku's router ends TLS and tells us so in X-Forwarded-Proto. */
  readonly heroku: boolean
  readonly trustedProxies: number
  readonly shutdownDelayMs: number
  readonly logLevel: string
  readonly keysOf: Secrets['keysOf']
  /** Where apps publish their public keys, by the name of the variable. `keysOf` has none for these apps. */
  readonly keySets: ReadonlyMap<string, URL>
  /** What `aud` must hold in tokens that are signed with a public key's other half. */
  readonly audience: string | undefined
  readonly sealSecrets: Secrets['sealSecrets']
  readonly appVariables: Secrets['appVariables']
  /** Postgres, when several replicas share one outbox; else a file in `dataDir`. */
  readonly databaseUrl: string | undefined
  readonly dataDir: string
  /** Mails per time; `undefined` is no limit. */
  readonly limits: { readonly recipient: Rate | undefined; readonly app: Rate | undefined }
  readonly sender: Mailbox
  readonly appName: string
  readonly allowHttpLinks: boolean
  /** The other systems that may ask for mails. */
  readonly adapters: readonly AdapterSettings[]
  /** The relays that may report what became of a mail. */
  readonly feedback: readonly FeedbackSettings[]
  /** Where a hard bounce suppresses its address. Without feedback there is none to learn from. */
  readonly suppression: 'app' | 'all' | undefined
  /** Where apps are told what became of their mails. */
  readonly webhooks: Pick<Webhooks, 'webhookOf' | 'isShared' | 'variables'>
  readonly mailsDir: string | undefined
  /** `/preview` is served; in production only behind `adminToken`. */
  readonly preview: boolean
  readonly adminToken: string | undefined
  /** May the operator's page change anything? */
  readonly adminWrite: boolean
  /** `/metrics` is served, behind `adminToken` where there is one. */
  readonly metrics: boolean
  /** In the order in which they are tried. Empty in development without a relay: the built-in inbox takes its place. */
  readonly relays: readonly RelayConfig[]
  readonly warnings: readonly ConfigProblem[]
}

/** Throws one `ConfigError` that names every variable at fault and says what to do. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const altered = alteredValues(env)
  try {
    return readVariables(env, altered)
  } catch (error) {
    // a value that reads wrong is often right but for what was added to it
    throw error instanceof ConfigError ? new ConfigError(...error.problems, ...altered) : error
  }
}

function readVariables(env: NodeJS.ProcessEnv, altered: readonly ConfigProblem[]): Config {
  const { values, problems: misspelt } = readEnvironment(env)
  const production = values.NODE_ENV === 'production'
  const { problems, collect } = problemCollector()
  const relays = collect(() => readNeededRelays(values, production))
  const sender = collect(() => readSender(values, production || relays?.relays.length !== 0))
  const admin = collect(() => readAdmin(values, production))
  const secrets = collect(() => readSecrets(env, values, production))
  const publicKeys = collect(() => readPublicKeys(env))
  const feedback = collect(() => readFeedback(values))
  const webhooks = collect(() =>
    readWebhooks(env, { production, allowPrivate: values.WEBHOOK_ALLOW_PRIVATE ?? false }),
  )
  const allowHttpLinks = values.ALLOW_HTTP_LINKS ?? !production
  const adapters = collect(() =>
    readAdapters(env, {
      localeKey: values.SUPABASE_LOCALE_KEY,
      ownTexts: values.ZITADEL_TEXTS ?? false,
      allowHttp: allowHttpLinks,
    }),
  )
  if (
    !relays ||
    !sender ||
    !admin ||
    !secrets ||
    !adapters ||
    !feedback ||
    !webhooks ||
    !publicKeys ||
    problems.length > 0 ||
    misspelt.length > 0
  )
    throw new ConfigError(...misspelt, ...problems)
  const { SUPPRESSION: suppression = feedback.length > 0 ? 'app' : 'off' } = values
  return Object.freeze({
    production,
    host: values.HOST ?? (production ? '0.0.0.0' : '127.0.0.1'),
    port: values.PORT,
    heroku: values.DYNO !== undefined,
    trustedProxies: values.TRUST_PROXY ?? (values.DYNO === undefined ? 0 : 1),
    shutdownDelayMs: values.SHUTDOWN_DELAY,
    logLevel: values.LOG_LEVEL,
    keysOf: withPublicKeys(secrets.keysOf, publicKeys.keys),
    keySets: publicKeys.keySets,
    audience: values.JWT_MAILER_AUDIENCE,
    sealSecrets: secrets.sealSecrets,
    appVariables: [...secrets.appVariables, ...publicKeys.variables],
    databaseUrl: values.DATABASE_URL,
    dataDir: values.DATA_DIR,
    limits: { recipient: values.LIMIT_PER_RECIPIENT, app: values.LIMIT_PER_APP },
    sender,
    appName: values.APP_NAME ?? (sender.name || sender.address.slice(sender.address.indexOf('@') + 1)),
    allowHttpLinks,
    adapters,
    feedback,
    suppression: suppression === 'off' ? undefined : suppression,
    webhooks,
    mailsDir: values.MAILS_DIR,
    preview: values.PREVIEW ?? !production,
    adminToken: admin.token,
    adminWrite: values.ADMIN_WRITE ?? false,
    metrics: values.METRICS ?? !production,
    relays: relays.relays,
    warnings: [
      ...altered,
      ...secrets.warnings,
      ...webhooks.warnings,
      ...admin.warnings,
      ...relays.warnings,
      ...dataWarnings(values),
    ],
  })
}

function readNeededRelays(values: Environment, production: boolean): ReturnType<typeof readRelays> {
  const relays = readRelays(values)
  if (relays.relays.length > 0 || !production) return relays
  throw new ConfigError({
    variable: 'SMTP_URL',
    says: 'no relay is configured',
    todo: 'Add the MailerToGo add-on (it sets MAILERTOGO_SMTP_HOST, _USER, _PASSWORD), or set SMTP_URL=smtp://user:password@host:587, or the key of an API: SENDGRID_API_KEY, SES_REGION, POSTMARK_SERVER_TOKEN, MAILGUN_API_KEY, RESEND_API_KEY or BREVO_API_KEY.',
  })
}

function readSender(values: Environment, required: boolean): Mailbox {
  const name = values.SENDER_NAME ?? ''
  if (values.MAIL_FROM !== undefined) {
    try {
      return { name, address: checkAddress(values.MAIL_FROM) }
    } catch {
      const says = 'must be one plain address such as noreply@example.com'
      throw new ConfigError({ variable: 'MAIL_FROM', says })
    }
  }
  if (values.MAILERTOGO_DOMAIN !== undefined) {
    if (isMailDomain(values.MAILERTOGO_DOMAIN))
      return { name, address: `noreply@${values.MAILERTOGO_DOMAIN}` }
    throw new ConfigError({
      variable: 'MAILERTOGO_DOMAIN',
      says: 'must be a domain such as mail.example.com',
    })
  }
  if (!required) return { name, address: 'noreply@example.com' }
  throw new ConfigError({
    variable: 'MAIL_FROM',
    says: 'the sender address is missing',
    todo: 'Set MAIL_FROM=noreply@your-domain (a domain your relay may send for).',
  })
}

const newAdminToken = 'A new one: openssl rand -hex 16'

/** The token, and what is to be said of it. */
function readAdmin(
  values: Environment,
  production: boolean,
): { token: string | undefined; warnings: ConfigProblem[] } {
  const { ADMIN_TOKEN: token, ADMIN_WRITE, PREVIEW, METRICS } = values
  const variable = 'ADMIN_TOKEN'
  if (token === undefined) {
    if (ADMIN_WRITE === true) {
      throw new ConfigError({
        variable: 'ADMIN_WRITE',
        says: 'is on without ADMIN_TOKEN, and without that there is no page that could change anything',
        todo: 'Set ADMIN_TOKEN too (a new one: openssl rand -hex 16), or remove ADMIN_WRITE.',
      })
    }
    if (!production) return { token, warnings: [] }
    if (PREVIEW === true) {
      throw new ConfigError({
        variable,
        says: 'is missing, and PREVIEW=on shows every mail',
        todo: 'Set the token that opens the previews; a new one: openssl rand -hex 16',
      })
    }
    return { token, warnings: METRICS === true ? [openMetrics] : [] }
  }
  const weakness = weaknessOf(token)
  if (weakness?.isGuessable) throw new ConfigError({ variable, says: weakness.says, todo: newAdminToken })
  return { token, warnings: weakness ? [{ variable, says: weakness.says, todo: newAdminToken }] : [] }
}

const openMetrics: ConfigProblem = {
  variable: 'METRICS',
  says: 'is on without ADMIN_TOKEN, so everybody who reaches this port can read the numbers',
  todo: 'Set ADMIN_TOKEN, and let Prometheus send it as Authorization: Bearer.',
}

function dataWarnings({ DYNO, DATABASE_URL }: Environment): ConfigProblem[] {
  if (DYNO === undefined || DATABASE_URL !== undefined) return []
  return [
    {
      variable: 'DATABASE_URL',
      says: 'is not set, and a dyno loses its disk at every restart, with the mails that still wait',
      todo: 'Add Heroku Postgres.',
    },
  ]
}
