/**
 * Owns an answer of the store that all who ask share: asked for once at a time, and not again for a while, so that the
 * number of those who ask never becomes work. Unlike http/latest.ts it is not found out anew behind each question.
 */
import { within } from './timers.ts'

export interface StoreAnswerOptions<T> {
  readonly read: () => Promise<T>
  /** Why the store cannot be used: then it is not asked. */
  readonly trouble: () => string | undefined
  /** How long an answer stands at the least. One that took long stands for 20 times as long as it took. */
  readonly restMs: number
  /** How long whoever asks waits for it. */
  readonly waitMs: number
  readonly now?: (() => number) | undefined
}

/** `undefined`: there is none, or not in time. */
export function storeAnswer<T>(options: StoreAnswerOptions<T>): () => Promise<T | undefined> {
  const { read, trouble, restMs, waitMs, now = () => performance.now() } = options
  let answer: Promise<T | undefined> = Promise.resolve(undefined)
  let restsUntil = -Infinity

  async function readOnce(): Promise<T | undefined> {
    const began = now()
    restsUntil = Infinity
    try {
      return await read()
    } catch {
      return undefined
    } finally {
      const ended = now()
      restsUntil = ended + Math.max(restMs, 20 * (ended - began))
    }
  }

  return async () => {
    if (trouble() !== undefined) return undefined
    if (now() >= restsUntil) answer = readOnce()
    return within(waitMs, answer)
  }
}
