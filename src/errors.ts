/** Owns the one error class of the project and the union of its codes. What a code means on the wire is in contract.ts. */
import type { Reason } from './message.ts'

export type FailureCode =
  | 'token_malformed'
  | 'token_signature'
  | 'token_expired'
  | 'token_not_yet_valid'
  | 'keys_unavailable'
  | 'claims_invalid'
  | 'mail_unknown'
  | 'not_found'
  | 'method_not_allowed'
  | 'read_only'
  | 'bad_request'
  | 'too_large'
  | 'rate_limited'
  | 'suppressed'
  | 'refused'
  | 'expired'
  | 'relay_unavailable'
  | 'store_unavailable'
  | 'store_unknown'
  | 'internal'

/** What can be wrong with one claim, on the wire and in the log. */
export const claimReasons = [
  'missing',
  'type',
  'length',
  'control',
  'address',
  'key',
  'link',
  'size',
  'time',
] as const
export type ClaimReason = (typeof claimReasons)[number]

/** What is wrong with one claim: its name, never its value. */
export interface ClaimFault {
  readonly claim: string
  readonly reason: ClaimReason
  /** What to do, in fixed words. */
  readonly advice?: string | undefined
}

/** Why something is as it is: a reason, what is wrong with a claim, or the code of the failure that is in the way. */
export type Detail = Reason | ClaimReason | FailureCode

/**
 * What every part throws when it can say why. `faults` name the claims at fault; `claim` and `reason` are the first of
 * them, or `reason` is another word for the log; `cause` is foreign and reaches neither the wire nor the log as text.
 */
export class MailerError extends Error {
  override readonly name = 'MailerError'
  readonly code: FailureCode
  readonly claim: string | undefined
  readonly reason: Detail | undefined
  /** With `claims_invalid`: all of them. */
  readonly faults: readonly ClaimFault[]
  /** With `mail_unknown`: what there is. With `read_only`: how to change that. */
  readonly hint: string | undefined
  /** With `rate_limited`: seconds until a mail may be sent again. */
  readonly retryAfterS: number | undefined
  /** Of the mail that exists all the same, and is dead. */
  readonly id: string | undefined

  constructor(
    code: FailureCode,
    details: {
      reason?: Detail
      faults?: readonly ClaimFault[]
      hint?: string
      retryAfterS?: number
      id?: string
      cause?: unknown
    } = {},
  ) {
    super(code, { cause: details.cause })
    this.code = code
    this.faults = details.faults ?? []
    this.claim = this.faults[0]?.claim
    this.hint = details.hint
    this.reason = details.reason ?? this.faults[0]?.reason
    this.retryAfterS = details.retryAfterS
    this.id = details.id
  }
}

/**
 * Runs work whose errors are told apart by class and words. Their stack traces are not made: strangers can have them
 * thrown, and one costs as much as the check of a signature.
 */
export function withoutStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

export function invalidClaim(claim: string, reason: ClaimReason, advice?: string): MailerError {
  return invalidClaims([{ claim, reason, advice }])
}

export function invalidClaims(faults: readonly ClaimFault[]): MailerError {
  return new MailerError('claims_invalid', { faults })
}
