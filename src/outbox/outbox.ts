/**
 * Owns the promise: what is accepted here is sent once or known to be dead, whoever is killed in between. Composes
 * engine, group commit, seal and limits into the few verbs the request and the pump need.
 */
import type { Detail } from '../errors.ts'
import type { StoreReason } from '../message.ts'
import { randomInt } from 'node:crypto'
import { pause } from '../timers.ts'
import { batcher } from './group-commit.ts'
import type { SqlRow } from './store/statement.ts'
import type { Engine } from './store/engine.ts'
import { pendingWrites } from './pending-writes.ts'
import { isUnavailable, type Log, reconnectingStore } from './reconnect.ts'
import { type Limits, quotasFor } from './store/quotas.ts'
import { type MailState, type Operation, type OperationResult, readsOnly } from './store/operation.ts'
import {
  type Accepted,
  type Lease,
  type Due,
  dueSchema,
  statusSchema,
  type NewMail,
  type Outbox,
  type Settlement,
  type Stats,
  statsSchema,
  type StoredMail,
  storedMailSchema,
} from './api.ts'
import { sealWith } from './seal.ts'
import { deadKeptMs, settleOperation } from './settlement.ts'
import { type MailStatus, waiters } from './waiters.ts'

const secondMs = 1000
const dayMs = 24 * 3600 * secondMs
/** Longer than any attempt may take (20 s). */
const leaseMs = 60 * secondMs
const pageSize = 500
const maxListed = 1000
const closeMs = 5 * secondMs

export interface OutboxOptions {
  readonly engine: Engine
  /** The newest seals, any opens. */
  readonly secrets: readonly string[]
  readonly limits: Limits
  readonly log: Log
  readonly clock?: () => number
  /** 0 to 1, for the jitter of the backoff. */
  readonly random?: () => number
}

