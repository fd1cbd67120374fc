/**
 * Owns the promise that an accepted mail is sent once or known to be dead, also when a process is killed in between.
 * Composes store, queues, seal and limits into the verbs that requests, the pump and operators need.
 */
import { randomInt } from 'node:crypto'
import { type CalledApps, isCalled, newEvent } from '../event.ts'
import type { Log } from '../log.ts'
import { within } from '../timers.ts'
import {
  type Lease,
  type Due,
  type MailStatus,
  dueSchema,
  statusSchema,
  type Outbox,
  type Settlement,
  type StoredMail,
  storedMailSchema,
} from './api.ts'
import { accepter } from './accept.ts'
import { eraser } from './erase.ts'
import { feedbackNotes } from './feedback-notes.ts'
import { eventVerbs } from './event-verbs.ts'
import { operationQueues } from './operation-queues.ts'
import { operatorVerbs } from './operator-verbs.ts'
import { pendingWrites } from './pending-writes.ts'
import { reconnectingStore } from './reconnect.ts'
import { searcher } from './search.ts'
import { sealWith } from './seal.ts'
import { deadKeptMs, leaseMs, settleOperation, stayMs } from './settlement.ts'
import type { Engine } from './store/engine.ts'
import type { SettleOperation, SuppressionScope } from './store/operation.ts'
import type { Limits } from './store/quotas.ts'
import type { SqlRow } from './store/statement.ts'
import { suppressionVerbs } from './suppression.ts'
import { storeClock } from './store-clock.ts'
import { waiters } from './waiters.ts'

const closeMs = 5000

export interface OutboxOptions {
  readonly engine: Engine
  /** The first one seals; each of them opens. */
  readonly secrets: readonly string[]
  readonly limits: Limits
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>
  /** Where a hard bounce suppresses its recipient; by default nowhere. */
  readonly suppression?: SuppressionScope | undefined
  /** The apps for which events are written. */
  readonly calledApps?: () => CalledApps | undefined
  /** Told of each mail that is accepted here, and of its end. */
  readonly count?: ((what: 'accepted' | 'sent' | 'dead') => void) | undefined
  /** By default the database's. */
  readonly clock?: (() => number) | undefined
  /** 0 to 1, for the jitter of the backoff. */
  readonly random?: () => number
  /** How long after its call an accept may go on finding out whether its commit succeeded. */
  readonly findOutMs?: number
}

