/**
 * Owns the time by which the outbox decides: the database's. A replica whose own clock is 90 s ahead would take every
 * lease for over, and send mails that another replica is sending.
 */
import type { Log } from '../log.ts'
import type { Engine } from './store/engine.ts'

const compareEveryMs = 30_000
/** A clock that was set, or a machine that slept. */
const jumpMs = 1000
/** The way to the database takes as long. */
const negligibleMs = 1000
const warnedMs = 10_000

export interface StoreClock {
  readonly now: () => number
  /** Compares the clocks when that was long ago or this one has jumped. Never rejects: then the last comparison counts. */
  readonly compare: () => Promise<void>
}

export function storeClock(engine: Pick<Engine, 'name' | 'clockMs'>, log: Pick<Log, 'warn'>): StoreClock {
  let aheadMs = 0
  let comparedAt = -Infinity
  let beginning = NaN
  let warned = false
  let comparing: Promise<void> | undefined

  const isFresh = () =>
    performance.now() - comparedAt < compareEveryMs && Math.abs(beginningOf() - beginning) < jumpMs

  async function ask(): Promise<void> {
    const asked = Date.now()
    const theirs = await engine.clockMs?.().catch(() => NaN)
    if (theirs === undefined || Number.isNaN(theirs)) return
    const differenceMs = Math.round((asked + Date.now()) / 2 - theirs)
    aheadMs = Math.abs(differenceMs) < negligibleMs ? 0 : differenceMs
    comparedAt = performance.now()
    beginning = beginningOf()
    warn()
  }

  function warn(): void {
    const isOff = Math.abs(aheadMs) > warnedMs
    if (isOff && !warned)
      log.warn(
        { store: engine.name, aheadS: Math.round(aheadMs / 1000) },
        "this machine's clock differs from the database's, which the outbox goes by; tokens are still judged by this one: let it keep time by NTP",
      )
    warned = isOff
  }

  return {
    now: () => Date.now() - aheadMs,
    async compare() {
      if (engine.clockMs === undefined || isFresh()) return
      comparing ??= ask().finally(() => (comparing = undefined))
      await comparing
    },
  }
}

/** When this process began by the machine's clock: constant until that clock is set. */
const beginningOf = () => Date.now() - performance.now()