/**
 * Opens the outbox, also while its store is down: then it refuses at once and comes back by itself. Rejects, with a
 * sentence for the operator, only when a newer program has changed the schema.
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { engine, limits, log, clock = Date.now, random = Math.random } = options
  const seal = sealWith(options.secrets)
  const lifeline = await reconnectingStore(engine, log)
  const lane = () => batcher<Operation, OperationResult>({ run: (list) => lifeline.run(list), weigh })
  // Operators' slow questions do not hold up the mail. And a transaction that settles must not accept as well where
  // others write beside it: an insert waits for whoever settles the same mail, who may be waiting for what we settled.
  const [accepting, reading] = [lane(), lane()]
  const moving = engine.parallel ? lane() : accepting
  const laneFor = (operation: Operation) => (operation.op === 'accept' ? accepting : moving)
  // nobody waits for the news that a mail was sent
  const submit = (operation: Operation) =>
    (readsOnly(operation) ? reading : laneFor(operation)).submit(
      operation,
      operation.op === 'settle' && operation.state === 'sent',
    )
  const rowsOf = async (operation: Operation) => (await submit(operation)).rows
  const watching = waiters(async (id) => statusOf(await find(id)))
  const { write: land, drained: landed } = pendingWrites({ rowsOf, lifeline, log })

  async function accept(mail: NewMail): Promise<Accepted> {
    const { id, app, kind, expires } = mail
    const now = clock()
    const recipient = seal.hide(mail.recipient)
    const leaseId = randomInt(1, 2 ** 47)
    const operation: Operation = {
      op: 'accept',
      id,
      app,
      kind,
      recipient,
      body: seal.seal(mail.token, `${id} ${app} ${kind}`),
      leaseId,
      due: now + leaseMs,
      expires,
      windowMs: mail.windowMs,
      now,
      quotas: quotasFor(limits, recipient, app, now),
    }
    const result = await submit(operation).catch((error: unknown) => {
      // Perhaps it was committed and only the answer is lost. The caller hears that nothing will be sent, so see to it.
      if (isUnavailable(error) && !neverReachedStore.has(error.reason)) void land({ op: 'undo', id, leaseId })
      throw error
    })
    if (result.outcome === 'owner')
      return { state: 'owner', lease: { id, app, kind, created: now, expires, attempts: 1, leaseId } }
    if (result.outcome === 'standing')
      return { state: 'standing', mail: storedMailSchema.parse(result.rows[0]) }
    if (result.outcome === 'gone') return accept(mail)
    return { state: 'limited', retryAfterS: Math.max(1, Math.ceil(((result.until ?? now) - now) / secondMs)) }
  }

  function settle(lease: Lease, settlement: Settlement): Promise<MailStatus> {
    const operation = settleOperation(lease, settlement, clock(), random)
    const intended: MailStatus = { state: operation.state, detail: operation.detail }
    // The relay has it, whatever the store says now: nobody needs to wait for the commit.
    if (operation.state === 'sent') watching.notify(lease.id, intended)
    return new Promise((resolve) => {
      const tell = (rows: readonly SqlRow[] | undefined) => {
        const fate = rows?.[0] === undefined ? intended : statusOf(statusSchema.parse(rows[0]))
        watching.notify(lease.id, fate)
        resolve(fate)
      }
      land(operation, () => resolve(intended))
        .then(tell)
        .catch(() => {
          log.error({ op: 'settle', reason: 'internal' }, 'a settled row could not be read')
          resolve(intended)
        })
    })
  }

  async function leaseDue(limit: number): Promise<Due[]> {
    const now = clock()
    const leaseId = randomInt(1, 2 ** 47)
    const times = { now, due: now + leaseMs, forgetAt: now + deadKeptMs }
    const rows = await rowsOf({ op: 'lease', leaseId, limit, ...times })
    return rows.flatMap((row) => {
      const { id, app, kind, created, expires, attempts, body, relay, stay_until, ...stored } =
        dueSchema.parse(row)
      if (stored.state === 'dead') {
        watching.notify(id, { state: 'dead', detail: 'expired' })
        return []
      }
      const stayWith = (stay_until ?? 0) > now && relay !== null ? relay : undefined
      const lease: Lease = { id, app, kind, created, expires, attempts, leaseId, stayWith }
      const token = seal.open(body ?? '', `${id} ${app} ${kind}`)
      if (token !== undefined) return [{ ...lease, token }]
      // The secret that sealed it is not configured any more; perhaps the operator notices before the mail expires.
      log.error({ id, app, kind, reason: 'unreadable' }, 'none of the secrets opens a stored mail')
      void settle(lease, { state: 'queued', detail: 'unreadable' })
      return []
    })
  }

  async function find(id: string): Promise<StoredMail | undefined> {
    const [row] = await rowsOf({ op: 'find', id })
    return row === undefined ? undefined : storedMailSchema.parse(row)
  }

  async function stats(): Promise<Stats> {
    const rows = statsSchema.parse(await rowsOf({ op: 'stats' }))
    const count = (state: MailState) => rows.find((row) => row.state === state)?.n ?? 0
    const unsent = rows.filter(({ state }) => state !== 'dead').map((row) => row.oldest)
    const oldest = unsent.length > 0 ? Math.min(...unsent) : undefined
    return { sending: count('sending'), queued: count('queued'), dead: count('dead'), oldest }
  }

  async function requeue(id: string | null): Promise<number> {
    const now = clock()
    const page = { op: 'requeue', id, expires: now + dayMs, limit: pageSize, now } as const
    return countPages(async () => (await rowsOf(page)).length)
  }

  async function purge(signal?: AbortSignal): Promise<number> {
    const now = clock()
    let mails = 0
    await countPages(async () => {
      if (signal?.aborted) return 0
      const gone = await rowsOf({ op: 'purge', now, limit: pageSize })
      mails += gone.filter(({ id }) => id !== undefined).length
      return gone.length
    })
    return mails
  }

  async function landAll(): Promise<void> {
    const idle = () => Promise.all([accepting.idle(), moving.idle(), reading.idle()])
    await idle()
    // what failed just now begins to land again
    await new Promise(setImmediate)
    await landed()
    await idle()
  }

  async function close(graceMs = closeMs): Promise<void> {
    const enough = new AbortController()
    await Promise.race([landAll(), pause(graceMs, enough.signal)])
    enough.abort()
    await lifeline.close()
  }

  return {
    accept,
    settle,
    leaseDue,
    find,
    stats,
    countSent: async () => Number((await rowsOf({ op: 'countSent' }))[0]?.['n'] ?? 0),
    purge,
    close,
    handBack: (lease) =>
      settle(lease, { state: 'queued', detail: 'handed_back', uncounted: true, waitMs: 0 }),
    waitFor: async (mail, timeoutMs) =>
      mail.state === 'sending' ? watching.wait(mail.id, timeoutMs) : statusOf(mail),
    list: async (state, limit) =>
      (await rowsOf({ op: 'list', state, limit: Math.min(limit, maxListed) })).map((row) =>
        storedMailSchema.parse(row),
      ),
    requeue: async (id) => (await requeue(id)) > 0,
    requeueDead: () => requeue(null),
    trouble: () => lifeline.trouble(),
  }
}

/** Reasons of a refusal that never reached the store. */
const neverReachedStore = new Set<Detail | undefined>(['busy', 'down'] satisfies StoreReason[])

const weigh = (operation: Operation) => (operation.op === 'accept' ? operation.body.length : 0) + 500

/** A row that vanishes while somebody waits was taken back: whoever stored it has heard that the store failed. */
const statusOf = (mail: Pick<StoredMail, 'state' | 'detail'> | undefined): MailStatus =>
  mail === undefined
    ? { state: 'dead', detail: 'undone' }
    : { state: mail.state, detail: mail.detail ?? undefined }

/** Repeats a paged change until a page is not full. */
async function countPages(page: () => Promise<number>): Promise<number> {
  for (let total = 0; ; ) {
    const count = await page()
    total += count
    if (count < pageSize) return total
  }
}
