/**
 * Owns SendGrid's Web API, v3, as a relay: one HTTPS request per mail over kept connections.
 *
 * node:https and not fetch, because only the request itself shows when its body begins to leave: a mail that failed
 * before may go elsewhere, one that failed after may have arrived. The body is handed over when the connection stands.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { TLSSocket } from 'node:tls'
import type { Message, Outcome, Receipt, RelayReason, SendTerms, Transport } from '../message.ts'
import { deadlines, isLate, outcomeOfSilence, type Timed } from './deadlines.ts'
import type { SendgridRelayConfig } from '../relay-config.ts'
import { relayCheck } from './relay-check.ts'
import { causeOf, reasonOf, type Trouble } from './smtp-reply.ts'
import { mailOf, meaningOf, waitAskedFor } from './sendgrid-api.ts'

export interface SendgridOptions
  extends Pick<SendgridRelayConfig, 'baseUrl' | 'apiKey'>,
    Partial<Pick<SendgridRelayConfig, 'connections'>> {
  /** The relay's name in logs and receipts. */
  readonly name: string
  /** Mails that may wait for a connection; the next one is told at once that there is no room. */
  readonly maxWaiting?: number
  /** The longest a mail may take here, waiting included, when its terms do not say. */
  readonly attemptMs?: number
  /** The longest for the whole answer to a check. */
  readonly checkMs?: number
  /** A clock for durations, and one for the dates that SendGrid names. */
  readonly now?: () => number
  readonly epoch?: () => number
}

/** One mail on its way. */
interface Job extends Timed {
  readonly call: ClientRequest
  readonly resolve: (receipt: Receipt) => void
  ended: boolean
}

const idleMs = 30_000
/** Answers are short; what is longer is not read. */
const maxAnswer = 64 * 1024

export function sendgridTransport(options: SendgridOptions): Transport {
  const {
    name,
    apiKey,
    connections = 10,
    maxWaiting = 1_000,
    attemptMs = 20_000,
    checkMs = 5_000,
    now = () => performance.now(),
    epoch = Date.now,
  } = options
  const base = options.baseUrl.replace(/\/+$/, '')
  const secured = { minVersion: 'TLSv1.2', rejectUnauthorized: true } as const
  const agent = new Agent({ ...secured, keepAlive: true, maxSockets: connections, timeout: idleMs })
  /** Beside the pool: a question that gets no answer must not take a connection from the mails. */
  const probes = new Agent({ ...secured, maxSockets: 1 })
  const jobs = new Set<Job>()
  let restUntil = -Infinity
  const relay = relayCheck(askScopes, now)
  const time = deadlines({ attemptMs, now, sweep, drain })

  function send(message: Message, terms?: SendTerms): Promise<Receipt> {
    const timed = time.begin(terms)
    const unsent = (reason: RelayReason, more: Partial<Receipt> = {}): Promise<Receipt> =>
      Promise.resolve({ outcome: 'unsent', relay: name, reason, ...more })
    if (time.isClosing()) return unsent('closing')
    if (timed.since < restUntil) return unsent('resting', { retryAfterMs: restUntil - timed.since })
    if (jobs.size >= connections + maxWaiting) return unsent('queue_full')
    return new Promise((resolve) => {
      const body = Buffer.from(JSON.stringify(mailOf(message)))
      const call = request(`${base}/v3/mail/send`, {
        method: 'POST',
        agent,
        headers: { ...login(), 'content-type': 'application/json', 'content-length': body.length },
      })
      const job: Job = { ...timed, call, resolve, ended: false }
      jobs.add(job)
      call.on('response', (answer) => takeAnswer(job, answer))
      call.on('error', (error) => finish(job, outcomeOfSilence(job), connectionTrouble(error)))
      call.once('close', () => {
        finish(job, outcomeOfSilence(job), { reason: 'connect' })
        jobs.delete(job)
        time.noteEnd()
      })
      whenConnected(call, () => {
        job.started = true
        call.end(body)
      })
    })
  }

  function takeAnswer(job: Job, answer: IncomingMessage): void {
    const status = answer.statusCode ?? 0
    const { outcome, reason } = meaningOf(status)
    const transient = outcome === 'deferred' || outcome === 'unknown'
    const waitMs = transient ? waitAskedFor(answer, epoch()) : undefined
    if (waitMs !== undefined) restUntil = now() + waitMs
    finish(job, outcome, { reason, reply: status, ...(waitMs !== undefined && { retryAfterMs: waitMs }) })
    discard(answer)
  }

  /** The first end of a job is the one that counts; others follow from it. */
  function finish(job: Job, outcome: Outcome, trouble: Omit<Receipt, 'outcome' | 'relay'>): void {
    if (job.ended) return
    job.ended = true
    if (outcome === 'sent') relay.succeeded()
    else if (badNews.has(trouble.reason)) relay.failed()
    job.resolve({ outcome, relay: name, ...trouble })
  }

  const login = () => ({ authorization: `Bearer ${apiKey}`, 'user-agent': 'jwt-mailer' })

  function sweep(at: number): void {
    for (const job of jobs) {
      if (!isLate(job, at)) continue
      // it waited behind mails that got through: that is no fault of the connection
      giveUp(job, !job.started && relay.succeededSince(job.since) ? 'queue_slow' : 'timeout')
    }
  }

  function giveUp(job: Job, reason: RelayReason): void {
    finish(job, outcomeOfSilence(job), { reason })
    job.call.destroy()
  }

  function check(): Promise<RelayReason | undefined> {
    return now() < restUntil ? Promise.resolve('resting') : relay.check()
  }

  /** What the key may do: the cheapest question that needs a valid one, and it sends nothing. */
  function askScopes(): Promise<RelayReason | undefined> {
    return new Promise((resolve) => {
      const call = request(`${base}/v3/scopes`, { agent: probes, headers: login() })
      // over all of it: a timeout of silence is never reached while the answer drips in
      const timer = setTimeout(() => {
        resolve('timeout')
        call.destroy()
      }, checkMs)
      call.once('close', () => clearTimeout(timer))
      call.on('error', (error) => resolve(connectionTrouble(error).reason))
      call.on('response', (answer) => {
        const { outcome, reason } = meaningOf(answer.statusCode === 200 ? 202 : (answer.statusCode ?? 0))
        if (outcome === 'sent') relay.succeeded()
        resolve(outcome === 'sent' || reason === 'too_many' ? undefined : reason)
        discard(answer)
      })
      call.end()
    })
  }

  function drain(): boolean {
    for (const job of jobs) if (!job.started) giveUp(job, 'closing')
    if (jobs.size > 0) return false
    agent.destroy()
    probes.destroy()
    return true
  }

  return { name, send, check, close: time.close }
}

/** Calls back when the connection has passed TLS, and not at all when it does not come to that. */
function whenConnected(call: ClientRequest, callback: () => void): void {
  call.once('socket', (socket) => {
    if (call.destroyed) return
    // a connection that has carried a mail before is let in already, and says nothing more
    if (socket instanceof TLSSocket && socket.authorized) callback()
    else socket.once('secureConnect', callback)
  })
}

/** Read to its end, so that the connection can be kept, but never used. */
function discard(answer: IncomingMessage): void {
  let length = 0
  answer.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > maxAnswer) answer.destroy()
  })
  answer.on('error', () => undefined)
}

const badNews = new Set<RelayReason>(['connect', 'dns', 'tls', 'timeout', 'login', 'unavailable', 'protocol'])

function connectionTrouble(error: Error): Trouble {
  const cause = causeOf(error)
  return { reason: reasonOf(cause ?? ''), cause }
}
