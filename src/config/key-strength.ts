/** Owns when a key can be guessed: by its length, and by how few different characters it is made of. */

/** Below it HS256 is weaker than its hash (RFC 7518 3.2). */
const goodBytes = 32
/** Below it somebody who has seen a token can try all keys. */
const leastBytes = 16
/** Of random hexadecimal digits, 16 have fewer than five kinds once in a million times. */
const leastKinds = 5

export interface Weakness {
  readonly says: string
  /** Else it is only less than it should be. */
  readonly isGuessable: boolean
}

export function weaknessOf(key: string): Weakness | undefined {
  const bytes = Buffer.byteLength(key)
  if (bytes < leastBytes)
    return { says: `is shorter than ${leastBytes} bytes and can be guessed`, isGuessable: true }
  if (new Set(key).size < leastKinds)
    return { says: 'repeats the same few characters and can be guessed', isGuessable: true }
  if (bytes < goodBytes) return { says: `is shorter than ${goodBytes} bytes`, isGuessable: false }
  return undefined
}
