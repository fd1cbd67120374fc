/** Owns the claim contract of a mail: the claims it needs, their types, and how a token's claims become its values. */
import { z } from 'zod'
import type { Claims } from '../contract.ts'
import { invalidClaim } from '../errors.ts'
import { checkLink, joinLink, type LinkRules } from '../link.ts'
import { isFarAhead } from '../token.ts'
import { cleanText } from './values.ts'

export type ClaimType = 'text' | 'integer' | 'cents'

/** One claim of the wrapping token, as a caller has to send it. */
export interface ClaimRule {
  readonly name: string
  readonly type: ClaimType
  readonly required: boolean
  /** The mail's value when the claim is absent. */
  readonly default: string | undefined
  readonly sample: string | number | undefined
  /** Characters of a text. */
  readonly max: number
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

/** Names that need no declaration because every mail has them. `app.name`, `sender_name` and `locale` are constants. */
export const alwaysThere = ['user_email', 'link', 'access_key', 'expires_at'] as const
export const constantNames = ['app.name', 'sender_name', 'locale'] as const

export const claimName = /^[a-z][a-z0-9_]{0,63}$/
const defaultMax = 4000
const highestMax = 20_000
const notDeclared = new Set<string>([
  ...constantNames,
  'user_email',
  'expires_at',
  'app',
  'jti',
  'exp',
  'nbf',
  'iat',
])
const otherNames: Record<string, string> = {
  user_aut_key: 'access_key',
  user_aut_key_or_otp: 'access_key',
  email_link_url: 'link',
  email_link_token: 'link',
}

const scalar = z.union([z.string(), z.number()], { error: 'must be a text or a number' })
const claimSchema = z
  .strictObject(
    {
      type: z.enum(['text', 'integer', 'cents'], { error: 'must be text, integer or cents' }).default('text'),
      default: scalar.optional(),
      sample: scalar.optional(),
      max: z
        .int({ error: `must be a whole number up to ${highestMax}` })
        .min(1)
        .max(highestMax)
        .optional(),
    },
    { error: 'must look like { type: text, default: …, sample: … }' },
  )
  .superRefine((claim, context) => {
    for (const field of ['default', 'sample'] as const) {
      const wrong = claim.type !== 'text' && claim[field] !== undefined && !Number.isSafeInteger(claim[field])
      if (wrong)
        context.addIssue({ code: 'custom', path: [field], message: `must be a whole number, like the claim` })
    }
    if (claim.type !== 'text' && claim.max !== undefined)
      context.addIssue({ code: 'custom', path: ['max'], message: 'is for texts only' })
  })

/** The `claims` of a front matter. */
export const contractSchema = z
  .record(z.string(), claimSchema, { error: 'must list claims by name' })
  .superRefine((claims, context) => {
    for (const [name, claim] of Object.entries(claims)) {
      const message = wrongName(name) ?? wrongSpecialRule(name, claim)
      if (message) context.addIssue({ code: 'custom', path: [name], message })
    }
  })
export type Declared = z.infer<typeof contractSchema>

function wrongName(name: string): string | undefined {
  if (!claimName.test(name)) return 'a claim is named in lower case, with digits and underscores'
  if (notDeclared.has(name)) return 'is always there and is not declared'
  if (Object.hasOwn(otherNames, name)) return `is called \`${otherNames[name]}\` in mails`
  return undefined
}

function wrongSpecialRule(name: string, claim: Declared[string]): string | undefined {
  const isText = claim.type === 'text' && claim.max === undefined
  if (name === 'access_key' && !(isText && (claim.default ?? '') === ''))
    return 'takes a sample, and `default: ""` when it may be absent, nothing else'
  if (name === 'link' && !(isText && claim.default === '' && claim.sample === undefined))
    return 'takes `default: ""` when it may be absent, nothing else'
  return undefined
}

/** The names a mail can use, in order of their index. */
export function sourcesOf(declared: Declared): Source[] {
  const key = ruleOf('user_aut_key_or_otp', declared['access_key'] ?? { type: 'text' })
  const sources: Source[] = [
    { name: 'user_email', kind: 'email', rule: undefined, optional: false },
    { name: 'link', kind: 'link', rule: undefined, optional: declared['link'] !== undefined },
    { name: 'access_key', kind: 'key', rule: key, optional: !key.required },
    { name: 'expires_at', kind: 'expiry', rule: undefined, optional: true },
  ]
  for (const [name, claim] of Object.entries(declared)) {
    if (name !== 'access_key' && name !== 'link')
      sources.push({ name, kind: 'claim', rule: ruleOf(name, claim), optional: claim.default !== undefined })
  }
  return sources
}

function ruleOf(name: string, claim: Declared[string]): ClaimRule {
  return {
    name,
    type: claim.type,
    required: claim.default === undefined,
    default: claim.default === undefined ? undefined : String(claim.default),
    sample: claim.type === 'text' && claim.sample !== undefined ? String(claim.sample) : claim.sample,
    max: name === 'user_aut_key_or_otp' ? 256 : (claim.max ?? defaultMax),
  }
}

const email: ClaimRule = {
  name: 'user_email',
  type: 'text',
  required: true,
  default: undefined,
  sample: 'ada@example.com',
  max: 254,
}
const linkPart = { type: 'text', sample: undefined, max: 16_384 } as const

function linkClaims(optional: boolean): ClaimRule[] {
  const needed = { required: !optional, default: optional ? '' : undefined }
  return ['email_link_url', 'email_link_token'].map((name) => ({ name, ...linkPart, ...needed }))
}

/** The claims that a caller has to send, in the order in which a reader expects them. */
export function contractOf(sources: readonly Source[], shows: { link: boolean; key: boolean }): ClaimRule[] {
  const rules = sources.flatMap(({ kind, rule }) => (rule && (kind === 'claim' || shows.key) ? [rule] : []))
  const link = sources.find(({ kind }) => kind === 'link')
  return [email, ...(shows.link && link ? linkClaims(link.optional) : []), ...rules]
}

/** The value of a declared claim. Throws `claims_invalid` naming the claim. */
export function readClaim(rule: ClaimRule, claims: Claims): string {
  const value = Object.hasOwn(claims, rule.name) ? claims[rule.name] : undefined
  const text = value === undefined || value === null ? '' : claimText(rule, value)
  if (text !== '') return text
  if (rule.default === undefined) throw invalidClaim(rule.name, 'missing')
  return rule.default
}

function claimText(rule: ClaimRule, value: unknown): string {
  // identifiers come as numbers or as texts, depending on the caller's database
  if (Number.isSafeInteger(value)) return String(value)
  if (value === '') return ''
  if (rule.type !== 'text' || typeof value !== 'string') throw invalidClaim(rule.name, 'type')
  if (value.length > rule.max) throw invalidClaim(rule.name, 'length')
  const text = cleanText(value)
  if (text === undefined) throw invalidClaim(rule.name, 'control')
  return text
}

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
