/** Owns the relays of the configuration: which there are, in which order they are tried, and how each is reached. */
import { checkAddress } from '../address.ts'
import { parseRate, type Rate } from '../rate.ts'
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
import { isLoopback, oauthVariableIn, type OauthVariables, readOauth } from './oauth.ts'

type RelayVariables = Pick<
  Environment,
  | 'MAILERTOGO_SMTP_HOST'
  | 'MAILERTOGO_SMTP_PORT'
  | 'MAILERTOGO_SMTP_USER'
  | 'MAILERTOGO_SMTP_PASSWORD'
  | SmtpUrlVariable
  | 'RELAYS'
> &
  ApiVariables &
  OauthVariables
type SmtpUrlVariable = 'SMTP_URL' | 'SMTP_URL_2' | 'SMTP_URL_3'

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

const maxRate = 10_000

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

const hostName = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/
const options = ['tls', 'connections', 'rate', 'from', 'auth']

function readSmtpUrl(
  name: string,
  variable: SmtpUrlVariable,
  values: RelayVariables,
): SmtpRelayConfig | undefined {
  const value = values[variable]
  if (value === undefined) return undefined
  const wrong: Wrong = (says, todo) =>
    new ConfigError({ variable, says, ...(todo !== undefined && { todo }) })
  const url = parseSmtpUrl(value, wrong)
  return {
    kind: 'smtp',
    name,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (url.protocol === 'smtps:' ? 465 : 587),
    tls: tlsIn(url, wrong),
    auth: authIn(url, values, wrong),
    connections: connectionsIn(url, wrong) ?? values.RELAY_CONNECTIONS,
    rate: rateIn(url, wrong),
    from: fromIn(url, wrong),
  }
}

/** The error about the variable that holds the URL. */
type Wrong = (says: string, todo?: string) => ConfigError

/** With all its parts in their places, and no options but ours. */
function parseSmtpUrl(value: string, wrong: Wrong): URL {
  const url = URL.parse(value)
  if (!url || !hostName.test(url.hostname) || !['smtp:', 'smtps:'].includes(url.protocol)) {
    throw wrong('must look like smtp://user:password@host:587 or smtps://user:password@host:465')
  }
  const given = [...url.searchParams]
  // an "@" behind the host is the end of a password that was cut there; only a sender may hold one
  const cut = given.some(([key, option]) => `${key}${key === 'from' ? '' : option}`.includes('@'))
  if (cut || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    throw wrong(
      'holds a "/", "?" or "#" in user or password that is not percent-encoded',
      'Write %2F, %3F, %23.',
    )
  }
  const keys = given.map(([key]) => key)
  const offered = `There are, each at most once: ${options.join(', ')}.`
  const unknown = keys.find((key) => !options.includes(key))
  if (unknown !== undefined) throw wrong(`does not know the option "${unknown.slice(0, 20)}"`, offered)
  const repeated = keys.find((key, index) => keys.indexOf(key) !== index)
  if (repeated !== undefined) throw wrong(`has the option "${repeated}" twice`, offered)
  return url
}

/** `smtp://` always means STARTTLS with a verified certificate: "if offered" could be stripped on the way. */
function tlsIn({ protocol, hostname, searchParams }: URL, wrong: Wrong): SmtpRelayConfig['tls'] {
  const value = searchParams.get('tls')
  if (value === null) return protocol === 'smtps:' ? 'implicit' : 'starttls'
  if (value === 'off' && protocol === 'smtp:' && isLoopback(hostname)) return 'off'
  throw wrong(
    'allows only tls=off, and that only with smtp:// to this machine (localhost)',
    'Remove the option tls.',
  )
}

function authIn(url: URL, values: OauthVariables, wrong: Wrong): SmtpRelayConfig['auth'] {
  const { username, password, searchParams } = url
  const mechanism = searchParams.get('auth')
  if (mechanism !== null) {
    const pattern = 'smtp://user@host:587?auth=xoauth2'
    if (mechanism !== 'xoauth2')
      throw wrong('auth can only be xoauth2', `Write ${pattern}, or leave auth out.`)
    if (username === '' || password !== '') throw wrong(`must have a user and no password, as in ${pattern}`)
    const user = decoded(username, wrong)
    if (/\p{Cc}/u.test(user)) throw wrong('has a control character in its user')
    return { user, oauth: readOauth(values) }
  }
  if (username === '' && password === '') return undefined
  if (username === '' || password === '') {
    throw wrong(
      'has a user without a password or the reverse',
      'Write smtp://user:password@host:587, percent-encoded.',
    )
  }
  return { user: decoded(username, wrong), pass: decoded(password, wrong) }
}

function decoded(part: string, wrong: Wrong): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw wrong('holds a "%" in user or password that is not percent-encoded', 'Write it as %25.')
  }
}

function connectionsIn({ searchParams }: URL, wrong: Wrong): number | undefined {
  const value = searchParams.get('connections')
  if (value === null) return undefined
  if (/^\d{1,3}$/.test(value) && Number(value) >= 1 && Number(value) <= 100) return Number(value)
  throw wrong('connections must be a whole number from 1 to 100')
}

function rateIn({ searchParams }: URL, wrong: Wrong): Rate | undefined {
  const value = searchParams.get('rate')
  if (value === null) return undefined
  try {
    const rate = parseRate(value)
    if (rate && rate.max <= maxRate) return rate
  } catch {
    // a rate that cannot be read gets the same sentence as one that is too high
  }
  throw wrong(`rate must be a number of mails, at most ${maxRate}, per time, such as rate=14/1s (s, m, h, d)`)
}

function fromIn({ searchParams }: URL, wrong: Wrong): string | undefined {
  const value = searchParams.get('from')
  if (value === null) return undefined
  try {
    return checkAddress(value)
  } catch {
    throw wrong('from must be one plain address such as from=noreply@example.com')
  }
}
