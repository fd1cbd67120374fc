/** Owns waiting for what becomes of a mail that somebody else is sending: told at once in this process, polled for others. */
import type { Detail } from '../errors.ts'
import { pause } from '../timers.ts'
import type { MailState } from './store/operation.ts'

export interface MailStatus {
  readonly state: MailState
  readonly detail?: Detail | undefined
}

const pollMs = 250
const maxWatched = 10_000

export interface Waiters {
  /** Tells everybody who waits for this mail. `sending` is no news. */
  notify(id: string, fate: MailStatus): void
  /** The mail's fate as soon as it is no longer `sending`; after `timeoutMs`, or when the line of waiters is full, `sending`. */
  wait(id: string, timeoutMs: number): Promise<MailStatus>
}

/** `look` reads a mail from the store; what it throws counts as no news. */
export function waiters(look: (id: string) => Promise<MailStatus>): Waiters {
  const watched = new Map<
    string,
    { readonly told: Promise<MailStatus>; tell(fate: MailStatus): void; waiters: number }
  >()

  function join(id: string) {
    const known = watched.get(id)
    if (known !== undefined) return known
    const over = new AbortController()
    const { promise, resolve } = Promise.withResolvers<MailStatus>()
    const entry = {
      told: promise,
      waiters: 0,
      tell(fate: MailStatus) {
        watched.delete(id)
        over.abort()
        resolve(fate)
      },
    }
    watched.set(id, entry)
    void poll(id, over.signal)
    return entry
  }

  async function poll(id: string, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const fate = await look(id).catch((): MailStatus => ({ state: 'sending' }))
      tell(id, fate)
      await pause(pollMs, over)
    }
  }

  function tell(id: string, fate: MailStatus): void {
    if (fate.state !== 'sending') watched.get(id)?.tell(fate)
  }

  async function fateOf(id: string, timeoutMs: number): Promise<MailStatus> {
    if (watched.size >= maxWatched && !watched.has(id)) return { state: 'sending' }
    const entry = join(id)
    entry.waiters += 1
    const enough = new AbortController()
    const late = pause(timeoutMs, enough.signal).then((): MailStatus => ({ state: 'sending' }))
    const fate = await Promise.race([entry.told, late])
    enough.abort()
    entry.waiters -= 1
    // The last one to leave ends the polling.
    if (entry.waiters === 0 && watched.get(id) === entry) entry.tell({ state: 'sending' })
    return fate
  }

  return { notify: tell, wait: fateOf }
}
