/**
 * Owns how a foreign request proves who sent it: an HMAC over its raw bytes and its time, or a secret or a login in a header. All
 * comparisons take the same time wherever two texts differ.
 */
import { createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { MailerError } from './errors.ts'

const toleranceS = 300

/** Standard Webhooks 1.0.0 (standardwebhooks.com), and Svix, which writes the same under other names. */
export function checkStandardWebhook(
  headers: IncomingHttpHeaders,
  body: Buffer,
  keys: readonly KeyObject[],
  now: number,
): void {
  const header = (name: string) => textOf(headers[`webhook-${name}`] ?? headers[`svix-${name}`])
  const [id, time] = [header('id'), header('timestamp')]
  if (id === '' || id.includes('.')) throw refusal('no signature')
  checkTime(time, now)
  // Supabase joins several signatures with a comma and a space, where the specification has a space
  const signatures = header('signature')
    .split(/[ ]+/, maxSignatures)
    .flatMap((entry) => /^v1,([A-Za-z0-9+/]+={0,2}),?$/.exec(entry)?.[1] ?? [])
  checkHmac(`${id}.${time}.`, body, keys, 'base64', signatures)
}

/** Stripe's scheme: `t=<seconds>,v1=<hex>`, several `v1` while a key is being replaced. */
export function checkTimedSignature(
  header: string | string[] | undefined,
  body: Buffer,
  keys: readonly KeyObject[],
  now: number,
): void {
  const parts = textOf(header).split(',', maxSignatures)
  const valuesOf = (name: string) =>
    parts.flatMap((part) => {
      const trimmed = part.trim()
      return trimmed.startsWith(`${name}=`) ? trimmed.slice(name.length + 1) : []
    })
  const [time = '', ...more] = valuesOf('t')
  if (more.length > 0) throw refusal('no signature')
  checkTime(time, now)
  checkHmac(`${time}.`, body, keys, 'hex', valuesOf('v1'))
}

/** `Authorization: Bearer <secret>`. */
export function checkBearer(headers: IncomingHttpHeaders, secrets: readonly string[]): void {
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (given === undefined) throw refusal('no bearer token')
  if (!anyEqual(secrets, [given])) throw refusal('invalid signature')
}

/** `Authorization: Basic`, for one of these `user:password`. */
export function basicCheck(logins: readonly string[]): (headers: IncomingHttpHeaders) => void {
  const known = logins.map(digest)
  return ({ authorization = '' }) => {
    const given = /^Basic +([A-Za-z0-9+/=]{1,1000})$/i.exec(authorization)?.[1]
    if (given === undefined) throw refusal('no signature')
    if (!anyDigest(known, [Buffer.from(given, 'base64').toString()])) throw refusal('invalid signature')
  }
}

/** What makes those send their login who send none unless they are asked for it. */
export const basicChallenge = 'Basic realm="feedback", charset="UTF-8"'

const maxSignatures = 20

function checkTime(time: string, now: number): void {
  if (!/^\d{1,12}$/.test(time)) throw refusal('no signature')
  if (Math.abs(now / 1000 - Number(time)) > toleranceS) throw refusal('stale')
}

function checkHmac(
  prefix: string,
  body: Buffer,
  keys: readonly KeyObject[],
  encoding: 'base64' | 'hex',
  signatures: readonly string[],
): void {
  const expected = keys.map((key) => createHmac('sha256', key).update(prefix).update(body).digest(encoding))
  if (!anyEqual(expected, signatures))
    throw refusal(signatures.length === 0 ? 'no signature' : 'invalid signature')
}

export const anyEqual = (expected: readonly string[], given: readonly string[]) =>
  anyDigest(expected.map(digest), given)

/** They are of one length. */
const digest = (text: string) => hash('sha256', text, 'buffer')

function anyDigest(known: readonly Buffer[], given: readonly string[]): boolean {
  let found = false
  for (const text of given.map(digest)) for (const one of known) if (timingSafeEqual(one, text)) found = true
  return found
}

function textOf(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : ''
}

function refusal(reason: 'no signature' | 'invalid signature' | 'no bearer token' | 'stale'): MailerError {
  return new MailerError('token_signature', { reason })
}
