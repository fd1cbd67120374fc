/** Owns the trust in a token: whose key has signed it, its times, and from there to `Claims`. */
import { isUtf8 } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'
import type { z } from 'zod'
import { checkAddress } from './address.ts'
import { type Claims, claimsSchema } from './contract.ts'
import { type ClaimFault, invalidClaims, MailerError, withoutStacks } from './errors.ts'
import { readSigned } from './token-signature.ts'

const toleranceS = 60

export interface VerifiedToken {
  readonly claims: Claims
  /** What is wrong with claims in themselves. While there is any, `claims` lacks those, and no mail is made of it. */
  readonly faults: readonly ClaimFault[]
  /** The token's own end in seconds since the epoch, when it has one. */
  readonly exp: number | undefined
  /** Signed with a key that is not the first: the caller has not moved to the new secret yet. */
  readonly outdated: boolean
}

/**
 * Verifies the signature with the first of `keys` that fits, then times (60 s of tolerance), then claims.
 * `audience` is what `aud` of a token with a public key must hold. Key hints in the header (`kid`, `jku`, `x5u`, `jwk`) are not read here; `crit` is refused (RFC 7515 4.1.11).
 * Throws `token_malformed`, `token_signature`, `token_expired` or `token_not_yet_valid`; what is wrong with claims is in
 * `faults`, because the mail may find more, and the caller is told of all at once.
 */
export function verifyToken(
  token: string,
  keys: readonly KeyObject[],
  now = Date.now(),
  audience?: string,
): VerifiedToken {
  const opened = withoutStacks(() => openToken(token, keys, now, audience))
  if (opened instanceof MailerError) throw opened
  const { payload, place, faults } = opened
  const { exp } = payload
  const read = parseClaims(payload, now)
  return {
    claims: read.claims,
    faults: faults.length === 0 ? read.faults : [...faults, ...read.faults],
    exp: typeof exp === 'number' ? exp : undefined,
    outdated: place > 0,
  }
}

/** The claims of a token that has been verified before and kept under our own seal since: its time may be over. */
export function claimsOfSealed(token: string): Claims {
  return readClaims(plainClaims(token, jwt.decode(token)))
}

/** As `parseClaims`. Throws `claims_invalid` naming all claims that are missing or wrong in themselves. */
export function readClaims(payload: unknown, now?: number): Claims {
  const { claims, faults } = parseClaims(payload, now)
  if (faults.length > 0) throw invalidClaims(faults)
  return claims
}

/**
 * The claims, and what is missing or wrong in itself; `claims` holds none of those. `now` (epoch ms) is the time against
 * which times are judged; without it they have been judged before.
 */
export function parseClaims(payload: unknown, now?: number): Pick<VerifiedToken, 'claims' | 'faults'> {
  const parsed = claimsSchema.safeParse(payload)
  const faults = parsed.success ? [] : faultsOf(parsed.error, payload)
  const { user_email: address, email_link_exp: expiry }: Record<string, unknown> = Object(payload)
  const wrong = (name: string) => faults.some(({ claim }) => claim === name)
  if (now !== undefined && typeof expiry === 'number' && isFarAhead(expiry, now) && !wrong('email_link_exp'))
    faults.push({ claim: 'email_link_exp', ...unmeant })
  let user_email = ''
  try {
    if (typeof address === 'string' && !wrong('user_email')) user_email = checkAddress(address)
  } catch (error) {
    if (!(error instanceof MailerError)) throw error
    faults.unshift(...error.faults)
  }
  if (parsed.success && faults.length === 0) return { claims: { ...parsed.data, user_email }, faults }
  const right = Object.entries(Object(payload)).filter(([name]) => !wrong(name))
  const { data } = claimsSchema.safeParse({ ...Object.fromEntries(right), user_email: 'refused' })
  return { claims: { ...data, user_email }, faults }
}

