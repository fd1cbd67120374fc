/** Owns the part of the environment that says which relays there are, in which order, and how each is reached. */
import type { RelayConfig, SendgridRelayConfig, SmtpRelayConfig } from '../relay-config.ts'
import { isIPv4 } from 'node:net'
import { checkAddress } from '../address.ts'
import { ConfigError, problemCollector } from './config-error.ts'
import { parseRate, type Rate } from '../rate.ts'

export interface RelayValues {
  readonly MAILERTOGO_SMTP_HOST?: string | undefined
  readonly MAILERTOGO_SMTP_PORT: number
  readonly MAILERTOGO_SMTP_USER?: string | undefined
  readonly MAILERTOGO_SMTP_PASSWORD?: string | undefined
  readonly SMTP_URL?: string | undefined
  readonly SMTP_URL_2?: string | undefined
  readonly SMTP_URL_3?: string | undefined
  readonly SENDGRID_API_KEY?: string | undefined
  readonly SENDGRID_API_URL?: string | undefined
  readonly RELAY_CONNECTIONS: number
  readonly RELAYS?: string | undefined
}

/** Every relay there can be, in the default order: how it is read, and what configures it. */
const known: Record<string, { read: (values: RelayValues) => RelayConfig | undefined; setBy: string }> = {
  mailertogo: { read: mailerToGo, setBy: 'MAILERTOGO_SMTP_HOST' },
  smtp: { read: (values) => smtpUrl('smtp', 'SMTP_URL', values), setBy: 'SMTP_URL' },
  smtp2: { read: (values) => smtpUrl('smtp2', 'SMTP_URL_2', values), setBy: 'SMTP_URL_2' },
  smtp3: { read: (values) => smtpUrl('smtp3', 'SMTP_URL_3', values), setBy: 'SMTP_URL_3' },
  sendgrid: { read: sendgrid, setBy: 'SENDGRID_API_KEY' },
}
const names = Object.keys(known)

const maxRate = 10_000

/** The relays in the order of `RELAYS`; none when none is configured. Throws `ConfigError` with all that is wrong. */
export function readRelays(values: RelayValues): { relays: RelayConfig[]; warnings: string[] } {
  const { problems, collect } = problemCollector()
  const configured = names.flatMap((name) => collect(() => known[name]!.read(values)) ?? [])
  // a relay that is written wrongly is not to be called missing as well
  const order = problems.length > 0 ? [] : collect(() => orderOf(values.RELAYS, configured))
  if (problems.length > 0 || !order) throw new ConfigError(problems)
  const idle = configured.filter(({ name }) => !order.includes(name))
  return {
    relays: order.flatMap((name) => configured.filter((relay) => relay.name === name)),
    warnings: idle.map(
      ({ name }) => `${known[name]!.setBy} is set, but RELAYS leaves "${name}" out: it gets no mail.`,
    ),
  }
}

function orderOf(value: string | undefined, configured: readonly RelayConfig[]): string[] {
  if (value === undefined) return configured.map(({ name }) => name)
  const order = value.split(',').map((name) => name.trim())
  const problems = order.flatMap((name, place) => {
    const relay = Object.hasOwn(known, name) ? known[name] : undefined
    if (!relay) return [`RELAYS: does not know "${name.slice(0, 20)}"; there are ${names.join(', ')}.`]
    if (order.indexOf(name) !== place) return [`RELAYS: names "${name}" twice.`]
    if (configured.some((one) => one.name === name)) return []
    return [`RELAYS: names "${name}", which is not configured. Set ${relay.setBy}, or leave it out.`]
  })
  if (problems.length > 0) throw new ConfigError(problems)
  return order
}

function mailerToGo(values: RelayValues): SmtpRelayConfig | undefined {
  const { MAILERTOGO_SMTP_HOST: host, MAILERTOGO_SMTP_USER: user, MAILERTOGO_SMTP_PASSWORD: pass } = values
  if (!host && !user && !pass) return undefined
  if (!host || !user || !pass) {
    throw new ConfigError([
      'MAILERTOGO_SMTP_HOST: MAILERTOGO_SMTP_HOST, MAILERTOGO_SMTP_USER and MAILERTOGO_SMTP_PASSWORD belong together. Set all three, or none.',
    ])
  }
  const { MAILERTOGO_SMTP_PORT: port, RELAY_CONNECTIONS: connections } = values
  const tls = port === 465 ? 'implicit' : 'starttls'
  const whole = { rate: undefined, from: undefined, connections }
  return { kind: 'smtp', name: 'mailertogo', host, port, tls, auth: { user, pass }, ...whole }
}

const hostName = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/
const isLoopback = (name: string) =>
  name === 'localhost' || name === '[::1]' || (isIPv4(name) && name.startsWith('127.'))
const options = ['tls', 'connections', 'rate', 'from']

