/**
 * Owns the caller's own token inside the link: signed for one purpose, for a time, and to be used once.
 *
 * The mailer never verifies it and must not be able to make one: use a secret that it does not have.
 */
import { lifetime } from './mint.ts'
import { checkSecret, readSigned, signer } from './sign.ts'

/** One secret, or several while they are rotated: the first signs, each verifies. */
export type Secrets = string | readonly string[]

export interface LinkTokenOptions {
  /** What the link is good for, such as `confirm-address`: a token for another purpose is refused. */
  readonly purpose: string
  /** The user: an id of yours rather than an address, because everyone who sees the link can read it. */
  readonly subject: string
  readonly secret: Secrets
  /** Seconds until the link is over. The mail says so by itself. */
  readonly expiresInS: number
  /** Anything else to get back, as JSON. It is signed, not encrypted. */
  readonly data?: Readonly<Record<string, unknown>>
}

export interface VerifyOptions {
  readonly purpose: string
  readonly secret: Secrets
  /**
   * Burns the link: true for the first call with this id, false for every later one (`INSERT … ON CONFLICT DO NOTHING`). It is
   * called last, when everything else is right. Leave it out to look without using, as for the page of a GET. What it
   * throws, `verify` throws.
   */
  readonly use?: (id: string, expires: Date) => boolean | Promise<boolean>
}

export interface GoodLink {
  readonly ok: true
  readonly subject: string
  /** The token's own name, one of a kind. */
  readonly id: string
  readonly expires: Date
  readonly data: Readonly<Record<string, unknown>>
}

export interface BadLink {
  readonly ok: false
  /** `forged`: signed by somebody else, or changed. */
  readonly reason: 'malformed' | 'forged' | 'wrong_purpose' | 'expired' | 'used'
  /** Whom it was about, when its signature and its purpose are right: enough to offer a new link. */
  readonly subject?: string
}

const maxLength = 4096

/** What the token of a link says, before it is signed. */
export function linkClaims({ purpose, subject, expiresInS, data }: Omit<LinkTokenOptions, 'secret'>): object {
  if (!(expiresInS > 0)) throw new TypeError('expiresInS must be above 0')
  if (purpose === '' || subject === '') throw new TypeError('purpose and subject must say something')
  return { data, aud: purpose, sub: subject, jti: crypto.randomUUID(), ...lifetime(expiresInS) }
}

/** Throws a `TypeError` on what is too long for an address. */
export function checkLength(token: string): string {
  if (token.length > maxLength) throw new TypeError(`a link token has at most ${maxLength} characters`)
  return token
}

async function sign({ secret, ...options }: LinkTokenOptions): Promise<string> {
  const [first = ''] = secretsOf(secret)
  return checkLength(await signer(first)(linkClaims(options)))
}

async function verify(token: string, options: VerifyOptions): Promise<GoodLink | BadLink> {
  const { purpose, secret, use } = options
  if (typeof token !== 'string' || token.length > maxLength) return { ok: false, reason: 'malformed' }
  const signed = await readSigned(token, secretsOf(secret))
  if (typeof signed === 'string') return { ok: false, reason: signed }
  const { aud, sub: subject, jti: id, exp } = signed
  const data: unknown = signed['data']
  if (typeof aud !== 'string' || aud !== purpose) return { ok: false, reason: 'wrong_purpose' }
  if (typeof subject !== 'string' || typeof id !== 'string' || typeof exp !== 'number')
    return { ok: false, reason: 'malformed' }
  const expires = new Date(exp * 1000)
  if (expires.getTime() <= Date.now()) return { ok: false, reason: 'expired', subject }
  if (use && !(await use(id, expires))) return { ok: false, reason: 'used', subject }
  return { ok: true, subject, id, expires, data: typeof data === 'object' ? { ...data } : {} }
}

export function secretsOf(secret: Secrets): readonly string[] {
  const secrets = typeof secret === 'string' ? [secret] : secret
  for (const each of secrets) checkSecret(each)
  if (secrets.length === 0) throw new TypeError('the secret is empty')
  return secrets
}

/** `sign` makes the token of a link; `verify` says what a link that came back is worth. */
export const linkToken = { sign, verify } as const
