/**
 * Owns the way to one SMTP relay: a small pool of logged-in connections over nodemailer's SMTPConnection.
 *
 * nodemailer's own pool is not used because only whoever holds the connection knows whether a byte of the message
 * has left, and that decides between "send it elsewhere" and "it may have arrived". One file, although a long one: what
 * happens to a connection is decided by where all others and all mails stand, and can be followed only side by side.
 */
import type { BuildMime } from '../mime/mime.ts'
import type { Message, Outcome, PoolUse, Receipt, RelayReason, SendTerms, Transport } from '../message.ts'
import { type RelayAddress, RelayConnection } from './smtp-connection.ts'
import { waitingLine } from './smtp-queue.ts'
import type { Rate } from '../rate.ts'
import { reachable } from './relay-check.ts'
import { connectionTrouble, replyTo, type SmtpError, type Trouble } from './smtp-reply.ts'

export interface SmtpOptions extends RelayAddress {
  /** The relay's name in logs and receipts. */
  readonly name: string
  readonly buildMime: BuildMime
  /** The sender's address at this relay, in the envelope and in From, instead of the message's own. */
  readonly from?: string | undefined
  /** Mails beyond it wait in line. */
  readonly rate?: Rate | undefined
  readonly connections?: number
  /** Mails that may wait for a connection; the next one is told at once that there is no room. */
  readonly maxWaiting?: number
  /** The longest a mail may take here, waiting included, when its terms do not say. */
  readonly attemptMs?: number
  readonly connectMs?: number
  /** Idle connections are closed after this; relays do it themselves after one to five minutes. */
  readonly idleMs?: number
}

/** One mail on its way. */
interface Job {
  readonly message: Message
  /** As all times here on the clock of `performance`: the wall clock may be set, and a deadline must not move with it. */
  readonly since: number
  readonly startBy: number
  readonly endBy: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (bug: unknown) => void
  started: boolean
  retried: boolean
}

type SlotState = keyof PoolUse['connections']

/** One place of the pool with its connection. */
interface Slot {
  readonly connection: RelayConnection
  state: SlotState
  since: number
  /** It has been kept for a while, so it may be dead without our knowing. */
  used: boolean
  job: Job | undefined
  onOpened: ((trouble?: Trouble) => void) | undefined
}

const finalDot = '.\r\n'
const sweepMs = 200
const leaveMs = 1_000

