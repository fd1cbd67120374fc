/**
 * Owns one SMTP relay: a small pool of logged-in connections over nodemailer's SMTPConnection.
 *
 * nodemailer's own pool is not used because only the code that holds the connection knows whether a byte of the
 * message has left, and that decides between "send it elsewhere" and "it may have arrived". One file, although a long
 * one: what happens to a connection depends on all others and on all mails, and can be followed only side by side.
 *
 *   a connection is   and then                                    becomes
 *   opening           logged in                                   busy with the next mail, or idle
 *   idle              a mail comes                                busy
 *                     idle for idleMs, or the pool closes         leaving
 *   busy              the relay took the mail                     busy with the next mail, or idle
 *                     the relay refused or deferred the mail      resetting
 *   resetting         the relay answered RSET                     busy with the next mail, or idle
 *   any               421, cut, or too late for its state         lost: it is gone from the pool
 *
 * A mail whose connection is lost goes to a new one, once, if the connection was not new and no byte of it had left;
 * else its receipt says `unsent` or, after the first byte, `unknown`.
 */
import type { BuildMime } from '../mime/mime.ts'
import type { Message, Outcome, PoolUse, Receipt, RelayReason, SendTerms, Transport } from '../message.ts'
import { type RelayAddress, RelayConnection } from './smtp-connection.ts'
import { connectionLimit } from './connection-limit.ts'
import { deadlines, isLate, outcomeOfSilence, type Timed } from './deadlines.ts'
import { sendQueue } from './smtp-queue.ts'
import type { SmtpRelayConfig } from '../relay-config.ts'
import { relayCheck } from './relay-check.ts'
import { connectionTrouble, replyTo, type SmtpError, type Trouble } from './smtp-reply.ts'

export interface SmtpOptions
  extends RelayAddress,
    Pick<SmtpRelayConfig, 'name'>,
    Partial<Pick<SmtpRelayConfig, 'from' | 'rate' | 'connections'>> {
  readonly buildMime: BuildMime
  /** Mails that may wait for a connection; the next one is told at once that there is no room. */
  readonly maxWaiting?: number
  /** The longest a mail may take here, waiting included, when its terms do not say. */
  readonly attemptMs?: number
  readonly connectMs?: number
  /** Idle connections are closed after this; relays do it themselves after one to five minutes. */
  readonly idleMs?: number
  /** Called once, when the relay has shown how many connections it allows. */
  readonly onLimit?: ((relay: string, connections: number) => void) | undefined
  /** For a person who asks: the relay's own words about a mail it did not take. They quote addresses. */
  readonly onRefusal?: ((response: string) => void) | undefined
}

/** One mail on its way. All times here are on the clock of `performance`: setting the wall clock moves no deadline. */
interface Job extends Timed {
  readonly message: Message
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (bug: unknown) => void
  retried: boolean
}

type SlotState = keyof PoolUse['connections']

/** One place of the pool with its connection. */
interface Slot {
  readonly connection: RelayConnection
  state: SlotState
  since: number
  /** It has logged in and done nothing since. Any other may have died unnoticed, which says nothing about the relay now. */
  isNew: boolean
  job: Job | undefined
  onOpened: ((trouble?: Trouble) => void) | undefined
}

const finalDot = '.\r\n'
const leaveMs = 1_000
/** A connection that is still silent after this may be dead. */
const doubtMs = 2_000

