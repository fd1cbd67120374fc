/**
 * Owns when a relay is left alone: after failures in a row nobody has to wait for it, until one mail at a time shows
 * that it is back.
 */

/** `closed`: mail passes. `open`: none does. `half_open`: one mail is on its way to see whether the relay is back. */
export type BreakerState = 'closed' | 'open' | 'half_open'

export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly failures?: number
  /** The first pause; each failed trial doubles it. */
  readonly pauseMs?: number
  readonly maxPauseMs?: number
  readonly now?: () => number
  /** 0 to 1: a pause is shortened by up to a fifth, so that replicas do not come back in step. */
  readonly random?: () => number
}

export interface Breaker {
  state(): BreakerState
  /** Would `admit` say yes? */
  ready(): boolean
  /** May this mail be tried? In `half_open` only the first one; its end must be told, by one of the three below. */
  admit(): boolean
  /** The relay spoke to us. */
  succeeded(): void
  /** There was no way to the relay. `since`: when this mail was admitted; what is older than the state is no news. */
  failed(since: number): void
  /** The mail came to an end that says nothing about the relay. */
  abandoned(since: number): void
  /** Somebody else has seen the relay well: the pause need not be waited for. */
  hint(): void
}

export function breaker(options: BreakerOptions = {}): Breaker {
  const {
    failures = 5,
    pauseMs = 1_000,
    maxPauseMs = 60_000,
    now = () => performance.now(),
    random = Math.random,
  } = options
  let state: BreakerState = 'closed'
  let changed = -Infinity
  let inRow = 0
  let pause = pauseMs
  let openUntil = 0

  function enter(next: BreakerState): void {
    state = next
    changed = now()
  }

  function open(): void {
    enter('open')
    openUntil = changed + pause * (1 - random() / 5)
    pause = Math.min(pause * 2, maxPauseMs)
  }

  function ready(): boolean {
    return state === 'closed' || (state === 'open' && now() >= openUntil)
  }

  return {
    state: () => state,
    ready,
    admit() {
      if (state === 'closed') return true
      if (!ready()) return false
      enter('half_open')
      return true
    },
    succeeded() {
      inRow = 0
      if (state === 'closed') return
      pause = pauseMs
      enter('closed')
    },
    failed(since) {
      if (since < changed) return
      if (state === 'half_open' || (state === 'closed' && ++inRow >= failures)) open()
    },
    abandoned(since) {
      // the pause is over already, so the next mail may have the trial
      if (state === 'half_open' && since >= changed) enter('open')
    },
    hint() {
      if (state === 'open') openUntil = now()
    },
  }
}
