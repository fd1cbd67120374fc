/** Owns when two requests are for the same mail: the id they share, for how long, and what the message of it is called. */
import { hash } from 'node:crypto'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** No token may say more than ten years as its `exp`: no row is kept for longer. */
const maxWindowMs = 3653 * dayMs

export interface MailIdentity {
  readonly app: string
  readonly kind: string
  readonly jti?: string | undefined
  readonly token: string
}

/**
 * The mail's id: 32 characters of `[A-Za-z0-9_-]`, from app, kind and `jti`, or without it the token's signing input.
 * The signature is left out: one signature has several spellings.
 */
export function mailId({ app, kind, jti, token }: MailIdentity): string {
  const identity = jti === undefined ? ['input', token.slice(0, token.lastIndexOf('.'))] : ['jti', jti]
  // Four characters hold three bytes: this is the same as cutting the hash after 24 bytes.
  return hash('sha256', JSON.stringify([app, kind, ...identity]), 'base64url').slice(0, 32)
}

/**
 * The message's own id, and so its Message-ID: equal for every try of one mail, so that a rare duplicate is recognised
 * as one; another when the same token begins a new mail, or mailboxes that drop duplicates would swallow that.
 */
export function messageIdOf({ id, created }: MailOfMessage): string {
  return `${id}-${created.toString(36)}`
}

export interface MailOfMessage {
  readonly id: string
  /** When the mail was accepted, epoch ms. */
  readonly created: number
}

/** The mail that a message is of, or `undefined` for what `messageIdOf` has not made. */
export function mailOfMessage(messageId: string): MailOfMessage | undefined {
  const [, id, time] = /^([\w-]{1,64})-([0-9a-z]{6,9})$/.exec(messageId) ?? []
  return id === undefined || time === undefined ? undefined : { id, created: Number.parseInt(time, 36) }
}

export interface WindowOptions {
  readonly jti?: string | undefined
  /** The wrapping token's own `exp`, seconds since the epoch. */
  readonly exp?: number | undefined
  /** Does the mail carry a link or a key? */
  readonly carriesSecret: boolean
  readonly now: number
}

/** How long, in ms, the same token yields the same mail. */
export function windowMs({ jti, exp, carriesSecret, now }: WindowOptions): number {
  if (jti === undefined) return carriesSecret ? dayMs : 5 * minuteMs
  if (exp === undefined) return 7 * dayMs
  // A token is accepted for a minute after its end, because clocks differ.
  return Math.min(Math.max(Math.ceil(exp * 1000 - now), 0) + minuteMs, maxWindowMs)
}
