/**
 * Owns an answer that is given at once from what is known and found out anew behind it, once at a time: so the number
 * of those who ask never becomes work, and nobody waits for what hangs.
 */
import { within } from '../timers.ts'

/** How long the first may wait, while nothing is known yet. */
const firstMs = 1_000

/** `read` must end sometime. `undefined`: it has not yet, or it has failed. */
export function latest<T>(read: () => Promise<T>): () => Promise<T | undefined> {
  let known: T | undefined
  let isReading = false
  let first: Promise<void> | undefined

  async function refresh(): Promise<void> {
    isReading = true
    try {
      known = await read()
    } catch {
      known = undefined
    } finally {
      isReading = false
    }
  }

  return async () => {
    if (!isReading) {
      const refreshed = refresh()
      first ??= within(firstMs, refreshed)
      // what needs nobody else to be asked is there by then
      await new Promise(setImmediate)
    }
    if (known === undefined) await first
    return known
  }
}
