/** Owns how `DATABASE_URL` is written. pg guesses what a wrong one means, or throws an error that quotes it. */
import { existsSync } from 'node:fs'

/** With another value, `sslmode` would verify no certificate, `ssl` end the process, `sslnegotiation` end the connection. */
const allowedValues = {
  sslmode: ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'],
  ssl: ['true', '1', '0', 'no-verify'],
  sslnegotiation: ['postgres', 'direct'],
  // the outbox writes
  target_session_attrs: ['any', 'read-write', 'primary'],
}
const fileOptions = ['sslrootcert', 'sslcert', 'sslkey']

/** What is wrong with the URL, without repeating any of it; `undefined`: nothing. */
export function databaseUrlTrouble(value: string): string | undefined {
  if (namesSeveralHosts(value))
    return 'names several hosts, and must name one that leads to the primary: the address your provider gives for it, or a proxy in front of the servers (HAProxy with Patroni, pgpool). The service connects anew as soon as that address leads to another server'
  const url = parsePostgresUrl(value)
  if (!url)
    return 'must look like postgres://user:password@host:5432/database, with "/", "?", "#", "@" and "%" in the password percent-encoded; for a socket postgres://user:password@localhost/database?host=/folder'
  const { searchParams } = url
  for (const [option, allowed] of Object.entries(allowedValues)) {
    if (searchParams.getAll(option).some((word) => !allowed.includes(word)))
      return `${option} must be one of ${allowed.join(', ')}`
  }
  if (['sslmode', 'ssl'].flatMap((option) => searchParams.getAll(option)).length > 1)
    return 'sslmode and ssl say the same in two ways: give one of them, once'
  const missing = fileOptions.find((option) => searchParams.getAll(option).some((path) => !existsSync(path)))
  return missing && `the file that its ${missing} names does not exist`
}

/** As libpq takes them: a list before the path, or as the option `host`. A password may hold a comma as well. */
function namesSeveralHosts(value: string): boolean {
  const [, authority = '', options = ''] = /^\w+:\/\/([^/?#]*)[^?#]*(.*)$/s.exec(value) ?? []
  const hosts = authority.slice(authority.lastIndexOf('@') + 1)
  return hosts.includes(',') || /[?&]host=[^&]*(?:,|%2c)/i.test(options)
}

function parsePostgresUrl(value: string): URL | undefined {
  const url = /\s/.test(value) ? null : URL.parse(value)
  const isRight =
    url !== null &&
    ['postgres:', 'postgresql:'].includes(url.protocol) &&
    (url.hostname !== '' || Boolean(url.searchParams.get('host'))) &&
    url.hash === '' &&
    // behind the host it is the end of a password that was cut by a "/" or "?"
    !`${url.pathname}${url.search}`.includes('@') &&
    isDecodable(url.href)
  return isRight ? url : undefined
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
