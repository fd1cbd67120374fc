/** Tokens as callers make them, and hostile ones that no library would make. */
import { createHmac } from 'node:crypto'
import jwt from 'jsonwebtoken'

export const secret = 'a shared secret of at least 32 bytes, for tests'

/** The claims of the original's callers; any of them can be replaced, `undefined` leaves one out. */
export function sampleClaims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const claims = {
    user_email: 'ada@example.com',
    user_aut_key: '7hK2pQ',
    email_link_url: 'https://app.example.com/confirm/',
    email_link_token: 'eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOjd9.c2ln',
    ...changes,
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

export function signToken(claims: Record<string, unknown> = sampleClaims(), key = secret): string {
  return jwt.sign(claims, key, { algorithm: 'HS256', noTimestamp: true })
}

/** Header and payload as given, byte for byte, signed with HS256 unless told otherwise. */
export function forgeToken(
  header: unknown,
  payload: string | Buffer,
  options: { key?: string; hash?: string } = {},
): string {
  const head = Buffer.from(JSON.stringify(header)).toString('base64url')
  const input = `${head}.${Buffer.from(payload).toString('base64url')}`
  const signature = createHmac(options.hash ?? 'sha256', options.key ?? secret)
    .update(input)
    .digest('base64url')
  return `${input}.${signature}`
}
