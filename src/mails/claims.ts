/** Owns how the claims of a token become the values of a mail, each of the type that the mail declares. */
import type { Claims } from '../contract.ts'
import { type ClaimFault, type ClaimReason, invalidClaim, invalidClaims, MailerError } from '../errors.ts'
import { checkLink, joinLink, type LinkRules } from '../link.ts'
import { isFarAhead } from '../token.ts'
import { parseDate } from './formats.ts'
import { cleanText, type Row, type Value } from './values.ts'

export const fieldTypes = ['text', 'integer', 'cents', 'boolean', 'date'] as const
export type ClaimType = (typeof fieldTypes)[number] | 'list'

/** One claim of the wrapping token, as a caller has to send it. */
export interface ClaimRule {
  readonly name: string
  readonly type: ClaimType
  readonly required: boolean
  /** The mail's value when the claim is absent. */
  readonly default: string | undefined
  readonly sample: unknown
  /** Characters of a text, items of a list. */
  readonly max: number
  /** Of each item of a list; a single one without a name when the items are texts. */
  readonly fields?: readonly ClaimRule[]
}

/** A name of the placeholder language and the claim that fills it. */
export interface Source {
  readonly name: string
  /** `exact`: shown byte for byte, never defused. */
  readonly kind: 'claim' | 'email' | 'key' | 'link' | 'expiry'
  readonly rule: ClaimRule | undefined
  /** The caller may leave it out. */
  readonly optional: boolean
}

/** The value of a declared claim. Throws `claims_invalid` naming the claim. */
export function readClaim(rule: ClaimRule, claims: Claims): Value {
  return readNamed(rule, claims, rule.name)
}

/** `path` names the value for the caller: `title`, or `lines[2].name`. */
function readNamed(rule: ClaimRule, from: object, path: string): Value {
  const value: unknown = Object.hasOwn(from, rule.name) ? Object(from)[rule.name] : undefined
  const read = value === undefined || value === null ? '' : readValue(rule, value, path)
  if (read !== '') return read
  if (rule.default === undefined) throw invalidClaim(path, 'missing')
  if (rule.type === 'text' || rule.default === '') return rule.default
  return rule.type === 'list' ? [] : readValue(rule, defaultValue(rule), path)
}

function defaultValue({ type, default: text = '' }: ClaimRule): unknown {
  if (type === 'boolean') return text === 'true'
  return type === 'date' ? text : Number(text)
}

export function readValue(rule: ClaimRule, value: unknown, path = rule.name): Value {
  if (value === '') return ''
  const wrong = (reason: ClaimReason, advice?: string) => invalidClaim(path, reason, advice)
  switch (rule.type) {
    case 'list':
      return readList(rule, value, path)
    case 'boolean':
      if (typeof value === 'boolean') return value
      throw wrong('type', 'it must be true or false')
    case 'date': {
      const date = typeof value === 'string' ? parseDate(value) : undefined
      if (date) return date
      throw wrong('type', `it must be a day such as 2026-11-26 or a time such as 2026-11-26T18:30:00Z`)
    }
    case 'text': {
      // identifiers come as numbers or as texts, depending on the caller's database
      if (Number.isSafeInteger(value)) return String(value)
      if (typeof value !== 'string') throw wrong('type', 'it must be a text')
      if (value.length > rule.max) throw wrong('length', `at most ${rule.max} characters`)
      const text = cleanText(value)
      if (text === undefined) throw wrong('control')
      return text
    }
    default:
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value
      throw wrong('type', 'it must be a whole number such as 1290, not a text')
  }
}

function readList({ max, fields = [] }: ClaimRule, value: unknown, path: string): Row[] {
  if (!Array.isArray(value)) throw invalidClaim(path, 'type', 'it must be a list')
  if (value.length > max) throw invalidClaim(path, 'length', `at most ${max} items`)
  const isTexts = fields.length === 1 && fields[0]!.name === ''
  const faults: ClaimFault[] = []
  const read = (field: ClaimRule, item: object, place: string): Value => {
    try {
      return readNamed(field, item, place)
    } catch (error) {
      if (!(error instanceof MailerError)) throw error
      faults.push(...error.faults)
      return ''
    }
  }
  const rows: Row[] = []
  for (const [index, item] of value.entries()) {
    if (faults.length > maxFaults) break
    const place = `${path}[${index}]`
    if (isTexts) rows.push([read(fields[0]!, { '': item }, place)])
    else if (typeof item === 'object' && item !== null && !Array.isArray(item))
      rows.push(fields.map((field) => read(field, item, `${place}.${field.name}`)))
    else faults.push({ claim: place, reason: 'type', advice: 'it must be an object' })
  }
  if (faults.length > 0) throw invalidClaims(faults)
  return rows
}

/** Of one list: the same fault in each of five hundred rows is told by its first ones. */
const maxFaults = 20

const keyPattern = /^[\x21-\x7e]{1,256}$/
const keyLikeLink = /:\/\/|^www\./i

/**
 * The access key or one-time code, byte for byte, under either of its names. A key that holds `://` or begins with
 * `www.` is refused; `evil.example/login` passes, because real keys may hold dots, slashes and at-signs.
 */
export function readKey(rule: ClaimRule, claims: Claims): string {
  const sent = claims.user_aut_key_or_otp ? 'user_aut_key_or_otp' : 'user_aut_key'
  const key = claims[sent]
  if (!key && !rule.required) return ''
  if (!key) throw invalidClaim(rule.name, 'missing')
  if (!keyPattern.test(key) || keyLikeLink.test(key)) throw invalidClaim(sent, 'key')
  return key
}

/** The link, byte for byte: as a whole, or joined from its halves; empty when it is optional and absent. */
export function readLink(claims: Claims, rules: LinkRules, optional: boolean): string {
  const { email_link: link, email_link_url: base, email_link_token: token } = claims
  if (link && (base || token))
    throw invalidClaim('email_link', 'link', 'give it, or email_link_url and email_link_token, not both')
  if (link) return checkLink(link, rules)
  if (optional && !base && !token) return ''
  if (!base) throw invalidClaim('email_link_url', 'missing', 'give both halves, or a whole URL in email_link')
  if (!token) throw invalidClaim('email_link_token', 'missing')
  return joinLink(base, token, rules)
}

/** When link and code of the mail stop working (epoch ms): as the caller says, else as the link token itself says. */
export function claimedExpiry(
  { email_link_exp: exp, email_link_token: token }: Claims,
  shows: { readonly showsLink: boolean },
): number | undefined {
  if (exp !== undefined) return Math.floor(exp * 1000)
  return shows.showsLink && token !== undefined ? linkExpiry(token) : undefined
}

/**
 * The expiry in a link token, in epoch ms. The token is read, not verified: only the caller can verify it. A time that
 * cannot be meant is ignored.
 */
export function linkExpiry(token: string, now = Date.now()): number | undefined {
  const parts = token.split('.')
  if (parts.length !== 3) return undefined
  try {
    const payload: unknown = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8'))
    const exp = typeof payload === 'object' && payload !== null && 'exp' in payload ? payload.exp : undefined
    const usable = typeof exp === 'number' && exp > 0 && !isFarAhead(exp, now)
    return usable ? Math.floor(exp * 1000) : undefined
  } catch {
    return undefined
  }
}
