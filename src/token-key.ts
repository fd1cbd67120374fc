/** Owns the keys that verify tokens: each allows its own algorithms and no other. */
import { createSecretKey, type KeyObject } from 'node:crypto'

/** A KeyObject made once verifies some thirty times faster than a string secret. Throws on an empty secret. */
export function tokenKey(secret: string): KeyObject {
  if (secret === '') throw new TypeError('an empty secret would verify anybody')
  return createSecretKey(secret, 'utf8')
}

export type Algorithm = 'HS256' | 'RS256' | 'PS256' | 'ES256' | 'EdDSA'

const none: readonly Algorithm[] = []
const byType: Readonly<Record<string, readonly Algorithm[]>> = {
  rsa: ['RS256', 'PS256'],
  'rsa-pss': ['PS256'],
  ec: ['ES256'],
  ed25519: ['EdDSA'],
}
const secretAlgorithms: readonly Algorithm[] = ['HS256']
const leastRsaBits = 2048
/** A larger key would make each verification slow. */
const mostRsaBits = 8192

/**
 * What may be signed with this key: decided by the key alone, so that no token chooses how it is verified. None with a
 * key that is of another kind, weak, or private.
 */
export function algorithmsOf(key: KeyObject): readonly Algorithm[] {
  if (key.type === 'secret') return secretAlgorithms
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: details } = key
  const { namedCurve = 'prime256v1', modulusLength: bits = leastRsaBits } = details ?? {}
  const isMeant = namedCurve === 'prime256v1' && bits >= leastRsaBits && bits <= mostRsaBits
  return key.type === 'public' && isMeant ? (byType[type] ?? none) : none
}
