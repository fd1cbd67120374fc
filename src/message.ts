/**
 * Owns the types through which the parts meet, and with them the vocabulary.
 *
 *   token      the signed string in the request
 *   claims     what a verified token says
 *   link token the caller's inner token, opaque to us
 *   template   one kind of mail in one language, compiled
 *   message    one rendered mail for one recipient
 *   lease      the right of one process to try one stored mail, for a minute
 *   relay      an SMTP server or API we hand mail to
 *   transport  the code that talks to one relay
 *   receipt    what became of one attempt to hand a message to a relay
 *   settlement what a receipt means for the stored mail: sent, dead, or queued for another try
 *   status     where a stored mail stands: sending, queued, sent or dead
 *   reason     the fixed word that says why, in receipts, statuses, failures and the log
 */

/**
 * A code of the system, of TLS or of a database, such as `ECONNREFUSED` or `57P01`. The type holds capitals and digits
 * only, so that a misspelt reason of ours does not pass for one.
 */
export type SystemCode = Uppercase<string>

/** Why a relay took a mail or did not, or why it cannot be used. docs/relays.md says what each one means. */
export type RelayReason =
  | 'accepted'
  | 'sender'
  | 'recipient'
  | 'message'
  | 'size'
  | 'policy'
  | 'quota'
  | 'relay_denied'
  | 'connect'
  | 'dns'
  | 'tls'
  | 'login'
  | 'login_not_offered'
  | 'greeting'
  | 'timeout'
  | 'protocol'
  | 'unavailable'
  | 'too_many'
  | 'queue_full'
  | 'queue_slow'
  | 'resting'
  | 'busy'
  | 'breaker_open'
  | 'closing'

/** Why the store cannot be used, or did not take an operation. */
export type StoreReason =
  | 'starting'
  | 'closed'
  | 'down'
  | 'busy'
  | 'timeout'
  | 'thread'
  | 'schema_newer'
  | 'gone'
  | 'unreachable'
  | 'unknown'
  | 'too_many'
  | 'internal'
  | `sqlite_${number}`
  | SystemCode

/** Why a stored mail stands as it does, beside what the relays said. */
export type StatusReason =
  | 'expired'
  | 'undone'
  | 'handed_back'
  | 'given_up'
  | 'erased'
  | 'unreadable'
  | 'bad_row'
  | 'internal'
  | 'other'

/** What is wrong with a request or its token; what is wrong with a claim is a `ClaimReason`. */
export type RequestReason =
  | 'size'
  | 'header'
  | 'payload'
  | 'malformed'
  | 'exp'
  | 'nbf'
  | 'iat'
  | 'no key'
  | 'invalid signature'
  | 'invalid algorithm'
  | 'jwt signature is required'
  | 'no bearer token'
  | 'no signature'
  | 'audience'
  | 'stale'
  | 'topic'
  | 'certificate'
  | 'admin token'
  | 'foreign_name'
  | 'host'
  | 'http'
  | 'plain_http'
  | 'proxy_http'
  | 'content_type'
  | 'body'
  | 'origin'
  | 'prefetch'

/** Why a document cannot be fetched: the key set of an app. */
export type FetchReason =
  | 'timeout'
  | 'redirect'
  | 'status'
  | 'size'
  | 'body'
  | 'connect'
  | 'unavailable'
  | 'internal'
  | SystemCode

export type Reason = RelayReason | StoreReason | StatusReason | RequestReason | FetchReason

/** A display name and one address that has passed `checkAddress` (or the configuration). */
export interface Mailbox {
  readonly name: string
  readonly address: string
}

/** A run of a body that is the same in every mail of its kind: always the same object, so its encoding can be kept. */
export interface Literal {
  readonly literal: string
}

/** A body in the pieces it is made of: what its kind shares, and what is this mail's own. */
export type Body = readonly (Literal | string)[]

