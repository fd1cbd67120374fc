/** Owns how `DATABASE_URL` has to be written: pg guesses at a wrong one, or throws an error that quotes it. */
import { existsSync } from 'node:fs'

/** Another `sslmode` would not verify who answers, another `ssl` ends the process, another `sslnegotiation` the connection. */
const choices = {
  sslmode: ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'],
  ssl: ['true', '1', '0', 'no-verify'],
  sslnegotiation: ['postgres', 'direct'],
}
const files = ['sslrootcert', 'sslcert', 'sslkey']

/** What is wrong with it, without repeating any of it; `undefined` when nothing is. */
export function databaseUrlTrouble(value: string): string | undefined {
  const url = parsed(value)
  if (!url)
    return 'must look like postgres://user:password@host:5432/database, with "/", "?", "#", "@" and "%" in the password percent-encoded; for a socket postgres://user:password@localhost/database?host=/folder'
  const { searchParams } = url
  for (const [option, words] of Object.entries(choices)) {
    if (searchParams.getAll(option).some((word) => !words.includes(word)))
      return `${option} must be one of ${words.join(', ')}`
  }
  if (['sslmode', 'ssl'].flatMap((option) => searchParams.getAll(option)).length > 1)
    return 'sslmode and ssl say the same in two ways: give one of them, once'
  const lost = files.find((option) => searchParams.getAll(option).some((path) => !existsSync(path)))
  return lost && `there is no such file as its ${lost} names`
}

function parsed(value: string): URL | undefined {
  const url = /\s/.test(value) ? null : URL.parse(value)
  const right =
    url !== null &&
    ['postgres:', 'postgresql:'].includes(url.protocol) &&
    (url.hostname !== '' || Boolean(url.searchParams.get('host'))) &&
    url.hash === '' &&
    // behind the host it is the end of a password that was cut by a "/" or "?"
    !`${url.pathname}${url.search}`.includes('@') &&
    isDecodable(url.href)
  return right ? url : undefined
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
