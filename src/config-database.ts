/** Owns how `DATABASE_URL` has to be written: pg guesses at a wrong one, or throws an error that quotes it. */

/** What is wrong with it, without repeating any of it; `undefined` when nothing is. */
export function databaseUrlTrouble(value: string): string | undefined {
  const url = /\s/.test(value) ? null : URL.parse(value)
  const right =
    url !== null &&
    ['postgres:', 'postgresql:'].includes(url.protocol) &&
    (url.hostname !== '' || Boolean(url.searchParams.get('host'))) &&
    url.hash === '' &&
    // behind the host it is the end of a password that was cut by a "/" or "?"
    !`${url.pathname}${url.search}`.includes('@') &&
    isDecodable(url.href)
  if (right) return undefined
  return 'must look like postgres://user:password@host:5432/database, with "/", "?", "#", "@" and "%" in the password percent-encoded'
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