function faultsOf({ issues }: z.ZodError, payload: unknown): ClaimFault[] {
  const names = new Set(issues.map(({ path: [name] }) => String(name ?? 'user_email')))
  return [...names].map((claim) => {
    const value: unknown = Object(payload)[claim]
    const isAbsent = value === undefined || value === null || value === ''
    return { claim, reason: isAbsent ? 'missing' : 'type' }
  })
}

/** No caller means a time so far ahead; milliseconds are some 55,000 years too late. */
const maxAheadS = 10 * 366 * 86_400
const unmeant = { reason: 'time', advice: 'it is more than ten years ahead; write it in seconds' } as const

/** Both in their own unit: `time` is a NumericDate in seconds, `now` in ms. */
export function isFarAhead(time: number, now: number): boolean {
  return time > now / 1000 + maxAheadS
}

/** What `verifyToken` says of signature and times, for tokens that carry no mail. */
export function verifySignature(
  token: string,
  keys: readonly KeyObject[],
  now = Date.now(),
  audience?: string,
): void {
  const opened = withoutStacks(() => openToken(token, keys, now, audience))
  if (opened instanceof MailerError) throw opened
  if (opened.faults.length > 0) throw invalidClaims(opened.faults)
}

interface OpenedToken extends Pick<VerifiedToken, 'faults'> {
  readonly payload: Record<string, unknown>
  /** Of the key that fits, among `keys`. */
  readonly place: number
}

function openToken(
  token: string,
  keys: readonly KeyObject[],
  now: number,
  audience: string | undefined,
): OpenedToken | MailerError {
  let refusal: MailerError | undefined
  for (const [place, key] of keys.entries()) {
    const opened = openWith(key, token, now, audience)
    if (!(opened instanceof MailerError)) return { ...opened, place }
    refusal = opened
    if (refusal.code !== 'token_signature') break
  }
  return refusal ?? new MailerError('token_signature', { reason: 'no key' })
}

function openWith(
  key: KeyObject,
  token: string,
  now: number,
  audience: string | undefined,
): Omit<OpenedToken, 'place'> | MailerError {
  const signed = readSigned(token, key)
  if (signed instanceof MailerError) return signed
  const { header, payload } = signed
  if ('crit' in header || 'zip' in header || 'b64' in header)
    return new MailerError('token_malformed', { reason: 'header' })
  const claims = plainClaims(token, payload)
  const faults = checkTimes(claims, now)
  if (audience !== undefined && key.type === 'public' && ![claims['aud']].flat().includes(audience))
    return new MailerError('token_signature', { reason: 'audience' })
  return { payload: claims, faults }
}

/** The payload must be a JSON object in strict UTF-8: `Buffer.toString` would quietly mend broken bytes. */
function plainClaims(token: string, payload: unknown): Record<string, unknown> {
  const bytes = Buffer.from(token.split('.', 2)[1] ?? '', 'base64url')
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload) || !isUtf8(bytes)) {
    throw new MailerError('token_malformed', { reason: 'payload' })
  }
  const claims: Record<string, unknown> = { ...payload }
  const time = (['exp', 'nbf', 'iat'] as const).find(
    (name) => name in claims && !Number.isFinite(claims[name]),
  )
  if (time) throw new MailerError('token_malformed', { reason: time })
  return claims
}

/** A time that cannot be meant is a fault of its claim, and is named before one that is merely wrong. */
function checkTimes(claims: Record<string, unknown>, now: number): ClaimFault[] {
  const { exp, nbf, iat }: { exp?: number; nbf?: number; iat?: number } = claims
  const seconds = Math.floor(now / 1000)
  const wrong = Object.entries({ exp, nbf, iat }).filter(([, time]) => time && isFarAhead(time, now))
  if (wrong.length > 0) return wrong.map(([claim]) => ({ claim, ...unmeant }))
  if (nbf !== undefined && nbf > seconds + toleranceS)
    throw new MailerError('token_not_yet_valid', { reason: 'nbf' })
  if (exp !== undefined && seconds >= exp + toleranceS) throw new MailerError('token_expired')
  if (iat !== undefined && iat > now / 1000 + toleranceS)
    throw new MailerError('token_not_yet_valid', { reason: 'iat' })
  return []
}
