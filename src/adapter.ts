/** Owns what an adapter is: a translator from another system's request for a mail to the claims of a token. */
import { createHash, type KeyObject } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isUtf8 } from 'node:buffer'
import jwt from 'jsonwebtoken'
import type { z } from 'zod'
import type { Answer } from './contract.ts'
import { type Detail, invalidClaim, MailerError } from './errors.ts'

export const systems = ['supabase', 'kratos', 'zitadel', 'logto'] as const
export type System = (typeof systems)[number]

/** How one system may ask for the mails of one app. */
export interface AdapterSettings {
  readonly system: System
  /** The app, or `undefined` for every app that has no settings of its own. */
  readonly app: string | undefined
  /** Any of them opens; the current one first. */
  readonly secrets: readonly string[]
  /** Where links may lead: origins, or, for a system whose links are made here, the address before their path. */
  readonly urls: readonly string[]
  /** The key of the user's data that holds their language. */
  readonly localeKey: string
  /** The system's own text in a neutral frame, instead of our mails. */
  readonly ownTexts: boolean
}

/** A request as it came: the body is not parsed, because its signature is over the bytes. */
export interface ForeignRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Epoch ms. */
  readonly now: number
}

/** One mail that the request asks for, in our words. */
export interface ForeignMail {
  readonly kind: string
  readonly claims: Readonly<Record<string, unknown>>
  /** What makes this mail this one and no other: equal in every repetition of the request. */
  readonly identity: readonly unknown[]
  /** Nothing in `identity` is new each time (a notice without an event id): the same again is meant after some minutes. */
  readonly recurs?: boolean
}

/** A failure as the caller may hear of it: fixed words only. */
export interface ForeignFailure {
  /** For what is counted, and for no answer. */
  readonly reason?: Detail | undefined
  readonly code: Answer['code']
  readonly status: number
  readonly says: string
  readonly retryAfterS: number | undefined
}

/** `body`: an object goes out as JSON. */
export interface ForeignAnswer {
  readonly status: number
  readonly body: object | string
  readonly headers?: Readonly<Record<string, string>>
}

/** One system, for one app. */
export interface Adapter {
  /** Throws `token_signature` when the request does not come from the system. Sees the bytes before anything parses them. */
  authorise(request: ForeignRequest): void
  /** Throws a `MailerError` when it cannot tell which mails are meant. */
  readMails(body: unknown, request: ForeignRequest): readonly ForeignMail[]
  /** The answer when every mail is stored. */
  readonly success: ForeignAnswer
  answerFailure(failure: ForeignFailure): ForeignAnswer
}

/** Throws `bad_request` unless the bytes are JSON in strict UTF-8. */
export function parseBody(body: Buffer): unknown {
  try {
    if (isUtf8(body)) return JSON.parse(body.toString())
  } catch {
    // the message of the error would quote the body
  }
  throw new MailerError('bad_request', { reason: 'body' })
}

/** The body as the schema reads it. Throws `bad_request`, whatever else is wrong with it: no value leaves with an answer. */
export function readForeign<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const read = schema.safeParse(body)
  if (read.success) return read.data
  throw new MailerError('bad_request', { reason: 'body' })
}

/**
 * The link, where it leads to one of `origins`; without any, `link_origins` of the app decides alone. Throws
 * `claims_invalid`.
 */
export function checkForeignLink(
  link: string | null | undefined,
  origins: readonly string[],
): string | undefined {
  if (link === null || link === undefined || link === '') return undefined
  const origin = URL.parse(link)?.origin
  if (origins.length === 0 || (origin !== undefined && origins.includes(origin))) return link
  throw invalidClaim('email_link', 'link', 'it leads to another origin than the one that is configured')
}

/** A language tag, or `undefined` for whatever else another system puts in its place. */
export function localeOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}$/.test(value)
    ? value
    : undefined
}

const dayS = 86_400
const recursAfterS = 600

/** The token that the sender would have written, signed with a key that only this process knows. */
export function mintForeign(system: System, mail: ForeignMail, key: KeyObject, now: number): string {
  const { claims, identity, recurs = false } = mail
  const digest = createHash('sha256').update(JSON.stringify(identity)).digest('base64url')
  const exp = Math.floor(now / 1000) + (recurs ? recursAfterS : dayS)
  return jwt.sign({ ...claims, jti: `${system}:${digest}`, exp }, key, {
    algorithm: 'HS256',
    noTimestamp: true,
  })
}
