/**
 * Owns one call of a receiver: signed, over a connection to a checked address, within one deadline. Redirects are not
 * followed, and of an answer nothing counts but its head.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { type SystemCode, systemCodeOf } from '../message.ts'
import { within } from '../timers.ts'
import { type SignedCall, type Webhook, webhookHeaders } from '../webhook.ts'
import { isPrivateLiteral, PrivateAddressError, publicLookup, type Resolve } from './addresses.ts'

// an import by name would cost every service 14 MB, those that call nobody too: http/node-http.ts
const { Agent: HttpAgent, request: httpRequest } = process.getBuiltinModule('node:http')

/** Why a receiver has not taken a call. docs/callbacks.md says what each one means. */
export type CallReason =
  | 'status'
  | 'redirect'
  | 'gone'
  | 'timeout'
  | 'dns'
  | 'tls'
  | 'connect'
  | 'private_address'
  | 'closing'

export type CallResult =
  | { readonly taken: true }
  | {
      readonly taken: false
      readonly reason: CallReason
      readonly reply?: number
      readonly cause?: SystemCode
      /** The receiver asked to be left alone for so long. */
      readonly retryAfterMs?: number
    }

export interface ReceiverOptions {
  /** The longest a call may take, from the look-up of the name to the head of the answer. */
  readonly callMs?: number | undefined
  /** Calls at once. */
  readonly connections?: number
  /** Instead of the system's, for tests. */
  readonly resolve?: Resolve | undefined
  readonly clock?: () => number
}

export interface Receiver {
  /** Never rejects. An abort ends it with `closing`. */
  call(call: SignedCall, signal?: AbortSignal): Promise<CallResult>
  close(): void
}

/** So much of an answer is read over, so that the connection can carry the next call. */
const maxAnswerBytes = 16 * 1024
const answerMs = 1_000
/** Many servers end a connection that is idle for 5 s. */
const idleMs = 4_000
const maxRetryAfterMs = 3_600_000

export function receiver(webhook: Webhook, options: ReceiverOptions = {}): Receiver {
  const { callMs = 15_000, connections = 4, clock = Date.now } = options
  const url = new URL(webhook.url)
  const secure = url.protocol === 'https:'
  const kept = { keepAlive: true, maxSockets: connections, timeout: idleMs }
  const agent = secure
    ? new HttpsAgent({ ...kept, minVersion: 'TLSv1.2', rejectUnauthorized: true })
    : new HttpAgent(kept)
  const lookup = webhook.allowPrivate ? undefined : publicLookup(options.resolve)

  async function call(signed: SignedCall, signal?: AbortSignal): Promise<CallResult> {
    if (lookup && isPrivateLiteral(url)) return { taken: false, reason: 'private_address' }
    const late = AbortSignal.timeout(callMs)
    const either = signal ? AbortSignal.any([late, signal]) : late
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      agent,
      signal: either,
      ...(lookup && { lookup }),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(signed.body),
        'user-agent': 'jwt-mailer',
        ...webhookHeaders(signed, webhook.secrets),
      },
    })
    try {
      return readHead(await answerTo(request, signed.body), clock)
    } catch (error) {
      if (signal?.aborted) return { taken: false, reason: 'closing' }
      return { taken: false, ...(late.aborted ? { reason: 'timeout' } : troubleIn(error)) }
    }
  }

  return { call, close: () => agent.destroy() }
}

/** Resolves with the head of the answer, once its body is over or has been cut off. */
async function answerTo(request: ClientRequest, body: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  request.on('response', resolve).on('error', reject).end(body)
  const answer = await promise
  let bytes = 0
  const ended = new Promise<void>((end) => {
    answer
      .once('end', end)
      .once('close', end)
      .once('error', () => end())
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxAnswerBytes) end()
    })
  })
  await within(answerMs, ended)
  if (!answer.complete) request.destroy()
  return answer
}

function readHead({ statusCode: reply = 0, headers }: IncomingMessage, clock: () => number): CallResult {
  if (reply >= 200 && reply < 300) return { taken: true }
  const failed = { taken: false, reply } as const
  if (reply === 410) return { ...failed, reason: 'gone' }
  if (reply >= 300 && reply < 400) return { ...failed, reason: 'redirect' }
  const retryAfterMs = readRetryAfter(headers['retry-after'], clock())
  return { ...failed, reason: 'status', ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

/** Seconds or a date; an hour at most. */
function readRetryAfter(text = '', now: number): number | undefined {
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return ms > 0 ? Math.min(ms, maxRetryAfterMs) : undefined
}

const dnsCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'ENODATA'])

function troubleIn(error: unknown): { reason: CallReason; cause?: SystemCode } {
  if (error instanceof PrivateAddressError) return { reason: 'private_address' }
  const code = systemCodeOf(error)
  if (code === undefined) return { reason: 'connect' }
  const reason = dnsCodes.has(code) ? 'dns' : /CERT|TLS|SSL|ISSUER|VERIFY/.test(code) ? 'tls' : 'connect'
  return { reason, cause: code }
}
