/** Owns which links a mail may carry: the caller's URL and link token, joined by plain concatenation. */
import { isMailDomain } from './address.ts'
import { invalidClaim } from './errors.ts'

export interface LinkRules {
  /** Allows `http:` and hosts such as `localhost`, for development. */
  readonly allowHttp: boolean
  /** When given, the only origins (`https://app.example.com`) a link may lead to. */
  readonly origins?: readonly string[] | undefined
}

const maxLink = 16_384
/** What may stand in a URL as it is (RFC 3986): no space, quote, bracket, backslash, nothing beyond ASCII. */
const urlCharacters = /^https?:\/\/[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/
const tokenCharacters = /^[A-Za-z0-9._~-]+$/

/**
 * `base + token`, byte for byte, when both halves are harmless and the token does not move the link to another
 * origin (`https://a.example` + `.evil.example`). Throws `claims_invalid` naming the claim at fault.
 */
export function joinLink(base: string, token: string, rules: LinkRules): string {
  const origin = originOf(base, rules)
  if (origin === undefined) throw invalidClaim('email_link_url', 'link')
  const link = base + token
  const right = tokenCharacters.test(token) && link.length <= maxLink && originOf(link, rules) === origin
  if (!right) throw invalidClaim('email_link_token', 'link')
  return link
}

function originOf(text: string, rules: LinkRules): string | undefined {
  if (text.length > maxLink || !urlCharacters.test(text)) return undefined
  const url = URL.parse(text)
  if (!url || url.username || url.password || /^https?:\/\/[^/?#]*@/.test(text)) return undefined
  if (!rules.allowHttp && (url.protocol !== 'https:' || !isMailDomain(url.hostname))) return undefined
  if (rules.origins && !rules.origins.includes(url.origin)) return undefined
  return url.origin
}
