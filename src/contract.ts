/**
 * Owns the wire: the claims of a token, the shape of an answer, and the one table from failure code to answer.
 */
import { z } from 'zod'
import { type FailureCode, MailerError } from './errors.ts'

/** `null` and `""` mean absent everywhere in a token. */
const absent = (value: unknown) => (value === null || value === '' ? undefined : value)
const optionalText = z.preprocess(absent, z.string().optional())

/** The claims the service itself knows. Everything else is free data for the mail's own contract. */
export const claimsSchema = z.looseObject({
  user_email: z.string().min(1),
  user_aut_key: optionalText,
  user_aut_key_or_otp: optionalText,
  email_link_url: optionalText,
  email_link_token: optionalText,
  user_name: optionalText,
  locale: optionalText,
  jti: optionalText,
})
export type Claims = z.infer<typeof claimsSchema>

/** Body of a POST. */
export const postSchema = z.object({ token: z.string().min(1) })

/** 0 accepted · 1 problem with the request · 2 could not send. */
export type WireCode = 0 | 1 | 2

export interface Answer {
  readonly error: WireCode
  readonly msg: string
  readonly code: FailureCode | 'sent' | 'queued'
  readonly id?: string
}

interface Failure {
  readonly status: number
  readonly error: 1 | 2
  readonly msg: string
  /** For people, in the README and in the API description. */
  readonly meaning: string
}

const badToken = { status: 401, error: 1, msg: 'Problem with token' } as const
const notSent = { error: 2, msg: 'Could not send' } as const

export const failures = {
  token_malformed: { ...badToken, meaning: 'not a JWT, or one with a header or a payload we refuse' },
  token_signature: { ...badToken, meaning: 'signed with another secret or not with HS256' },
  token_expired: { ...badToken, meaning: '`exp` has passed' },
  token_not_yet_valid: { ...badToken, meaning: '`nbf` or `iat` lies in the future' },
  claims_invalid: {
    status: 422,
    error: 1,
    msg: 'Problem with token',
    meaning: 'a claim is missing or wrong; `msg` names it',
  },
  mail_unknown: { status: 404, error: 1, msg: 'Unknown mail', meaning: 'there is no such app or kind' },
  not_found: { status: 404, error: 1, msg: 'Not found', meaning: 'no such path' },
  method_not_allowed: {
    status: 405,
    error: 1,
    msg: 'Method not allowed',
    meaning: 'only GET with a token in the path, only POST without',
  },
  bad_request: {
    status: 400,
    error: 1,
    msg: 'Bad request',
    meaning: 'not HTTP, no JSON body with `token`, or a prefetch',
  },
  too_large: {
    status: 413,
    error: 1,
    msg: 'Too large',
    meaning: 'more than 12 KiB in the URL or 64 KiB in the body',
  },
  rate_limited: {
    status: 429,
    error: 2,
    msg: 'Too many mails',
    meaning: 'too many mails to this recipient or of this app',
  },
  refused: { status: 502, ...notSent, meaning: 'the relay refused sender, recipient or message for good' },
  expired: { status: 502, ...notSent, meaning: "the mail's link had died before the mail could be sent" },
  relay_unavailable: {
    status: 503,
    ...notSent,
    meaning: 'the service is stopping and has not stored the mail',
  },
  store_unavailable: { status: 503, ...notSent, meaning: 'the outbox could not be written' },
  internal: { status: 500, ...notSent, meaning: 'a bug of ours' },
} as const satisfies Record<FailureCode, Failure>

/** The answer to anything thrown. What is not a `MailerError` is a bug of ours, and says nothing. */
export function failureAnswer(error: unknown): { status: number; answer: Answer } {
  const code = error instanceof MailerError ? error.code : 'internal'
  const { status, error: wire, msg } = failures[code]
  const claim = code === 'claims_invalid' && error instanceof MailerError ? error.claim : undefined
  return { status, answer: { error: wire, msg: claim === undefined ? msg : `${msg}: ${claim}`, code } }
}
