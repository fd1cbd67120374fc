/**
 * Owns the wire: the claims of a token, the shape of an answer, and the one table from failure code to answer. One file,
 * although a long one: callers rely on all of it, so what changes here is a change for them.
 */
import { z } from 'zod'
import {
  type ClaimFault,
  type ClaimReason,
  claimReasons,
  type Detail,
  type FailureCode,
  MailerError,
} from './errors.ts'

/** `null` and `""` mean absent everywhere in a token. */
const absent = (value: unknown) => (value === null || value === '' ? undefined : value)
const optionalText = (description: string) =>
  z.preprocess(absent, z.string().optional()).describe(description)

/** The claims the service itself knows. Everything else is free data for the mail's own contract. */
export const claimsSchema = z.looseObject({
  user_email: z.string().min(1).describe('one plain address: refused rather than repaired'),
  user_aut_key: optionalText('the access key or one-time code in the mail'),
  user_aut_key_or_otp: optionalText('the same as `user_aut_key`'),
  email_link: optionalText('the whole link, https, at most 4,000 characters'),
  email_link_url: optionalText('instead: the first half of the link, which ends with `/` or `=`'),
  email_link_token: optionalText('and its second half'),
  email_link_exp: z
    .preprocess(absent, z.number().optional())
    .describe('when the link or the code stops working, in seconds since 1970'),
  user_name: optionalText('how to address the reader'),
  locale: optionalText('the language of the mail, such as `it` or `it-IT`'),
  retry_suppressed: z
    .preprocess(absent, z.boolean().optional())
    .describe('`true`: send although a mail to this address has bounced'),
  jti: optionalText('what makes the token one of a kind; without it the whole token does'),
})
export type Claims = z.infer<typeof claimsSchema>

/** Body of a POST. */
export const postSchema = z.object({ token: z.string().min(1) })

interface Failure {
  readonly status: number
  readonly error: 1 | 2
  readonly msg: string
  /** For people, in the reference and in the API description. */
  readonly meaning: string
}

const badToken = { status: 401, error: 1, msg: 'Problem with token' } as const
const notSent = { error: 2, msg: 'Could not send' } as const

