/** Owns the one error class of the project and the union of its codes. What a code means on the wire is in contract.ts. */
import type { Reason } from './message.ts'

export type FailureCode =
  | 'token_malformed'
  | 'token_signature'
  | 'token_expired'
  | 'token_not_yet_valid'
  | 'claims_invalid'
  | 'mail_unknown'
  | 'not_found'
  | 'method_not_allowed'
  | 'bad_request'
  | 'too_large'
  | 'rate_limited'
  | 'refused'
  | 'expired'
  | 'relay_unavailable'
  | 'store_unavailable'
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
] as const
export type ClaimReason = (typeof claimReasons)[number]

/** Why something is as it is: a reason, what is wrong with a claim, or the code of the failure that is in the way. */
export type Detail = Reason | ClaimReason | FailureCode

/**
 * What every part throws when it can say why. `claim` names the claim at fault (never its value);
 * `reason` is for the log; `cause` is foreign and reaches neither the wire nor the log as text.
 */
export class MailerError extends Error {
  override readonly name = 'MailerError'
  readonly code: FailureCode
  readonly claim: string | undefined
  readonly reason: Detail | undefined
  /** All claims at fault, where there are several. */
  readonly claims: readonly string[] | undefined
  /** With `rate_limited`: seconds until a mail may be sent again. */
  readonly retryAfterS: number | undefined
  /** Of the mail that exists all the same, and is dead. */
  readonly id: string | undefined

  constructor(
    code: FailureCode,
    details: {
      claim?: string
      reason?: Detail
      claims?: readonly string[]
      retryAfterS?: number
      id?: string
      cause?: unknown
    } = {},
  ) {
    super(code, { cause: details.cause })
    this.code = code
    this.claim = details.claim
    this.reason = details.reason
    this.claims = details.claims
    this.retryAfterS = details.retryAfterS
    this.id = details.id
  }
}

export function invalidClaim(claim: string, reason: ClaimReason): MailerError {
  return new MailerError('claims_invalid', { claim, reason })
}
