/**
 * Owns the form in which secrets are stored: tokens sealed with AES-256-GCM, recipients as HMAC. Both keys are derived
 * from the service's secret by HKDF, so a copy of the store is unreadable without that secret.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

export interface Seal {
  /** The sealed text opens only with the same `about`. */
  seal(text: string, about: string): string
  /** The text, or `undefined` when none of the secrets opens it. */
  open(sealed: string, about: string): string | undefined
  /** A name for a recipient that does not reveal the address: 22 characters, the same in upper and lower case. */
  hide(recipient: string): string
  /** The same by every secret, the newest first. */
  names(recipient: string): string[]
}

/** The first secret seals and hides; every secret opens. */
export function sealWith(secrets: readonly string[]): Seal {
  const keys = secrets.map((secret) => derive(secret, 'token'))
  const [newestKey] = keys
  const hidingKeys = secrets.map((secret) => derive(secret, 'recipient'))
  const [hiding] = hidingKeys
  if (newestKey === undefined || hiding === undefined || secrets.includes(''))
    throw new Error('the outbox needs a secret')
  return {
    seal: (text, about) => sealText(newestKey, text, about),
    open(sealed, about) {
      const bytes = Buffer.from(sealed, 'base64url')
      return keys.map((key) => openText(key, bytes, about)).find((text) => text !== undefined)
    },
    hide: (recipient) => hideBy(hiding, recipient),
    names: (recipient) => hidingKeys.map((key) => hideBy(key, recipient)),
  }
}

function hideBy(key: KeyObject, recipient: string): string {
  const digest = createHmac('sha256', key).update(recipient.toLowerCase()).digest()
  return digest.subarray(0, 16).toString('base64url')
}

/** A KeyObject, because Node converts a Buffer at every use: 12 instead of 40 µs a token. */
const derive = (secret: string, purpose: string) =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `jwt-mailer outbox ${purpose}`, 32)))

const noncePool = Buffer.alloc(nonceBytes * 256)
let noncesUsed = 256

/** From a pool, because twelve random bytes cost as much as three thousand. */
function nextNonce(): Buffer {
  if (noncesUsed === 256) randomFillSync(noncePool)
  noncesUsed = (noncesUsed % 256) + 1
  return noncePool.subarray((noncesUsed - 1) * nonceBytes, noncesUsed * nonceBytes)
}

function sealText(key: KeyObject, text: string, about: string): string {
  const nonce = nextNonce()
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(about))
  const sealed = [nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(sealed).toString('base64url')
}

function openText(key: KeyObject, sealed: Buffer, about: string): string | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(Buffer.from(about)).setAuthTag(sealed.subarray(-tagBytes))
  try {
    return decipher.update(sealed.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}
