/**
 * Owns which links a mail may carry: a whole URL, or the caller's URL and link token joined by plain concatenation.
 * A link is shown and linked byte for byte, so whatever can be read in two ways is refused.
 */
import { asciiDomain, isMailDomain } from './address.ts'
import { invalidClaim } from './errors.ts'

export interface LinkRules {
  /** Allows `http:` and hosts such as `localhost`, for development. */
  readonly allowHttp: boolean
  /** When given, the only origins (`https://app.example.com`) a link may lead to. */
  readonly origins?: readonly string[] | undefined
}

const maxLink = 4_000
const maxJoined = 16_384
/** The host holds neither user info nor percent signs, which programs decode differently. */
const linkPattern = /^https?:\/\/([^\s/?#@%\\:[\]]+|\[[0-9a-f:.]+\])(?::\d*)?(?:[/?#].*)?$/i
/** RFC 3986: no space, quote, angle bracket, backslash or control character. */
const linkCharacters = /^[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]*$/
/** What may stand in a segment of a path or in a query, and slashes. */
const tokenCharacters = /^[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+$/
const hasPath = /^https?:\/\/[^/?#]+[/?#]/i
const endsOpen = /[^A-Za-z0-9]$/

/** The link as it came. Throws `claims_invalid` naming `email_link`. */
export function checkLink(link: string, rules: LinkRules): string {
  if (link.length > maxLink) throw invalidClaim('email_link', 'length', `at most ${maxLink} characters`)
  parseLink(link, rules, 'email_link')
  return link
}

/**
 * `base + token`, byte for byte, when both halves are harmless and the token moves the link neither to another origin
 * (`https://a.example` + `.evil.example`) nor above its path. Throws `claims_invalid` naming the claim at fault.
 */
export function joinLink(base: string, token: string, rules: LinkRules): string {
  if (base.length > maxJoined) throw invalidClaim('email_link_url', 'length')
  const start = parseLink(base, rules, 'email_link_url')
  if (!endsOpen.test(base) || !hasPath.test(base))
    throw invalidClaim('email_link_url', 'link', 'end it with / or =')
  const link = base + token
  if (link.length > maxJoined) throw invalidClaim('email_link_token', 'length')
  if (!tokenCharacters.test(token)) throw invalidClaim('email_link_token', 'link', wrongCharacter)
  const end = parseLink(link, rules, 'email_link_token')
  if (end.origin !== start.origin || !end.pathname.startsWith(start.pathname))
    throw invalidClaim('email_link_token', 'link', 'it moves the link to another place')
  return link
}

const wrongCharacter = 'it holds a character that a URL cannot hold as it is; percent-encode it'

function parseLink(text: string, { allowHttp, origins }: LinkRules, claim: string): URL {
  const host = linkPattern.exec(text)?.[1]
  const url = host === undefined ? null : URL.parse(text)
  const refuse = (advice: string) => invalidClaim(claim, 'link', advice)
  if (!url || !host || !isPlainHost(host, url)) throw refuse('it is no https:// URL with a plain host name')
  if (!linkCharacters.test(isAscii(host) ? text : text.replace(host, ''))) throw refuse(wrongCharacter)
  if (!allowHttp && url.protocol !== 'https:') throw refuse('it must begin with https://')
  if (!allowHttp && !isMailDomain(url.hostname)) throw refuse('its host must be a public name')
  if (origins && !origins.includes(url.origin))
    throw refuse('it leads to none of the link_origins of this app')
  return url
}

/** An international name passes where its A-labels say the same (address.ts), so that no look-alike is mapped to it. */
function isPlainHost(host: string, url: URL): boolean {
  return isAscii(host) ? /^(?:[A-Za-z0-9._-]+|\[.*\])$/.test(host) : asciiDomain(host) === url.hostname
}

const isAscii = (host: string) => /^[\x21-\x7e]+$/.test(host)
