/**
 * Owns the signature of a token: whether a key has made it, and what the token then holds.
 *
 * What a stranger can have refused is returned and not thrown: V8 never compiles a function that only throws, and would
 * interpret all of these for as long as nothing but bad signatures came.
 */
import { createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { MailerError } from './errors.ts'
import type { RequestReason } from './message.ts'
import { type Algorithm, algorithmsOf } from './token-key.ts'

export interface SignedToken {
  readonly header: object
  readonly payload: unknown
}

/** The refusal is `token_signature` where another key may fit, else `token_malformed`. */
export function readSigned(token: string, key: KeyObject): SignedToken | MailerError {
  try {
    return verifyWith(key, token)
  } catch (error) {
    return asFailure(error)
  }
}

function verifyWith(key: KeyObject, token: string): SignedToken | MailerError {
  if (key.type === 'secret') return verifyHere(token, 'HS256', (...signed) => isHmac(key, ...signed))
  if (key.asymmetricKeyType === 'ed25519')
    return verifyHere(token, 'EdDSA', (input, signature) =>
      verify(null, Buffer.from(input), key, Buffer.from(signature, 'base64url')),
    )
  return jwt.verify(token, key, {
    // oxlint-disable-next-line no-unsafe-type-assertion -- of all algorithms, the library lacks EdDSA alone
    algorithms: algorithmsOf(key) as jwt.Algorithm[],
    // `checkTimes` judges all times together
    ignoreExpiration: true,
    ignoreNotBefore: true,
    complete: true,
  })
}

/**
 * For Ed25519 (RFC 8037), which jsonwebtoken does not know, and for HS256, which takes half the time here: Node makes or
 * verifies the signature.
 */
function verifyHere(
  token: string,
  algorithm: Algorithm,
  isSignature: (input: string, signature: string) => boolean,
): SignedToken | MailerError {
  const read = readToken(token)
  if (!read) return new MailerError('token_malformed', { reason: 'malformed' })
  if (read.signature === '') return unsignedToken('jwt signature is required')
  if (read.header['alg'] !== algorithm) return unsignedToken('invalid algorithm')
  if (!isSignature(token.slice(0, token.lastIndexOf('.')), read.signature))
    return unsignedToken('invalid signature')
  return read
}

/** Judged as jsonwebtoken's `decode` does, which reads the header twice. Throws for what is no JSON. */
function readToken(token: string) {
  if (!compact.test(token)) return undefined
  const [head = '', body = '', signature = ''] = token.split('.')
  const header: Record<string, unknown> | null = JSON.parse(Buffer.from(head, 'base64url').toString('latin1'))
  return header && { header, payload: readPayload(body, header['typ'] === 'JWT'), signature }
}

function readPayload(body: string, isNamedJwt: boolean): unknown {
  try {
    return JSON.parse(Buffer.from(body, 'base64url').toString())
  } catch (error) {
    if (isNamedJwt) throw error
    return undefined
  }
}

const compact = /^[\w-]+\.[\w-]+\.[\w-]*$/

const unsignedToken = (reason: (typeof unsigned)[number]) => new MailerError('token_signature', { reason })

/** Compared as it is written, so that one signature has one spelling. */
function isHmac(key: KeyObject, input: string, signature: string): boolean {
  const made = Buffer.from(createHmac('sha256', key).update(input).digest('base64url'))
  const given = Buffer.from(signature)
  return given.length === made.length && timingSafeEqual(given, made)
}

/** Messages of jsonwebtoken. */
const unsigned = [
  'invalid signature',
  'invalid algorithm',
  'jwt signature is required',
] as const satisfies RequestReason[]

/** jsonwebtoken tells its failures apart by class and by message only. */
function asFailure(error: unknown): MailerError {
  const reason =
    error instanceof jwt.JsonWebTokenError ? unsigned.find((message) => message === error.message) : undefined
  return new MailerError(reason ? 'token_signature' : 'token_malformed', { reason: reason ?? 'malformed' })
}