export const failures = {
  token_malformed: { ...badToken, meaning: 'not a JWT, or one with a header or a payload we refuse' },
  token_signature: {
    ...badToken,
    meaning: "signed with another key, or with another algorithm than the key's",
  },
  token_expired: { ...badToken, meaning: '`exp` has passed' },
  token_not_yet_valid: { ...badToken, meaning: '`nbf` or `iat` lies in the future' },
  claims_invalid: {
    status: 422,
    error: 1,
    msg: 'Problem with token',
    meaning: 'a claim is missing or wrong; `claim` names it and `reason` says why',
  },
  keys_unavailable: {
    status: 503,
    ...notSent,
    meaning: "the app's key set (JWKS) could not be fetched; repeat the same token",
  },
  mail_unknown: { status: 404, error: 1, msg: 'Unknown mail', meaning: 'there is no such app or kind' },
  not_found: { status: 404, error: 1, msg: 'Not found', meaning: 'no such path' },
  method_not_allowed: {
    status: 405,
    error: 1,
    msg: 'Method not allowed',
    meaning: 'only GET with a token in the path, only POST without',
  },
  read_only: {
    status: 403,
    error: 1,
    msg: 'Read only',
    meaning: "the operator's page may change nothing",
  },
  bad_request: {
    status: 400,
    error: 1,
    msg: 'Bad request',
    meaning: 'not HTTP, not a JSON body with `token` sent as `application/json`, or a prefetch',
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
  suppressed: {
    status: 422,
    error: 2,
    msg: 'Suppressed',
    meaning:
      'a mail to this address has bounced, or an operator has suppressed it, so none is sent; `retry_suppressed` tries all the same',
  },
  refused: { status: 502, ...notSent, meaning: 'the relay refused sender, recipient or message for good' },
  expired: { status: 502, ...notSent, meaning: "the mail's link had died before the mail could be sent" },
  relay_unavailable: {
    status: 503,
    ...notSent,
    meaning: 'the service is stopping or has too much to do, and has not stored the mail',
  },
  store_unavailable: { status: 503, ...notSent, meaning: 'the outbox could not be used' },
  store_unknown: {
    status: 503,
    error: 2,
    msg: 'May still be sent',
    meaning: 'the answer of the outbox was lost; repeat the same token, which cannot double the mail',
  },
  internal: { status: 500, ...notSent, meaning: 'a bug of ours' },
} as const satisfies Record<FailureCode, Failure>

// oxlint-disable-next-line no-unsafe-type-assertion -- `satisfies` above holds the keys to the union
export const failureCodes = Object.keys(failures) as FailureCode[]

export const isFailureCode = (word: string): word is FailureCode => Object.hasOwn(failures, word)

export const answerSchema = z.object({
  error: z
    .union([z.literal(0), z.literal(1), z.literal(2)])
    .describe('0 accepted, 1 wrong request, 2 not sent'),
  msg: z.string().describe('a fixed sentence for people'),
  code: z.enum(['sent', 'queued', ...failureCodes]).describe('what programs decide by'),
  id: z.string().optional().describe('when a mail exists: its name under `/deliveries`'),
  repeated: z
    .literal(true)
    .optional()
    .describe('the answer is that of an earlier request: this one sent nothing'),
  hint: z
    .string()
    .optional()
    .describe(
      'with `mail_unknown`: which apps or kinds there are; with `read_only`: how to allow changes; of a page of the operator: which token opens it',
    ),
  claim: z.string().optional().describe('with `claims_invalid`: the claim that is missing or wrong'),
  reason: z.enum(claimReasons).optional().describe('with `claims_invalid`: what is wrong with it'),
  claims: z
    .array(z.string())
    .optional()
    .describe('with `claims_invalid`: all claims that are missing or wrong, in the token and for its mail'),
})
export type Answer = Readonly<z.infer<typeof answerSchema>>

const time = z.iso.datetime().nullable()
const state = z.enum(['sending', 'queued', 'sent', 'dead'])
export const deliverySchema = answerSchema.extend({
  code: state,
  id: z.string(),
  app: z.string(),
  kind: z.string(),
  state,
  attempts: z.number().int(),
  detail: z.string().nullable().describe('the reason of this state, in one fixed word'),
  relay: z.string().nullable(),
  feedback: z
    .enum(['delayed', 'delivered', 'bounced', 'suppressed_by_relay', 'complained'])
    .optional()
    .describe('what the relay has reported since, where it reports'),
  bounce: z.enum(['hard', 'soft']).optional().describe('with `bounced`: whether there is no such address'),
  created: time,
  done: time,
  expires: time,
})

export type AcceptedAnswer = Answer & { readonly code: 'sent' | 'queued'; readonly id: string }

/** The answer to a mail that is sent, or stored to be sent. Its status is 200 or 202. */
export function acceptedAnswer(code: AcceptedAnswer['code'], id: string): AcceptedAnswer {
  return { error: 0, msg: code === 'sent' ? 'Ok' : 'Queued', code, id }
}

/** The answer to anything thrown. What is not a `MailerError` is a bug of ours, and says nothing. */
export function failureAnswer(error: unknown): { status: number; answer: Answer } {
  const failure = error instanceof MailerError ? error : new MailerError('internal')
  const { code, id, hint } = failure
  const { status, error: wire, msg } = failures[code]
  const answer = {
    error: wire,
    msg: inWords(failure, msg),
    code,
    ...(id !== undefined && { id }),
    ...(hint !== undefined && { hint }),
  }
  return { status, answer: code === 'claims_invalid' ? { ...answer, ...claimFault(failure, msg) } : answer }
}

/** For the caller who can mend it. Other reasons are for the log only. */
const causeWords: Partial<Record<Detail, string>> = {
  exp: 'exp must be a number, in seconds since 1970',
  nbf: 'nbf must be a number, in seconds since 1970',
  iat: 'iat must be a number, in seconds since 1970',
  content_type: 'the Content-Type must be application/json',
  body: 'the body must be JSON such as {"token":"…"}',
  prefetch: 'a prefetch sends no mail',
  host: 'the header Host is missing, or is no name of a host',
  foreign_name: 'in development the service answers to localhost and to HOST only',
  origin: 'a page of another site may not ask this',
  proxy_http:
    'the proxy got https and speaks plain http to this service; let it use https (at Cloudflare: mode Full)',
}

function inWords({ code, reason }: MailerError, msg: string): string {
  const explains = code === 'token_malformed' || code === 'bad_request'
  const words = explains && reason !== undefined ? causeWords[reason] : undefined
  return words === undefined ? msg : `${msg}: ${words}`
}

const reasonWords: Record<ClaimReason, string> = {
  missing: 'is missing',
  type: 'is of the wrong type',
  length: 'is too long',
  control: 'holds a control character',
  address: 'is not one plain address',
  key: 'is not a key that can be shown',
  link: 'is not a link that this app may mail',
  size: 'makes the mail too large',
  time: 'is not a time that can be meant',
}
/** Of one answer; the rest, as of a long list, is counted. */
const maxNamed = 20

/** Names and fixed words only: no value of a claim leaves with an answer. */
function claimFault({ faults }: MailerError, msg: string): Partial<Answer> {
  const [first] = faults
  if (!first) return {}
  const named = faults.slice(0, maxNamed).map(explainFault).join('; ')
  const more = faults.length > maxNamed ? `; and ${faults.length - maxNamed} more` : ''
  return {
    msg: `${msg}: ${named}${more}`,
    claim: first.claim,
    reason: first.reason,
    claims: [...new Set(faults.map(({ claim }) => claim))],
  }
}

/** `email_link_url is not a link that this app may mail: end it with / or =` */
function explainFault({ claim, reason, advice }: ClaimFault): string {
  return `${claim} ${reasonWords[reason]}${advice === undefined ? '' : `: ${advice}`}`
}

export const appPattern = /^[a-z][a-z0-9]{0,31}$/
