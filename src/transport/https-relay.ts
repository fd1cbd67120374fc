/**
 * Owns the one way of speaking HTTPS to a relay: one request per mail over kept connections.
 *
 * node:https and not fetch, because only the request itself shows when its body begins to leave: a mail that failed
 * before may go elsewhere, one that failed after may have arrived. The body is made and handed over when the connection
 * stands. What is a relay's own (`RelayApi`) is how a mail is written there and what an answer means.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request, type RequestOptions } from 'node:https'
import type { Message, Outcome, PoolUse, Receipt, RelayReason, SendTerms, Transport } from '../message.ts'
import { type ApiAnswer, isPage, type Meaning, readBody, waitAskedFor } from './api-answer.ts'
import { deadlines, isLate, outcomeOfSilence, type Timed } from './deadlines.ts'
import { connectionTrouble, whenConnected } from './https-connection.ts'
import { relayCheck } from './relay-check.ts'
import type { Trouble } from './smtp-reply.ts'

/** A request without its place. */
export interface ApiRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** What is a relay's own. */
export interface RelayApi {
  /** Where mails are posted. */
  readonly path: string
  readonly write: (message: Message) => ApiRequest
  readonly meaningOf: (answer: ApiAnswer) => Meaning
  /** The API knows a mail that it is given twice, by our id: what ended unknown can be repeated at once. */
  readonly knowsRepeats?: boolean
  /** The end of the window in which no more is taken, in epoch ms, where the API names it beside Retry-After. */
  readonly windowEnd?: (answer: ApiAnswer) => number | undefined
  /** The cheapest question that needs the credentials of a mail, and sends nothing. */
  readonly question: () => { readonly path: string; readonly method: 'GET' | 'POST' } & Partial<ApiRequest>
  /** `undefined`: we are let in. */
  readonly troubleIn: (answer: ApiAnswer) => RelayReason | undefined
}

export interface HttpsRelayOptions {
  /** The relay's name in logs and receipts. */
  readonly name: string
  /** `https://host`, without a slash at its end. */
  readonly baseUrl: string
  readonly connections?: number
  /** Mails that may wait for a connection; the next one is told at once that there is no room. */
  readonly maxWaiting?: number
  /** The longest a mail may take here, waiting included, when its terms do not say. */
  readonly attemptMs?: number
  /** The longest for the whole answer to a check. */
  readonly checkMs?: number
  /** A clock for durations, and one for the dates that an API names. */
  readonly now?: () => number
  readonly epoch?: () => number
  /** For a person who asks: the relay's own words about a mail it did not take, behind the status. They quote addresses. */
  readonly onRefusal?: ((response: string) => void) | undefined
}

/** One mail on its way. */
interface Job extends Timed {
  readonly call: ClientRequest
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (bug: unknown) => void
  /** The answer has begun: its status counts, also when its body does not come. */
  answer: { readonly since: number; readonly message: IncomingMessage } | undefined
  ended: boolean
}

const idleMs = 30_000
/** What explains a status comes right behind it. */
const bodyMs = 2_000
/** With less time than this nothing is repeated. */
const leastMs = 500
const tlsOptions = { minVersion: 'TLSv1.2', rejectUnauthorized: true } as const satisfies RequestOptions