function smtpUrl(
  name: string,
  variable: 'SMTP_URL' | 'SMTP_URL_2' | 'SMTP_URL_3',
  values: RelayValues,
): SmtpRelayConfig | undefined {
  const value = values[variable]
  if (value === undefined) return undefined
  const wrong = (what: string) => new ConfigError([`${variable}: ${what}`])
  const url = parsed(value, wrong)
  return {
    kind: 'smtp',
    name,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (url.protocol === 'smtps:' ? 465 : 587),
    tls: tlsIn(url, wrong),
    auth: authIn(url, wrong),
    connections: connectionsIn(url, wrong) ?? values.RELAY_CONNECTIONS,
    rate: rateIn(url, wrong),
    from: fromIn(url, wrong),
  }
}

type Wrong = (what: string) => ConfigError

/** With all its parts in their places, and no options but ours. */
function parsed(value: string, wrong: Wrong): URL {
  const url = URL.parse(value)
  if (!url || !hostName.test(url.hostname) || !['smtp:', 'smtps:'].includes(url.protocol)) {
    throw wrong('must look like smtp://user:password@host:587 or smtps://user:password@host:465.')
  }
  const given = [...url.searchParams]
  // an "@" behind the host is the end of a password that was cut there; only a sender may hold one
  const cut = given.some(([key, option]) => `${key}${key === 'from' ? '' : option}`.includes('@'))
  if (cut || url.hash !== '' || !['', '/'].includes(url.pathname)) {
    throw wrong('holds a "/", "?" or "#" in user or password that is not percent-encoded (%2F, %3F, %23).')
  }
  const keys = given.map(([key]) => key)
  const unknown = keys.find((key, place) => !options.includes(key) || keys.indexOf(key) !== place)
  if (unknown !== undefined) {
    const once = `each at most once: ${options.join(', ')}`
    throw wrong(`does not know the option "${unknown.slice(0, 20)}", or not twice; there are, ${once}.`)
  }
  return url
}

/** `smtp://` always means STARTTLS with a verified certificate: "if offered" could be stripped on the way. */
function tlsIn({ protocol, hostname, searchParams }: URL, wrong: Wrong): SmtpRelayConfig['tls'] {
  const value = searchParams.get('tls')
  if (value === null) return protocol === 'smtps:' ? 'implicit' : 'starttls'
  if (value === 'off' && protocol === 'smtp:' && isLoopback(hostname)) return 'off'
  throw wrong('allows only tls=off, and that only with smtp:// to this machine (localhost). Remove it.')
}

function authIn({ username, password }: URL, wrong: Wrong): SmtpRelayConfig['auth'] {
  if (username === '' && password === '') return undefined
  if (username === '' || password === '') {
    throw wrong(
      'has a user without a password or the reverse. Write smtp://user:password@host:587, percent-encoded.',
    )
  }
  try {
    return { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
  } catch {
    throw wrong('holds a "%" in user or password that is not percent-encoded. Write it as %25.')
  }
}

function connectionsIn({ searchParams }: URL, wrong: Wrong): number | undefined {
  const value = searchParams.get('connections')
  if (value === null) return undefined
  if (/^\d{1,3}$/.test(value) && Number(value) >= 1 && Number(value) <= 100) return Number(value)
  throw wrong('connections must be a whole number from 1 to 100.')
}

function rateIn({ searchParams }: URL, wrong: Wrong): Rate | undefined {
  const value = searchParams.get('rate')
  if (value === null) return undefined
  try {
    const rate = parseRate(value)
    if (rate && rate.max <= maxRate) return rate
  } catch {
    // the sentence below says it
  }
  throw wrong(
    `rate must be a number of mails, at most ${maxRate}, per time, such as rate=14/1s (s, m, h, d).`,
  )
}

function fromIn({ searchParams }: URL, wrong: Wrong): string | undefined {
  const value = searchParams.get('from')
  if (value === null) return undefined
  try {
    return checkAddress(value)
  } catch {
    throw wrong('from must be one plain address such as from=noreply@example.com.')
  }
}

function sendgrid(values: RelayValues): SendgridRelayConfig | undefined {
  const { SENDGRID_API_KEY: apiKey, SENDGRID_API_URL: address = 'https://api.sendgrid.com' } = values
  if (apiKey === undefined) {
    if (values.SENDGRID_API_URL === undefined) return undefined
    throw new ConfigError(['SENDGRID_API_KEY: is missing, and SENDGRID_API_URL is set. Set both, or none.'])
  }
  if (!/^[\x21-\x7e]{1,500}$/.test(apiKey)) {
    throw new ConfigError(['SENDGRID_API_KEY: must be the key alone, without spaces or quotes around it.'])
  }
  const url = URL.parse(address)
  const plain = url && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url?.protocol !== 'https:' || !plain) {
    throw new ConfigError(['SENDGRID_API_URL: must look like https://api.sendgrid.com, always https.'])
  }
  const baseUrl = url.href.replace(/\/+$/, '')
  return { kind: 'sendgrid', name: 'sendgrid', baseUrl, apiKey, connections: values.RELAY_CONNECTIONS }
}
