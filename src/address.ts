/**
 * Owns which addresses we mail: one plain `local@domain`, refused rather than repaired.
 *
 * Deliberately narrower than RFC 5321: no quoted local parts, comments, folding, routes, groups, address
 * literals or single-label domains, because every one of them has been read differently by some mail program.
 */
import { domainToASCII, domainToUnicode } from 'node:url'
import { invalidClaim } from './errors.ts'

const maxAddress = 254
const maxLocal = 64
const maxDomain = 253

const atom = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i
const numeric = /^[0-9]+$/

/**
 * Returns the address with its domain as an A-label, ready for the envelope (RFC 5321 4.1.2 as dot-atom, RFC 5890).
 * A non-ASCII local part is refused: not every relay offers SMTPUTF8, and we do not promise what we cannot keep.
 * Throws `claims_invalid` naming `claim`.
 */
export function checkAddress(value: string, claim = 'user_email'): string {
  const at = value.lastIndexOf('@')
  const local = value.slice(0, at)
  const domain = asciiDomain(value.slice(at + 1))
  const address = `${local}@${domain}`
  const right =
    value.length <= maxAddress &&
    at > 0 &&
    local.length <= maxLocal &&
    atom.test(local) &&
    domain !== undefined &&
    isMailDomain(domain) &&
    address.length <= maxAddress
  if (!right) throw invalidClaim(claim, 'address')
  return address
}

/** A host name of two labels or more whose last one is not a number: never a literal, never `localhost`. */
export function isMailDomain(domain: string): boolean {
  const labels = domain.split('.')
  return (
    domain.length <= maxDomain &&
    labels.length > 1 &&
    labels.every((part) => label.test(part)) &&
    !(/xn--/i.test(domain) && hasUndecodableLabel(domain)) &&
    !numeric.test(labels.at(-1) ?? '')
  )
}

/** An A-label that stands for no name: mail programs make an empty label of it, or another name. */
function hasUndecodableLabel(domain: string): boolean {
  const decoded = domainToUnicode(domain)
  return decoded === '' || decoded.split('.').some((part) => part.startsWith('xn--'))
}

/**
 * IDN to A-label, only where the mapping changes nothing but case: `ⓔxample.com` or a full-width dot would
 * otherwise reach another domain than the one that was written.
 */
export function asciiDomain(domain: string): string | undefined {
  if (domain.length > maxDomain) return undefined
  if (/^[\x21-\x7e]+$/.test(domain)) return domain
  // RFC 5892: letters, marks and digits; the mapping of Unicode TR 46 would let symbols pass
  if (!/^[\p{L}\p{M}\p{N}.-]+$/u.test(domain)) return undefined
  const ascii = domainToASCII(domain)
  const unchanged = domain.normalize('NFKC') === domain && domainToUnicode(ascii) === domain.toLowerCase()
  return ascii !== '' && unchanged ? ascii : undefined
}
