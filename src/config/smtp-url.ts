/** Owns what `SMTP_URL…` says: where an SMTP relay is, how its connections are secured, its login and its options. */
import { checkAddress } from '../address.ts'
import { parseRate, type Rate } from '../rate.ts'
import type { SmtpRelayConfig } from '../relay-config.ts'
import { ConfigError } from './config-error.ts'
import type { Environment } from './environment.ts'
import { isLoopback, type OauthVariables, readOauth } from './oauth.ts'

type SmtpUrlVariable = 'SMTP_URL' | 'SMTP_URL_2' | 'SMTP_URL_3'
export type SmtpVariables = Pick<Environment, SmtpUrlVariable | 'RELAY_CONNECTIONS'> & OauthVariables

const maxRate = 10_000
const hostName = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/
const options = ['tls', 'connections', 'rate', 'from', 'auth']

/** `undefined`: the variable is not set. */
export function readSmtpUrl(
  name: string,
  variable: SmtpUrlVariable,
  values: SmtpVariables,
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
