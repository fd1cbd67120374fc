/** Owns what comes back from the service: bounded, checked, and turned into a value. */
import { parseObject } from './sign.ts'

/** The service has the same list in src/errors.ts, and a test holds them together: this package imports nothing of it. */
export const serviceFailureCodes = [
  'token_malformed',
  'token_signature',
  'token_expired',
  'token_not_yet_valid',
  'keys_unavailable',
  'claims_invalid',
  'mail_unknown',
  'not_found',
  'method_not_allowed',
  'read_only',
  'bad_request',
  'too_large',
  'rate_limited',
  'suppressed',
  'refused',
  'expired',
  'relay_unavailable',
  'store_unavailable',
  'store_unknown',
  'internal',
] as const
export type ServiceFailureCode = (typeof serviceFailureCodes)[number]

/** Likewise. */
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

/**
 * Why there is no mail: a code of the service, or one of the client's own.
 *
 *   unreachable  no connection, or it broke before the answer
 *   timeout      no answer in time
 *   aborted      by the caller's signal
 *   bad_answer   what answered is no jwt-mailer
 */
export type ClientFailureCode = ServiceFailureCode | 'unreachable' | 'timeout' | 'aborted' | 'bad_answer'

export interface ClientFailure {
  readonly ok: false
  readonly code: ClientFailureCode
  /** May the same call succeed later? */
  readonly retryable: boolean
  /** With `rate_limited`: seconds until another mail may be sent. */
  readonly retryAfterS?: number
  /** The service's own sentence and hint, for a log or a person: programs decide by `code`. */
  readonly msg?: string
  readonly hint?: string
  /** With `claims_invalid`: which claim is missing or wrong, why, and the names of all of them. */
  readonly claim?: string
  readonly reason?: ClaimReason
  readonly claims?: readonly string[]
  /** With `refused` and `expired`, where the mail is known: what `status` takes. */
  readonly id?: string
  /** An earlier request with the same idempotency key has this answer: this one sent nothing. */
  readonly repeated?: true
}

const maxAnswerBytes = 64 * 1024

/** `expired` is not among them: the mail's own link is over. */
const passing = new Set<ClientFailureCode>([
  'unreachable',
  'timeout',
  'keys_unavailable',
  'rate_limited',
  'relay_unavailable',
  'store_unavailable',
  'store_unknown',
  'internal',
])
export function failure(code: ClientFailureCode): ClientFailure {
  return { ok: false, code, retryable: passing.has(code) }
}

export interface Accepting {
  readonly ok: true
  /** Of the answer: not yet checked. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Rejects when the connection breaks. */
export async function readAnswer(response: Response): Promise<Accepting | ClientFailure> {
  const answer = parseObject(await readBounded(response))
  // a router in front of the service answers for one that is away with a page of its own
  if (!answer || typeof answer['error'] !== 'number')
    return failure(response.status >= 500 ? 'unreachable' : 'bad_answer')
  if (answer['error'] === 0 && response.ok) return { ok: true, fields: answer }
  const code = answer['code']
  if (!isServiceCode(code)) return failure('bad_answer')
  return {
    ...failure(code),
    ...wordsIn(answer),
    ...retryAfter(response),
    ...(code === 'claims_invalid' && claimsIn(answer)),
    ...idIn(answer),
    ...repeatedIn(answer),
  }
}

async function readBounded({ body }: Response): Promise<string> {
  const chunks: ReadableStream<Uint8Array> | null = body
  if (!chunks) return ''
  const decoder = new TextDecoder()
  let text = ''
  // leaving the loop closes the connection
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > maxAnswerBytes) return ''
  }
  return text
}

function isServiceCode(code: unknown): code is ServiceFailureCode {
  return serviceFailureCodes.some((one) => one === code)
}

function retryAfter({ headers }: Response): { retryAfterS?: number } {
  const seconds = Number(headers.get('retry-after') ?? NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterS: seconds } : {}
}

function wordsIn({ msg, hint }: Record<string, unknown>): Pick<ClientFailure, 'msg' | 'hint'> {
  return { ...(typeof msg === 'string' && { msg }), ...(typeof hint === 'string' && { hint }) }
}

function idIn({ id }: Record<string, unknown>): { id?: string } {
  return typeof id === 'string' ? { id } : {}
}

export function repeatedIn({ repeated }: Readonly<Record<string, unknown>>): { repeated?: true } {
  return repeated === true ? { repeated } : {}
}

function claimsIn({ claim, reason, claims }: Record<string, unknown>): Partial<ClientFailure> {
  return {
    ...(typeof claim === 'string' && { claim }),
    ...(isClaimReason(reason) && { reason }),
    ...(Array.isArray(claims) && { claims: claims.map(String) }),
  }
}

function isClaimReason(reason: unknown): reason is ClaimReason {
  return claimReasons.some((one) => one === reason)
}
