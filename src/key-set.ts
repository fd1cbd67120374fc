/** Owns what a JSON Web Key Set (RFC 7517) says: which of its keys verify tokens here, and why each of the others does not. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { type Algorithm, algorithmsOf } from './token-key.ts'

/** Why a key of a set is not used. */
export type KeyFault = 'symmetric' | 'private' | 'use' | 'alg' | 'kind'

export interface SetKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  /** What the key allows by its kind, and by its own `alg` where it has one. */
  readonly algorithms: readonly Algorithm[]
}

export interface KeySet {
  readonly keys: readonly SetKey[]
  readonly faults: readonly { readonly kid: string | undefined; readonly fault: KeyFault }[]
}

const maxKeys = 32
const setSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())).max(maxKeys) })

/** `undefined` when the text is no set, or one of more keys than anybody needs. */
export function readKeySet(text: string): KeySet | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // its message would quote the text
    return undefined
  }
  const set = setSchema.safeParse(json)
  if (!set.success) return undefined
  const keys: SetKey[] = []
  const faults: { kid: string | undefined; fault: KeyFault }[] = []
  for (const jwk of set.data.keys) {
    const kid = typeof jwk['kid'] === 'string' ? jwk['kid'] : undefined
    const read = readKey(jwk)
    if (typeof read === 'string') faults.push({ kid, fault: read })
    else keys.push({ kid, ...read })
  }
  return { keys, faults }
}

function readKey(jwk: Record<string, unknown>): Omit<SetKey, 'kid'> | KeyFault {
  const { kty, crv, x, y, n, e, use = 'sig', key_ops: operations = ['verify'], alg } = jwk
  if (kty === 'oct' || 'k' in jwk) return 'symmetric'
  // whoever reads the set could sign with it
  if ('d' in jwk) return 'private'
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify')) return 'use'
  const key = publicKeyOf({ kty, crv, x, y, n, e })
  const allowed = key && algorithmsOf(key)
  if (!allowed || allowed.length === 0) return 'kind'
  const algorithms = alg === undefined ? allowed : allowed.filter((each) => each === alg)
  return algorithms.length > 0 ? { key, algorithms } : 'alg'
}

function publicKeyOf(jwk: Record<string, unknown>): KeyObject | undefined {
  const members = Object.entries(jwk).filter(([, value]) => typeof value === 'string')
  try {
    return createPublicKey({ key: Object.fromEntries(members), format: 'jwk' })
  } catch {
    // its message could quote the key
    return undefined
  }
}