export interface Message {
  /** Stable over retries: 1 to 64 of `[A-Za-z0-9_-]`. The Message-ID is made from it. */
  readonly id: string
  readonly app: string
  readonly kind: string
  /** BCP 47 tag of the mail's language, as the catalogue spells it. */
  readonly locale: string
  readonly from: Mailbox
  readonly replyTo?: string | undefined
  readonly to: Mailbox
  readonly subject: string
  readonly text: string
  /** `joinBody` makes one text of it. */
  readonly html: Body
  readonly date: Date
}

/**
 * sent      the relay answered 2xx to the whole message
 * refused   the relay said no for good, to the mail or to us: trying it again there is pointless
 * deferred  the relay said 4xx: it provably did not take the message
 * unsent    not a byte of the message left us (no connection, no TLS, no login, line full)
 * unknown   the message had started to leave when the connection died: it may have arrived
 */
export type Outcome = 'sent' | 'refused' | 'deferred' | 'unsent' | 'unknown'

export interface Receipt {
  readonly outcome: Outcome
  readonly relay: string
  readonly reason: RelayReason
  /** The SMTP or HTTP status the relay answered, when it answered. Its text quotes addresses and is never kept. */
  readonly reply?: number | undefined
  /** The enhanced code of an SMTP reply (RFC 3463), such as `5.7.1`. */
  readonly enhanced?: string | undefined
  /** The code of the system or of TLS, such as `ECONNREFUSED` or `CERT_HAS_EXPIRED`. */
  readonly cause?: SystemCode | undefined
  /** The relay asked to be left alone for so long. */
  readonly retryAfterMs?: number | undefined
}

/** What one try at a mail must keep to. Durations, counted from the call of `send`: a time would need a clock to be named. */
export interface SendTerms {
  /** Only this relay may have the mail: it may have taken it already. */
  readonly onlyRelay?: string | undefined
  /** A message of which no byte has left after so long must not leave any more. */
  readonly startWithinMs?: number | undefined
  /** The receipt is there after so long, whatever the relay does. */
  readonly endWithinMs?: number | undefined
  /** No request waits for this mail: others go before it, and it goes to whichever relay has room. */
  readonly fromBacklog?: boolean | undefined
}

/** What a transport keeps open. */
export interface PoolUse {
  readonly connections: Readonly<Record<'opening' | 'idle' | 'busy' | 'resetting' | 'leaving', number>>
  /** Mails that wait for a connection. */
  readonly waiting: number
}

/** The port every relay is reached through. What a relay does is a receipt; only a bug of ours rejects. */
export interface Transport {
  readonly name: string
  readonly send: (message: Message, terms?: SendTerms) => Promise<Receipt>
  /** Is the relay reachable and are we welcome? May use what recent mail has shown. `undefined`: all well, else the reason. */
  readonly check: () => Promise<RelayReason | undefined>
  /** How many mails it carries at once, as far as is known now. */
  readonly capacity?: () => number
  /** Where there is a pool: how it is used just now. */
  readonly use?: () => PoolUse
  /** Finishes what is running, gives back what waits, refuses what is new, and closes every connection. */
  readonly close: () => Promise<void>
}

/** The fields of a log line about a try: nothing in them identifies the recipient. */
export type ReceiptFacts = Pick<Receipt, 'relay' | 'outcome' | 'reason' | 'reply' | 'enhanced' | 'cause'>

export function receiptFacts({ relay, outcome, reason, reply, enhanced, cause }: Receipt): ReceiptFacts {
  return {
    relay,
    outcome,
    reason,
    ...(reply !== undefined && { reply }),
    ...(enhanced !== undefined && { enhanced }),
    ...(cause !== undefined && { cause }),
  }
}

export function joinBody(body: Body): string {
  let text = ''
  for (const piece of body) text += typeof piece === 'string' ? piece : piece.literal
  return text
}

/** Codes only, never sentences: those quote hosts and addresses. */
export function isSystemCode(value: unknown): value is SystemCode {
  return typeof value === 'string' && /^[A-Z0-9_]{1,40}$/.test(value)
}

/** The code of a system, TLS or database error, where it has one. */
export function systemCodeOf(error: unknown): SystemCode | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return isSystemCode(code) ? code : undefined
}
