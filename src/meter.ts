/** Owns what can be measured: the verbs of a meter, and the meter that measures nothing. */
import type { Feedback } from './feedback.ts'
import type { Message, Receipt } from './message.ts'

export type Stage = 'verify' | 'render' | 'store'

/** `given_up`: not taken within a day. `gone`: the receiver wants no more. */
export type CallOutcome = 'taken' | 'failed' | 'gone' | 'given_up'

export interface Meter {
  /** `work`, which now also records how long it takes until it returns or resolves. A failure is not recorded. */
  timing<A extends unknown[], T>(stage: Stage, work: (...args: A) => T): (...args: A) => T
  /** One answer. `route` is the route's pattern, never a path; `reason` is why it was refused. */
  answered(route: string | undefined, status: number, code: string, reason?: string): void
  /** One try at one relay, as `failover` hears of it. */
  tried(receipt: Receipt, message: Pick<Message, 'app' | 'kind'>, ms: number): void
  /** A relay has reported something new of a mail. */
  reported(relay: string, feedback: Feedback): void
  /** One callback to an app. */
  called(app: string, outcome: CallOutcome): void
}

export const silentMeter: Meter = {
  timing: (_stage, work) => work,
  answered: () => undefined,
  tried: () => undefined,
  reported: () => undefined,
  called: () => undefined,
}