export function smtpTransport(options: SmtpOptions): Transport {
  const { name, buildMime, connections = 10, maxWaiting = 1_000 } = options
  const { attemptMs = 20_000, connectMs = 10_000, idleMs = 45_000 } = options
  /** How long a reset may take, and a kept connection stay without a word: whoever lies between may have forgotten it. */
  const replyMs = attemptMs / 4
  const slots = new Set<Slot>()
  const idle: Slot[] = []
  const line = waitingLine<Job>(maxWaiting, options.rate, serve)
  /** Connections that will be free soon without anybody's doing: opening or resetting. */
  let coming = 0
  let closing: (() => void) | undefined
  const way = reachable(askByOpening)

  const sweeper = setInterval(sweep, sweepMs)
  sweeper.unref()

  function send(message: Message, terms: SendTerms = {}): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const since = performance.now()
      const { endWithinMs = attemptMs, startWithinMs = endWithinMs } = terms
      const job = {
        message,
        since,
        startBy: since + startWithinMs,
        endBy: since + endWithinMs,
        resolve,
        reject,
        started: false,
        retried: false,
      }
      if (closing) return finish(job, 'unsent', { reason: 'closing' })
      if (idle.length > 0 && line.mayPass()) return transmit(idle.pop()!, job)
      if (!line.join(job)) return finish(job, 'unsent', { reason: 'line_full' })
      serve()
    })
  }

  /** A connection is opened only while more are missing than are coming. */
  function serve(): void {
    for (let job; idle.length > 0 && (job = line.nextForKept()); ) transmit(idle.pop()!, job)
    const missing = line.missing(idle.length)
    for (let count = coming; slots.size < connections && count < missing; count++) open()
  }

  function finish(job: Job, outcome: Outcome, trouble: Trouble): void {
    job.resolve({ outcome, relay: name, ...trouble })
  }

  function open(onOpened?: Slot['onOpened']): void {
    // the sweeper's deadlines are the ones that count; the silence only backs them up
    const connection = new RelayConnection(options, connectMs, Math.max(attemptMs, idleMs) * 2)
    const slot: Slot = {
      connection,
      state: 'opening',
      since: performance.now(),
      used: false,
      job: undefined,
      onOpened,
    }
    slots.add(slot)
    coming++
    connection.open(
      () => opened(slot),
      (trouble) => connectionLost(slot, trouble),
    )
  }

  function opened(slot: Slot): void {
    if (slot.state !== 'opening') return
    way.good()
    slot.onOpened?.()
    release(slot)
  }

  function transmit(slot: Slot, job: Job): void {
    enter(slot, 'busy')
    let bytes: Buffer
    try {
      bytes = buildMime(job.message, options.from, finalDot)
    } catch (bug) {
      line.done()
      job.reject(bug)
      return release(slot)
    }
    slot.job = job
    const { from, to } = job.message
    const envelope = { from: options.from ?? from.address, to: [to.address] }
    const started = () => {
      job.started = true
    }
    slot.connection.sendBytes(envelope, bytes, started, (error: SmtpError | null) => {
      if (slot.job !== job) return
      if (error) return transmitFailed(slot, job, error)
      slot.job = undefined
      line.done()
      way.good()
      finish(job, 'sent', { reason: 'accepted' })
      release(slot)
    })
  }

  function transmitFailed(slot: Slot, job: Job, error: SmtpError): void {
    const answer = replyTo(error)
    const goodbye = answer?.trouble.reply === 421
    if (!answer || (goodbye && mayRetry(slot, job)))
      return connectionLost(slot, answer?.trouble ?? connectionTrouble(error))
    slot.job = undefined
    line.done()
    finish(job, answer.outcome, answer.trouble)
    if (goodbye) return connectionLost(slot, answer.trouble)
    enter(slot, 'resetting')
    coming++
    slot.connection.reset((failed) => (failed ? connectionLost(slot, { reason: 'protocol' }) : release(slot)))
  }

  /** The connection is idle again: the longest waiting mail has it, or nobody for now. */
  function release(slot: Slot): void {
    if (!slots.has(slot) || slot.state === 'leaving') return
    if (slot.state !== 'busy') coming--
    slot.used = slot.state !== 'opening'
    const job = line.nextForProven()
    if (job) return transmit(slot, job)
    slot.used = true
    enter(slot, 'idle')
    idle.push(slot)
    if (closing) closing()
  }

  function enter(slot: Slot, state: SlotState): void {
    slot.state = state
    slot.since = performance.now()
  }

  /** Whatever ends a connection ends here, once. */
  function connectionLost(slot: Slot, trouble: Trouble): void {
    if (!slots.delete(slot)) return
    const { job, state } = slot
    if (state === 'opening' || state === 'resetting') coming--
    if (state === 'idle') idle.splice(idle.indexOf(slot), 1)
    if (state === 'opening' || job) way.bad()
    if (job) line.done()
    slot.job = undefined
    slot.connection.close()
    slot.onOpened?.(trouble)
    if (job && mayRetry(slot, job)) {
      job.retried = true
      line.rejoin(job)
    } else if (job) {
      finish(job, job.started ? 'unknown' : 'unsent', trouble)
    } else if (state === 'opening') {
      // one failed connection answers one mail; the next mail has an attempt of its own
      const first = line.first()
      if (first) finish(first, 'unsent', trouble)
    }
    if (closing) closing()
    else serve()
  }

  /** A connection kept from earlier may have died unnoticed: that says nothing about the relay now. */
  function mayRetry(slot: Slot, job: Job): boolean {
    return slot.used && !job.started && !job.retried && performance.now() < job.startBy - sweepMs
  }

  function seemsDead(slot: Slot): boolean {
    return slot.job !== undefined && slot.connection.silent && mayRetry(slot, slot.job)
  }

  function sweep(now = performance.now()): void {
    const late = (job: Job) => now >= (job.started ? job.endBy : job.startBy) - sweepMs
    for (const job of line.takeOut(late)) {
      // the relay takes mails, only not as fast as they come: that is no fault of its connection
      const heldByRate = idle.length > 0 && !job.retried
      finish(job, 'unsent', { reason: heldByRate || way.goodSince(job.since) ? 'line_slow' : 'timeout' })
    }
    for (const slot of slots) {
      const age = now - slot.since
      if (slot.job && late(slot.job)) connectionLost(slot, { reason: 'timeout' })
      else if (age > replyMs && seemsDead(slot)) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'opening' && age > connectMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'resetting' && age > replyMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'leaving' && age > leaveMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'idle' && age > idleMs) leave(slot)
    }
  }

  function leave(slot: Slot): void {
    if (slot.state === 'idle') idle.splice(idle.indexOf(slot), 1)
    enter(slot, 'leaving')
    slot.connection.quit()
  }

  function askByOpening(): Promise<RelayReason | undefined> {
    if (slots.size >= connections || closing) return Promise.resolve(way.failing() ? 'busy' : undefined)
    return new Promise((resolve) => open((trouble) => resolve(trouble?.reason)))
  }

  function close(): Promise<void> {
    return new Promise((resolve) => {
      closing = () => {
        for (const job of line.takeOut(() => true)) finish(job, 'unsent', { reason: 'closing' })
        for (const slot of slots) {
          if (slot.state === 'idle') leave(slot)
          else if (slot.state === 'opening') connectionLost(slot, { reason: 'closing' })
        }
        if (slots.size > 0) return
        clearInterval(sweeper)
        resolve()
      }
      closing()
    })
  }

  function use(): PoolUse {
    const count = { opening: 0, idle: 0, busy: 0, resetting: 0, leaving: 0 }
    for (const { state } of slots) count[state]++
    return { connections: count, waiting: line.size() }
  }

  return { name, send, check: way.check, use, close }
}
