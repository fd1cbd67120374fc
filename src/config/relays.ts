/** Owns the relays of the configuration: which there are, in which order they are tried, and how each is reached. */
import type { RelayConfig, SmtpRelayConfig } from '../relay-config.ts'
import {
  type ApiVariables,
  readBrevo,
  readMailgun,
  readPostmark,
  readResend,
  readSendgrid,
  readSes,
} from './api-relays.ts'
import { ConfigError, type ConfigProblem, problemCollector } from './config-error.ts'
import type { Environment } from './environment.ts'
import { oauthVariableIn } from './oauth.ts'
import { readSmtpUrl, type SmtpVariables } from './smtp-url.ts'

type RelayVariables = Pick<
  Environment,
  | 'MAILERTOGO_SMTP_HOST'
  | 'MAILERTOGO_SMTP_PORT'
  | 'MAILERTOGO_SMTP_USER'
  | 'MAILERTOGO_SMTP_PASSWORD'
  | 'RELAYS'
> &
  ApiVariables &
  SmtpVariables

interface KnownRelay {
  /** The variable that configures it. */
  readonly setBy: keyof RelayVariables
  /** `undefined`: it is not configured. */
  readonly read: (values: RelayVariables) => RelayConfig | undefined
}

/** Every relay there can be, in the default order. */
const known: Record<string, KnownRelay> = {
  mailertogo: { setBy: 'MAILERTOGO_SMTP_HOST', read: readMailerToGo },
  smtp: { setBy: 'SMTP_URL', read: (values) => readSmtpUrl('smtp', 'SMTP_URL', values) },
  smtp2: { setBy: 'SMTP_URL_2', read: (values) => readSmtpUrl('smtp2', 'SMTP_URL_2', values) },
  smtp3: { setBy: 'SMTP_URL_3', read: (values) => readSmtpUrl('smtp3', 'SMTP_URL_3', values) },
  sendgrid: { setBy: 'SENDGRID_API_KEY', read: readSendgrid },
  ses: { setBy: 'SES_REGION', read: readSes },
  postmark: { setBy: 'POSTMARK_SERVER_TOKEN', read: readPostmark },
  mailgun: { setBy: 'MAILGUN_API_KEY', read: readMailgun },
  resend: { setBy: 'RESEND_API_KEY', read: readResend },
  brevo: { setBy: 'BREVO_API_KEY', read: readBrevo },
}
const names = Object.keys(known)

/** The relays in the order of `RELAYS`; none when none is configured. Throws `ConfigError` with all that is wrong. */
export function readRelays(values: RelayVariables): { relays: RelayConfig[]; warnings: ConfigProblem[] } {
  const { problems, collect } = problemCollector()
  const configured = names.flatMap((name) => collect(() => known[name]!.read(values)) ?? [])
  const oauth = oauthVariableIn(values)
  if (oauth !== undefined && problems.length === 0 && !configured.some(logsInByToken))
    problems.push({
      variable: oauth,
      says: 'is set, and no SMTP_URL says auth=xoauth2',
      todo: 'Write SMTP_URL=smtp://user@host:587?auth=xoauth2, or remove SMTP_OAUTH_….',
    })
  // a relay that is written wrongly must not be called missing as well
  const order = problems.length > 0 ? [] : collect(() => readOrder(values.RELAYS, configured))
  if (problems.length > 0 || !order) throw new ConfigError(...problems)
  const relays = order.flatMap((name) => configured.filter((relay) => relay.name === name))
  const idle = configured.filter((relay) => !relays.includes(relay))
  return { relays, warnings: [...idle.map(idleWarning), ...relays.filter(lacksLogin).map(loginWarning)] }
}

function idleWarning({ name }: RelayConfig): ConfigProblem {
  const { setBy } = known[name]!
  return {
    variable: setBy,
    says: `is set, but RELAYS leaves "${name}" out: it gets no mail`,
    todo: `Add ${name} to RELAYS, or remove ${setBy}.`,
  }
}

function logsInByToken(relay: RelayConfig): boolean {
  return relay.kind === 'smtp' && relay.auth !== undefined && 'oauth' in relay.auth
}

function lacksLogin(relay: RelayConfig): boolean {
  return relay.kind === 'smtp' && relay.tls !== 'off' && !relay.auth
}

function loginWarning({ name }: RelayConfig): ConfigProblem {
  return {
    variable: known[name]!.setBy,
    says: 'has no user and password: mails go there without a login',
    todo: 'Write smtp://user:password@host:587, unless the relay asks for none.',
  }
}

function readOrder(value: string | undefined, configured: readonly RelayConfig[]): string[] {
  if (value === undefined) return configured.map(({ name }) => name)
  const order = value.split(',').map((name) => name.trim())
  const problems = order.flatMap((name, index) =>
    orderProblem(name, order.indexOf(name) !== index, configured),
  )
  if (problems.length > 0) throw new ConfigError(...problems)
  return order
}

function orderProblem(name: string, repeated: boolean, configured: readonly RelayConfig[]): ConfigProblem[] {
  const variable = 'RELAYS'
  const relay = Object.hasOwn(known, name) ? known[name] : undefined
  if (!relay)
    return [
      {
        variable,
        says: `does not know "${name.slice(0, 20)}"`,
        todo: `There are ${names.join(', ')}.`,
      },
    ]
  if (repeated) return [{ variable, says: `names "${name}" twice`, todo: 'Name each relay once.' }]
  if (configured.some((one) => one.name === name)) return []
  return [
    {
      variable,
      says: `names "${name}", which is not configured`,
      todo: `Set ${relay.setBy}, or leave it out.`,
    },
  ]
}

function readMailerToGo(values: RelayVariables): SmtpRelayConfig | undefined {
  const { MAILERTOGO_SMTP_HOST: host, MAILERTOGO_SMTP_USER: user, MAILERTOGO_SMTP_PASSWORD: pass } = values
  if (!host && !user && !pass) return undefined
  if (!host || !user || !pass) {
    throw new ConfigError({
      variable: 'MAILERTOGO_SMTP_HOST',
      says: 'belongs together with MAILERTOGO_SMTP_USER and MAILERTOGO_SMTP_PASSWORD',
      todo: 'Set all three, or none.',
    })
  }
  const { MAILERTOGO_SMTP_PORT: port, RELAY_CONNECTIONS: connections } = values
  const tls = port === 465 ? 'implicit' : 'starttls'
  const unlimited = { rate: undefined, from: undefined, connections }
  return { kind: 'smtp', name: 'mailertogo', host, port, tls, auth: { user, pass }, ...unlimited }
}
