/** Owns the variables with a fixed name: how each is written, and its default. */
import { existsSync } from 'node:fs'
import { z } from 'zod'
import { parseDurationMs, parseRate } from '../rate.ts'
import type { ConfigProblem } from './config-error.ts'
import { databaseUrlTrouble } from './database-url.ts'

/** Dashboards and compose files set a variable to nothing when they mean "unset". */
const emptyIsUnset = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema)
const text = emptyIsUnset(z.string().optional())
const wholeNumber = (least: number, most: number) => {
  const sentence = `must be a whole number from ${least} to ${most}`
  return z
    .string()
    .regex(/^\d+$/, sentence)
    .transform(Number)
    .refine((value) => value >= least && value <= most, sentence)
}
const onOff = emptyIsUnset(
  z
    .enum(['on', 'off'], 'must be "on" or "off"')
    .transform((value) => value === 'on')
    .optional(),
)
const singleLine = emptyIsUnset(
  z
    .string()
    .max(100, 'must be at most 100 characters long')
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must be a single line without control characters')
    .optional(),
)
const rate = z.string().transform((value, context) => {
  try {
    return parseRate(value)
  } catch {
    context.addIssue('must be a number of mails per time, such as 30/1h (s, m, h, d), or off')
    return z.NEVER
  }
})
/** Heroku kills 30 s after SIGTERM, and without a delay the shutdown takes up to 24.5 s. */
const maxShutdownDelayMs = 5_000
const shutdownDelay = z.string().transform((value, context) => {
  const delayMs = value === '0' ? 0 : parseDurationMs(value)
  if (delayMs !== undefined && delayMs <= maxShutdownDelayMs) return delayMs
  context.addIssue(
    'must be a time from 0 to 5s, such as 3s. Platforms kill 30 s after they ask to stop, and running mails need the rest',
  )
  return z.NEVER
})
const hostName = z.string().regex(/^[A-Za-z0-9._:-]+$/, 'must be a host name')
const databaseUrl = z.string().superRefine((value, context) => {
  const trouble = databaseUrlTrouble(value)
  if (trouble !== undefined) context.addIssue(trouble)
})
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** `JWT_MAILER_SECRET_<APP>` and `JWT_MAILER_WEBHOOK_<APP>` are read beside it. */
export const environmentSchema = z.object({
  PORT: emptyIsUnset(wholeNumber(0, 65_535).default(8080)),
  HOST: emptyIsUnset(hostName.optional()),
  // an empty secret is refused: taken for unset, one would be made up
  JWT_MAILER_SECRET: z.string().optional(),
  JWT_MAILER_SECRET_PREVIOUS: text,
  JWT_MAILER_AUDIENCE: text,
  MAILERTOGO_SMTP_HOST: emptyIsUnset(hostName.optional()),
  MAILERTOGO_SMTP_PORT: emptyIsUnset(wholeNumber(1, 65_535).default(587)),
  MAILERTOGO_SMTP_USER: text,
  MAILERTOGO_SMTP_PASSWORD: text,
  MAILERTOGO_DOMAIN: emptyIsUnset(hostName.optional()),
  SMTP_URL: text,
  SMTP_URL_2: text,
  SMTP_URL_3: text,
  SMTP_OAUTH_TOKEN_URL: text,
  SMTP_OAUTH_CLIENT_ID: text,
  SMTP_OAUTH_CLIENT_SECRET: text,
  SMTP_OAUTH_SCOPE: text,
  SMTP_OAUTH_SERVICE_ACCOUNT: text,
  SENDGRID_API_KEY: text,
  SENDGRID_API_URL: text,
  SES_REGION: text,
  SES_CONFIGURATION_SET: text,
  SES_API_URL: text,
  AWS_ACCESS_KEY_ID: text,
  AWS_SECRET_ACCESS_KEY: text,
  AWS_SESSION_TOKEN: text,
  POSTMARK_SERVER_TOKEN: text,
  POSTMARK_MESSAGE_STREAM: text,
  POSTMARK_API_URL: text,
  MAILGUN_API_KEY: text,
  MAILGUN_DOMAIN: text,
  MAILGUN_API_URL: text,
  RESEND_API_KEY: text,
  RESEND_API_URL: text,
  BREVO_API_KEY: text,
  BREVO_API_URL: text,
  SENDGRID_FEEDBACK_KEY: text,
  SES_FEEDBACK_TOPICS: text,
  POSTMARK_FEEDBACK_LOGIN: text,
  MAILGUN_FEEDBACK_KEY: text,
  RESEND_FEEDBACK_SECRET: text,
  BREVO_FEEDBACK_LOGIN: text,
  SUPPRESSION: emptyIsUnset(z.enum(['app', 'all', 'off'], 'must be "app", "all" or "off"').optional()),
  JWT_MAILER_WEBHOOK: text,
  JWT_MAILER_WEBHOOK_SECRET: text,
  JWT_MAILER_WEBHOOK_SECRET_PREVIOUS: text,
  WEBHOOK_ALLOW_PRIVATE: onOff,
  RELAYS: text,
  RELAY_CONNECTIONS: emptyIsUnset(wholeNumber(1, 100).default(10)),
  MAIL_FROM: text,
  SENDER_NAME: singleLine,
  APP_NAME: singleLine,
  ALLOW_HTTP_LINKS: onOff,
  DATABASE_URL: emptyIsUnset(databaseUrl.optional()),
  DATA_DIR: emptyIsUnset(z.string().default('data')),
  LIMIT_PER_RECIPIENT: emptyIsUnset(rate.prefault('30/1h')),
  LIMIT_PER_APP: emptyIsUnset(rate.prefault('off')),
  SUPABASE_HOOK_SECRET: text,
  SUPABASE_HOOK_SECRET_PREVIOUS: text,
  SUPABASE_URL: text,
  SUPABASE_LOCALE_KEY: emptyIsUnset(z.string().default('locale')),
  KRATOS_HOOK_SECRET: text,
  KRATOS_HOOK_SECRET_PREVIOUS: text,
  KRATOS_URL: text,
  ZITADEL_SIGNING_KEY: text,
  ZITADEL_SIGNING_KEY_PREVIOUS: text,
  ZITADEL_URL: text,
  ZITADEL_TEXTS: onOff,
  LOGTO_HOOK_SECRET: text,
  LOGTO_HOOK_SECRET_PREVIOUS: text,
  LOGTO_URL: text,
  MAILS_DIR: emptyIsUnset(z.string().refine(existsSync, 'names a folder that does not exist').optional()),
  PREVIEW: onOff,
  METRICS: onOff,
  ADMIN_TOKEN: text,
  ADMIN_WRITE: onOff,
  TRUST_PROXY: emptyIsUnset(wholeNumber(0, 10).optional()),
  SHUTDOWN_DELAY: emptyIsUnset(shutdownDelay.prefault('0')),
  LOG_LEVEL: emptyIsUnset(z.enum(logLevels, `must be one of ${logLevels.join(', ')}`).default('info')),
  // taken for development, a near miss would start with a made-up secret and with links without TLS
  NODE_ENV: emptyIsUnset(
    z
      .string()
      .refine((value) => value === 'production' || !/prod/i.test(value), 'must be written "production"')
      .optional(),
  ),
  DYNO: text,
})
export type Environment = z.infer<typeof environmentSchema>

/** `problems`: of every variable that is written wrongly. `values` are read as if these were not set. */
export function readEnvironment(env: NodeJS.ProcessEnv): {
  values: Environment
  problems: readonly ConfigProblem[]
} {
  const read = environmentSchema.safeParse(env)
  if (read.success) return { values: read.data, problems: [] }
  const problems = read.error.issues.map(({ path, message: says }) => ({ variable: path.join('.'), says }))
  const wrong = new Set(problems.map(({ variable }) => variable))
  const others = Object.entries(env).filter(([name]) => !wrong.has(name))
  return { values: environmentSchema.parse(Object.fromEntries(others)), problems }
}
