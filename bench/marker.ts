/**
 * Owns the identity of a mail in a run: it travels as the recipient's local part, the one place that every
 * sender passes through unchanged. Its width is fixed, so that a prebuilt message can be patched in place.
 */
const DOMAIN = 'inbox.example.com'

/** The recipient of mail number `seq` of the order `tag`. */
export function recipientOf(tag: number, seq: number): string {
  return `m${String(tag).padStart(4, '0')}-${String(seq).padStart(7, '0')}@${DOMAIN}`
}

/** What `recipientOf` was called with, or undefined for a stranger. */
export function readRecipient(address: string): { tag: number; seq: number } | undefined {
  const found = /^m(\d{4})-(\d{7})@inbox\.example\.com$/.exec(address)
  return found ? { tag: Number(found[1]), seq: Number(found[2]) } : undefined
}