/**
 * Opens the outbox, also while its store is unavailable: then it refuses at once and recovers by itself. Rejects, with a
 * sentence for the operator, only when a newer program has changed the schema.
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const {
    engine,
    log,
    suppression = null,
    calledApps = () => undefined,
    count = () => undefined,
    random = Math.random,
  } = options
  const databaseClock = storeClock(engine, log)
  const { clock = databaseClock.now } = options
  const seal = sealWith(options.secrets)
  const store = await reconnectingStore(engine, log)
  /** A database that cannot be used would only be waited for. */
  const compareClocks = async () => {
    if (store.trouble() === undefined) await databaseClock.compare()
  }
  await compareClocks()
  const { run, rowsOf, idle } = operationQueues(store, engine.parallel)
  const { write, drained } = pendingWrites({ rowsOf, store, log })
  const accept = accepter({ ...options, run, store, seal, clock, compareClocks, count })
  const { notify, wait } = waiters(async (id) => statusOf(await find(id)))

  function settle(lease: Lease, settlement: Settlement): Promise<MailStatus> {
    const operation = withEvent(lease.app, settleOperation(lease, settlement, Math.round(clock()), random))
    const intended: MailStatus = { state: operation.state, detail: operation.detail }
    // The relay has the mail, whatever becomes of the commit: no waiter needs to wait for that.
    if (operation.state === 'sent') {
      notify(lease.id, intended)
      count('sent')
    }
    return new Promise((resolve) => {
      const answer = (rows: readonly SqlRow[] | undefined) => {
        const status = rows?.[0] === undefined ? intended : statusSchema.parse(rows[0])
        if (operation.state === 'dead' && rows?.[0] && status.state === 'dead') count('dead')
        notify(lease.id, status)
        resolve(status)
      }
      write(operation, () => resolve(intended))
        .then(answer)
        .catch(() => {
          log.error({ op: 'settle', reason: 'internal' }, 'a settled row could not be read')
          resolve(intended)
        })
    })
  }

  function withEvent(app: string, operation: SettleOperation): SettleOperation {
    const { id: mail, state, detail, now } = operation
    if (state === 'queued' || !isCalled(calledApps(), app)) return operation
    const told = state === 'sent' ? { type: 'mail.sent' as const } : { type: 'mail.dead' as const, detail }
    return { ...operation, event: newEvent({ mail, state, now, ...told }) }
  }

  function handBack(lease: Lease): Promise<MailStatus> {
    return settle(lease, { state: 'queued', detail: 'handed_back', uncounted: true, waitMs: 0 })
  }

  async function waitFor(mail: StoredMail, timeoutMs: number): Promise<MailStatus> {
    return mail.state === 'sending' ? wait(mail.id, timeoutMs) : statusOf(mail)
  }

  async function leaseDue(limit: number): Promise<Due[]> {
    await compareClocks()
    const now = Math.round(clock())
    const leaseId = randomInt(1, 2 ** 47)
    const times = { now, due: now + leaseMs, forgetAt: now + deadKeptMs }
    const rows = await rowsOf({ op: 'lease', leaseId, limit, calledApps: calledApps(), ...times })
    const leased = rows.flatMap((row) => {
      const read = dueSchema.safeParse(row)
      if (!read.success) {
        setAside(String(row['id']), leaseId)
        return []
      }
      const { id, app, kind, state, created, expires, attempts, body, relay, stay_until } = read.data
      if (state === 'dead') {
        notify(id, { state: 'dead', detail: 'expired' })
        count('dead')
        return []
      }
      const stays = stay_until !== null && stay_until > now && stay_until <= now + 2 * stayMs
      const stayWith = stays && relay !== null ? relay : undefined
      const lease: Lease = { id, app, kind, created, expires, attempts, leaseId, stayWith }
      const token = seal.open(body ?? '', `${id} ${app} ${kind}`)
      if (token !== undefined) return [{ ...lease, token }]
      // The operator can still configure the secret that sealed the token before the mail expires.
      log.error({ id, app, kind, reason: 'unreadable' }, 'none of the secrets opens a stored mail')
      void settle(lease, { state: 'queued', detail: 'unreadable' })
      return []
    })
    // A database answers with the rows of an update in any order.
    return leased.toSorted((a, b) => a.expires - b.expires)
  }

  /** Nothing behind a row that cannot be read waits for it; it is kept for the operator, as a dead mail. */
  function setAside(id: string, leaseId: number): void {
    log.error({ id, reason: 'bad_row' }, 'a row of the outbox cannot be read: it is set aside as dead')
    const unread = { id, app: '', kind: '', created: 0, expires: 0, attempts: 0, leaseId }
    void settle(unread, { state: 'dead', detail: 'bad_row' })
  }

  async function find(id: string): Promise<StoredMail | undefined> {
    const [row] = await rowsOf({ op: 'find', id })
    return row === undefined ? undefined : storedMailSchema.parse(row)
  }

  async function close(graceMs = closeMs): Promise<void> {
    await within(graceMs, finishAll())
    await store.close()
  }

  async function finishAll(): Promise<void> {
    await idle()
    // A write that has just failed becomes a pending write in this turn of the event loop.
    await new Promise(setImmediate)
    await drained()
    await idle()
  }

  const { ready, trouble } = store
  return {
    ...operatorVerbs({ rowsOf, clock, log, calledApps, onDead: () => count('dead') }),
    ...suppressionVerbs(rowsOf, seal, clock),
    erase: eraser(rowsOf, seal, clock, deadKeptMs),
    ...eventVerbs(rowsOf, clock),
    accept,
    settle,
    handBack,
    waitFor,
    leaseDue,
    noteFeedback: feedbackNotes(rowsOf, clock, suppression, calledApps),
    find,
    search: searcher(rowsOf, seal, find),
    engine: engine.name,
    upkeep: async () => engine.upkeep?.(),
    ready,
    trouble,
    close,
  }
}

/** A mail that vanishes while a request waits for it was deleted by another hand. */
const statusOf = (mail: StoredMail | undefined): MailStatus =>
  mail === undefined ? { state: 'dead', detail: 'undone' } : { state: mail.state, detail: mail.detail }
