/** Owns what the parts may have measured: three verbs, and the meter that measures nothing. */
import type { Message, Receipt } from './message.ts'

export type Stage = 'verify' | 'render' | 'store'

/** What the parts tell. */
export interface Meter {
  /** Runs `work` and notes how long it took until its result stood; what throws or rejects is not noted. */
  timed<T>(stage: Stage, work: () => T): T
  /** One answer. `route` is the route's pattern, never a path. */
  answered(route: string | undefined, status: number, code: string): void
  /** One try at one relay, as `failover` hears of it. */
  tried(receipt: Receipt, message: Pick<Message, 'app' | 'kind'>, ms: number): void
}

export const silentMeter: Meter = {
  timed: (_stage, work) => work(),
  answered: () => undefined,
  tried: () => undefined,
}
