/**
 * Owns the caller's own token inside the link: signed for one purpose, for a time, and to be used once.
 *
 * The mailer never verifies it and must not be able to make one: use a secret that it does not have.
 */
import { randomUUID } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { signingKey } from './mint.ts'

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

function sign({ purpose, subject, secret, expiresInS, data }: LinkTokenOptions): string {
  if (!(expiresInS > 0)) throw new TypeError('expiresInS must be above 0')
  if (purpose === '' || subject === '') throw new TypeError('purpose and subject must say something')
  const token = jwt.sign(data === undefined ? {} : { data }, signingKey(listOf(secret)[0] ?? ''), {
    algorithm: 'HS256',
    audience: purpose,
    subject,
    jwtid: randomUUID(),
    expiresIn: Math.ceil(expiresInS),
  })
  if (token.length > maxLength) throw new TypeError(`a link token has at most ${maxLength} characters`)
  return token
}

async function verify(token: string, options: VerifyOptions): Promise<GoodLink | BadLink> {
  const { purpose, secret, use } = options
  if (typeof token !== 'string' || token.length > maxLength) return { ok: false, reason: 'malformed' }
  const signed = readSigned(token, listOf(secret))
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

/** The claims, whatever their time, when one of the secrets signed them. */
function readSigned(token: string, secrets: readonly string[]): jwt.JwtPayload | 'malformed' | 'forged' {
  let reason: 'malformed' | 'forged' = 'malformed'
  for (const key of secrets.map(signingKey)) {
    try {
      const claims = jwt.verify(token, key, { algorithms: ['HS256'], ignoreExpiration: true })
      return typeof claims === 'string' ? 'malformed' : claims
    } catch (error) {
      const unsigned = ['invalid signature', 'invalid algorithm', 'jwt signature is required']
      reason = error instanceof Error && unsigned.includes(error.message) ? 'forged' : 'malformed'
    }
  }
  return reason
}

function listOf(secret: Secrets): readonly string[] {
  const secrets = typeof secret === 'string' ? [secret] : secret
  if (secrets.length === 0) throw new TypeError('the secret is empty')
  return secrets
}

/** `sign` makes the token of a link; `verify` says what a link that came back is worth. */
export const linkToken = { sign, verify } as const