export function httpsRelay(api: RelayApi, options: HttpsRelayOptions): Transport {
  const { name, baseUrl, connections = 10, maxWaiting = 1_000, attemptMs = 20_000 } = options
  const { checkMs = 5_000, now = () => performance.now(), epoch = Date.now } = options
  const agent = new Agent({ keepAlive: true, maxSockets: connections, timeout: idleMs, ...tlsOptions })
  const jobs = new Set<Job>()
  const closing = new AbortController()
  let restUntil = -Infinity
  const relay = relayCheck(ask, now)
  const time = deadlines({ attemptMs, now, sweep, drain })

  async function send(message: Message, terms?: SendTerms): Promise<Receipt> {
    const timed = time.begin(terms)
    const receipt = await sendOnce(message, timed)
    const isRepeated = api.knowsRepeats && receipt.outcome === 'unknown' && timed.endBy - now() > leastMs
    if (!isRepeated) return receipt
    const second = await sendOnce(message, { ...timed, startBy: timed.endBy })
    // whatever else the relay says about the second one, it may have the first
    return second.outcome === 'sent' ? second : receipt
  }

  function sendOnce(message: Message, timed: Timed): Promise<Receipt> {
    const unsent = (reason: RelayReason, more: Partial<Receipt> = {}): Promise<Receipt> =>
      Promise.resolve({ outcome: 'unsent', relay: name, reason, ...more })
    const restMs = Math.ceil(restUntil - now())
    if (time.isClosing()) return unsent('closing')
    if (restMs > 0) return unsent('resting', { retryAfterMs: restMs })
    if (jobs.size >= connections + maxWaiting) return unsent('queue_full')
    return new Promise((resolve, reject) => {
      const call = request(`${baseUrl}${api.path}`, { method: 'POST', agent })
      const job: Job = { ...timed, call, resolve, reject, answer: undefined, ended: false }
      jobs.add(job)
      call.on('response', (answer) => takeAnswer(job, answer))
      call.on('error', (error) => lose(job, connectionTrouble(error)))
      call.once('close', () => {
        lose(job, { reason: 'connect' })
        jobs.delete(job)
        time.noteEnd()
      })
      whenConnected(call, () => transmit(job, message))
    })
  }

  function transmit(job: Job, message: Message): void {
    const { call } = job
    try {
      const { headers, body } = api.write(message)
      for (const [header, value] of Object.entries({ ...ownHeaders, ...headers }))
        call.setHeader(header, value)
      call.setHeader('content-length', Buffer.byteLength(body))
      job.started = true
      call.end(body)
    } catch (bug) {
      job.ended = true
      job.reject(bug)
      call.destroy()
    }
  }

  function takeAnswer(job: Job, message: IncomingMessage): void {
    job.answer = { since: now(), message }
    const reading = readBody(message)
    if (api.meaningOf(headOf(message)).outcome === 'sent') conclude(job, message)
    else void reading.then((body) => conclude(job, message, body))
  }

  function conclude(job: Job, message: IncomingMessage, body?: unknown): void {
    if (job.ended) return
    const answer = { ...headOf(message), body }
    const { outcome, reason } = api.meaningOf(answer)
    if (outcome !== 'sent' && body !== undefined)
      options.onRefusal?.(`${answer.status} ${JSON.stringify(body)}`)
    const isTransient = outcome === 'deferred' || outcome === 'unknown'
    const waitMs = isTransient ? waitAskedFor(answer.headers, epoch(), api.windowEnd?.(answer)) : undefined
    if (waitMs !== undefined) restUntil = Math.max(restUntil, now() + waitMs)
    finish(job, outcome, {
      reason,
      reply: answer.status,
      ...(waitMs !== undefined && { retryAfterMs: waitMs }),
    })
  }

  /** The connection is gone. What has come of an answer is read to its end first. */
  function lose(job: Job, trouble: Trouble): void {
    if (!job.answer) finish(job, outcomeOfSilence(job), trouble)
  }

  /** The first end of a job is the one that counts; others follow from it. */
  function finish(job: Job, outcome: Outcome, trouble: Omit<Receipt, 'outcome' | 'relay'>): void {
    if (job.ended) return
    job.ended = true
    if (outcome === 'sent') relay.succeeded()
    else if (badNews.has(trouble.reason)) relay.failed()
    job.resolve({ outcome, relay: name, ...trouble })
  }

  function sweep(at: number): void {
    for (const job of jobs) {
      const isSlow = job.answer !== undefined && at - job.answer.since >= bodyMs
      if (!isSlow && !isLate(job, at)) continue
      // it waited behind mails that got through: that is no fault of the connection
      giveUp(job, !job.started && relay.succeededSince(job.since) ? 'queue_slow' : 'timeout')
    }
  }

  function giveUp(job: Job, reason: RelayReason): void {
    if (job.answer) conclude(job, job.answer.message)
    else finish(job, outcomeOfSilence(job), { reason })
    job.call.destroy()
  }

  function check(): Promise<RelayReason | undefined> {
    return now() < restUntil ? Promise.resolve('resting') : relay.check()
  }

  /** Beside the pool, so that it waits behind no mail; the deadline is for all of it. */
  async function ask(): Promise<RelayReason | undefined> {
    const { path, method, headers = {}, body = '' } = api.question()
    const late = AbortSignal.timeout(checkMs)
    const signal = AbortSignal.any([late, closing.signal])
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const call = request(
      `${baseUrl}${path}`,
      { method, signal, agent: false, ...tlsOptions, headers: { ...ownHeaders, ...headers } },
      resolve,
    )
    try {
      call.on('error', reject).end(body)
      const message = await promise
      const answer = { ...headOf(message), body: await readBody(message) }
      const trouble = isPage(answer) && answer.status === 200 ? 'protocol' : api.troubleIn(answer)
      if (trouble === undefined) relay.succeeded()
      return trouble
    } catch (error) {
      if (closing.signal.aborted) return 'closing'
      return late.aborted ? 'timeout' : connectionTrouble(error).reason
    } finally {
      call.destroy()
    }
  }

  function drain(): boolean {
    closing.abort()
    for (const job of jobs) if (!job.started) giveUp(job, 'closing')
    if (jobs.size > 0) return false
    agent.destroy()
    return true
  }

  function use(): PoolUse {
    const count = (lists: NodeJS.ReadOnlyDict<readonly unknown[]>) =>
      Object.values(lists).reduce((sum, list) => sum + (list?.length ?? 0), 0)
    const busy = [...jobs].filter(({ started }) => started).length
    const opening = Math.max(count(agent.sockets) - busy, 0)
    return {
      connections: { opening, idle: count(agent.freeSockets), busy, resetting: 0, leaving: 0 },
      waiting: count(agent.requests),
    }
  }

  return { name, send, check, capacity: () => connections, use, close: time.close }
}

const ownHeaders = { 'user-agent': 'jwt-mailer', accept: 'application/json' }

const headOf = ({ statusCode = 0, headers }: IncomingMessage): ApiAnswer => ({ status: statusCode, headers })

const badNews = new Set<RelayReason>(['connect', 'dns', 'tls', 'timeout', 'login', 'unavailable', 'protocol'])
