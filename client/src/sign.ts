/** Owns signatures: keys of every kind that the service takes, by WebCrypto, which Node, Deno, Bun and edge runtimes share. */

/** A private key of your own; the service has only the public half (`JWT_MAILER_PUBLIC_KEY_<APP>` or `JWT_MAILER_JWKS_<APP>`). */
export interface PrivateKey {
  readonly alg: 'RS256' | 'PS256' | 'ES256'
  /** PKCS#8 in PEM, which begins with `-----BEGIN PRIVATE KEY-----`, or a JWK. */
  readonly key: string | Readonly<Record<string, unknown>>
  /** Which of the app's public keys verifies it, where there are several. */
  readonly kid?: string | undefined
}

export type Signer = (claims: object) => Promise<string>

const hs256 = { name: 'HMAC', hash: 'SHA-256' }

/** For the import of a key and for its use alike. */
const algorithms = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32 },
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
} as const

/** Throws a `TypeError` on an empty secret, or on a key that none can be; a key that is broken, when it signs. */
export function signer(secret: string | PrivateKey): Signer {
  if (typeof secret === 'string') {
    checkSecret(secret)
    const key = hmacKey(secret, 'sign')
    return (claims) => sign({ alg: 'HS256', typ: 'JWT' }, claims, hs256, key)
  }
  const { alg, kid } = secret
  if (!Object.hasOwn(algorithms, alg)) throw new TypeError('alg must be RS256, PS256 or ES256')
  const key = privateKey(secret)
  return (claims) => sign({ alg, typ: 'JWT', kid }, claims, algorithms[alg], key)
}

/** Throws a `TypeError` on an empty secret: it would verify anybody's token. */
export function checkSecret(secret: string): void {
  if (typeof secret !== 'string' || secret === '') throw new TypeError('the secret is empty')
}

/** Makes the key when it is first asked for, and keeps it. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

function hmacKey(secret: string, use: 'sign' | 'verify') {
  return once(async () => crypto.subtle.importKey('raw', bytesOf(secret), hs256, false, [use]))
}

function privateKey({ alg, key }: PrivateKey) {
  const algorithm = algorithms[alg]
  if (typeof key !== 'string') {
    // what a JWK says of its own use may not be what WebCrypto wants
    const { use: _use, key_ops: _ops, alg: _alg, ext: _ext, ...jwk } = key
    return once(async () => crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']))
  }
  // a PEM in a variable often has its line breaks written out
  const pem = /-----BEGIN PRIVATE KEY-----([^-]+)-----END PRIVATE KEY-----/.exec(key.replaceAll('\\n', '\n'))
  if (!pem)
    throw new TypeError(
      'the key is no PKCS#8 PEM: convert it with "openssl pkcs8 -topk8 -nocrypt -in key.pem"',
    )
  const der = decodeBase64((pem[1] ?? '').replaceAll(/\s/g, ''))
  if (!der) throw new TypeError('the key is no PKCS#8 PEM: between its lines is no base64')
  return once(async () => crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']))
}

async function sign(
  header: object,
  claims: object,
  algorithm: Parameters<typeof crypto.subtle.sign>[0],
  key: () => Promise<Parameters<typeof crypto.subtle.sign>[1]>,
): Promise<string> {
  const signed = signingInput(header, claims)
  const imported = await key().catch(() => {
    throw new TypeError('the private key is broken, or is not one for its alg')
  })
  const signature = await crypto.subtle.sign(algorithm, imported, bytesOf(signed))
  return `${signed}.${encodeBase64url(new Uint8Array(signature))}`
}

/** What is signed of a token: its header and its claims. */
export function signingInput(header: object, claims: object): string {
  return [header, claims].map((part) => encodeBase64url(bytesOf(JSON.stringify(part)))).join('.')
}

/**
 * The claims, whatever their time, when one of the secrets signed them by HS256. `forged`: another one signed them, or
 * another algorithm, or none.
 */
export async function readSigned(
  token: string,
  secrets: readonly string[],
): Promise<Record<string, unknown> | 'malformed' | 'forged'> {
  const [head = '', body = '', mark = '', ...more] = token.split('.')
  const [header, claims] = [head, body].map(readPart)
  if (!header || !claims || more.length > 0) return 'malformed'
  const signature = decodeBase64(mark.replaceAll('-', '+').replaceAll('_', '/'))
  if (header['alg'] !== 'HS256' || !signature) return 'forged'
  for (const secret of secrets) {
    const key = await hmacKey(secret, 'verify')()
    if (await crypto.subtle.verify(hs256, key, signature, bytesOf(`${head}.${body}`))) return claims
  }
  return 'forged'
}

/** Does the signature, in base64, belong to these bytes? Compared in constant time, by WebCrypto. */
export async function isSignedBy(
  key: Uint8Array<ArrayBuffer>,
  signature: string,
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const bytes = decodeBase64(signature)
  if (!bytes) return false
  const imported = await crypto.subtle.importKey('raw', key, hs256, false, ['verify'])
  return crypto.subtle.verify(hs256, imported, bytes, signed)
}

/** What a token says, unverified: for what is only shown. */
export function readClaims(token: string): Record<string, unknown> {
  return readPart(token.split('.')[1] ?? '') ?? {}
}

/** An object in base64url. */
function readPart(part: string): Record<string, unknown> | undefined {
  const bytes = decodeBase64(part.replaceAll('-', '+').replaceAll('_', '/'))
  return bytes && parseObject(new TextDecoder().decode(bytes))
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

export function bytesOf(text: string) {
  return new TextEncoder().encode(text)
}

function encodeBase64url(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

export function decodeBase64(text: string) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}