export function smtpTransport(options: SmtpOptions): Transport {
  const { name, buildMime, connections = 10, maxWaiting = 1_000 } = options
  const { attemptMs = 20_000, connectMs = 10_000, idleMs = 45_000 } = options
  /** The longest for a reply to RSET, and for the first reply on a kept connection: a firewall may have dropped it. */
  const replyMs = attemptMs / 4
  const slots = new Set<Slot>()
  const queue = sendQueue<Job>(maxWaiting, options.rate, serve)
  const relay = relayCheck(tryByOpening)
  /** Why connections could not be opened, while others are being opened: what it means is not known yet. */
  let failedOpenings: Trouble[] = []
  const limit = connectionLimit(connections, (most) => options.onLimit?.(name, most))
  const time = deadlines({ attemptMs, now: () => performance.now(), sweep, drain })

  function send(message: Message, terms?: SendTerms): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const job: Job = { ...time.begin(terms), message, resolve, reject, retried: false }
      if (time.isClosing()) return finish(job, 'unsent', { reason: 'closing' })
      const slot = lastUsedIdle()
      const fromBacklog = terms?.fromBacklog === true
      if (slot && queue.canSkipQueue(fromBacklog)) return transmit(slot, job)
      if (!queue.join(job, fromBacklog)) return finish(job, 'unsent', { reason: 'queue_full' })
      serve()
    })
  }

  /** A connection is opened only while more are missing than will be free soon without another mail's end. */
  function serve(): void {
    for (let slot, job; (slot = lastUsedIdle()) && (job = queue.nextForIdleConnection()); )
      transmit(slot, job)
    const count = use().connections
    const missing = queue.missing(count.idle)
    // one that has failed has its place until it is known why
    const room = Math.min(
      limit.most() - slots.size - failedOpenings.length,
      missing - count.opening - count.resetting,
    )
    for (let free = room; free > 0; free--) open()
  }

  function learnLimit(): void {
    failedOpenings = []
    limit.learn(slots.size)
  }

  function tellLimit(): void {
    if (!isOpening()) limit.tell()
  }

  const isOpening = () => [...slots].some(({ state }) => state === 'opening')

  function servesAnother(now: number): boolean {
    return [...slots].some(({ state, since, connection }) => {
      if (state === 'idle' || (state === 'busy' && connection.silent)) return now - since < doubtMs
      return state === 'busy' || state === 'resetting'
    })
  }

  /** One failed connection answers one mail; the next mail has an attempt of its own. */
  function openingFailed(trouble: Trouble): void {
    failedOpenings.push(trouble)
    if (time.isClosing()) failedOpenings = []
    else if (servesAnother(performance.now())) {
      learnLimit()
      return tellLimit()
    } else if (isOpening()) return
    relay.failed()
    for (const each of failedOpenings.splice(0)) {
      const first = queue.takeFirst()
      if (first) finish(first, 'unsent', each)
    }
  }

  /** The idle connection that worked last, so that those no longer needed run into `idleMs`. At most 100 are looked at. */
  function lastUsedIdle(): Slot | undefined {
    let last: Slot | undefined
    for (const slot of slots) if (slot.state === 'idle' && (!last || slot.since >= last.since)) last = slot
    return last
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
      isNew: true,
      job: undefined,
      onOpened,
    }
    slots.add(slot)
    connection.open(
      () => opened(slot),
      (trouble) => connectionLost(slot, trouble),
    )
  }

  function opened(slot: Slot): void {
    if (slot.state !== 'opening') return
    relay.succeeded()
    limit.noteOpened(slots.size)
    if (failedOpenings.length > 0) learnLimit()
    slot.onOpened?.()
    release(slot)
    tellLimit()
  }

  function transmit(slot: Slot, job: Job): void {
    enter(slot, 'busy')
    let bytes: Buffer
    try {
      bytes = buildMime(job.message, options.from, finalDot)
    } catch (bug) {
      queue.noteEnd()
      job.reject(bug)
      return release(slot)
    }
    slot.job = job
    if (slot.connection.outOfStep()) return connectionLost(slot, { reason: 'protocol' })
    const { from, to } = job.message
    const envelope = { from: options.from ?? from.address, to: [to.address] }
    const started = () => {
      job.started = true
    }
    slot.connection.sendBytes(envelope, bytes, started, (error: SmtpError | null) => {
      if (slot.job !== job) return
      if (error) return transmitFailed(slot, job, error)
      slot.job = undefined
      queue.noteEnd()
      relay.succeeded()
      finish(job, 'sent', { reason: 'accepted' })
      release(slot)
    })
  }

  function transmitFailed(slot: Slot, job: Job, error: SmtpError): void {
    if (slot.connection.outOfStep(error)) return connectionLost(slot, { reason: 'protocol' })
    const answer = replyTo(error)
    if (answer && error.response) options.onRefusal?.(error.response)
    const goodbye = answer?.trouble.reply === 421
    if (!answer || (goodbye && mayRetry(slot, job)))
      return connectionLost(slot, answer?.trouble ?? connectionTrouble(error))
    slot.job = undefined
    queue.noteEnd()
    finish(job, answer.outcome, answer.trouble)
    if (goodbye) return connectionLost(slot, answer.trouble)
    enter(slot, 'resetting')
    slot.connection.reset((failed) => (failed ? connectionLost(slot, { reason: 'protocol' }) : release(slot)))
  }

  /** Gives a connection that has just answered to the next mail, or lets it idle. */
  function release(slot: Slot): void {
    if (!slots.has(slot) || slot.state === 'leaving') return
    slot.isNew = slot.state === 'opening'
    const job = queue.nextForWorkingConnection()
    if (job) return transmit(slot, job)
    slot.isNew = false
    enter(slot, 'idle')
    time.noteEnd()
  }

  function enter(slot: Slot, state: SlotState): void {
    slot.state = state
    slot.since = performance.now()
  }

  /** Every end of a connection comes here, once. */
  function connectionLost(slot: Slot, trouble: Trouble): void {
    if (!slots.delete(slot)) return
    const { job, state } = slot
    if (job) relay.failed()
    if (job) queue.noteEnd()
    slot.job = undefined
    slot.connection.close()
    // the pool is at the relay's limit, which is no trouble of the relay
    slot.onOpened?.(state === 'opening' && servesAnother(performance.now()) ? undefined : trouble)
    if (job && mayRetry(slot, job)) {
      job.retried = true
      queue.joinToRetry(job)
    } else if (job) {
      finish(job, outcomeOfSilence(job), trouble)
    } else if (state === 'opening') {
      openingFailed(trouble)
    }
    if (time.isClosing()) time.noteEnd()
    else serve()
  }

  function mayRetry(slot: Slot, job: Job): boolean {
    return !slot.isNew && !job.started && !job.retried && !isLate(job, performance.now())
  }

  function seemsDead(slot: Slot): boolean {
    return slot.job !== undefined && slot.connection.silent && mayRetry(slot, slot.job)
  }

  function sweep(now: number): void {
    const heldBack = lastUsedIdle() !== undefined
    for (const job of queue.takeOut((waiting) => isLate(waiting, now))) {
      // the relay takes mails, only not as fast as they come: that is no fault of its connection
      const heldByRate = heldBack && !job.retried
      finish(job, 'unsent', {
        reason: heldByRate || relay.succeededSince(job.since) ? 'queue_slow' : 'timeout',
      })
    }
    for (const slot of slots) {
      const age = now - slot.since
      if (slot.job && isLate(slot.job, now)) connectionLost(slot, { reason: 'timeout' })
      else if (age > replyMs && seemsDead(slot)) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'opening' && age > connectMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'resetting' && age > replyMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'leaving' && age > leaveMs) connectionLost(slot, { reason: 'timeout' })
      else if (slot.state === 'idle' && age > idleMs) leave(slot)
    }
  }

  function leave(slot: Slot): void {
    enter(slot, 'leaving')
    slot.connection.quit()
  }

  function tryByOpening(): Promise<RelayReason | undefined> {
    if (slots.size >= connections || time.isClosing())
      return Promise.resolve(relay.isFailing() ? 'busy' : undefined)
    return new Promise((resolve) => open((trouble) => resolve(trouble?.reason)))
  }

  function drain(): boolean {
    for (const job of queue.takeOut(() => true)) finish(job, 'unsent', { reason: 'closing' })
    for (const slot of slots) {
      if (slot.state === 'idle') leave(slot)
      else if (slot.state === 'opening') connectionLost(slot, { reason: 'closing' })
    }
    return slots.size === 0
  }

  function use(): PoolUse {
    const count = { opening: 0, idle: 0, busy: 0, resetting: 0, leaving: 0 }
    for (const { state } of slots) count[state]++
    return { connections: count, waiting: queue.size() }
  }

  return { name, send, check: relay.check, capacity: limit.most, use, close: time.close }
}
