/** Owns the loop that all drivers share: callers that each hand over the next mail as soon as their last one is answered. */
import { answer } from './ipc.ts'

/** Hand over mails for `seconds`, at most `max` of them, with so many callers at once. */
export interface Order {
  readonly tag: number
  readonly callers: number
  readonly seconds: number
  readonly max: number
  /** Where the service listens; only the HTTP load needs it. */
  readonly port?: number
}

/** Mails 0 to `issued - 1` were handed over; those in `failed` were not accepted. */
export interface Result {
  readonly issued: number
  readonly failed: readonly number[]
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Hands over one mail; says whether it was accepted. */
export type Caller = (seq: number) => Promise<boolean>

/** One entry per caller, and what to do after the last mail. */
export interface Prepared {
  readonly callers: readonly Caller[]
  close?(): void
}

/** In a driver: everything that must not be measured happens in `prepare`, the clock runs during `go`. */
export function takeOrders(prepare: (order: Order) => Promise<Prepared>): void {
  let next: { order: Order; prepared: Prepared } | undefined
  answer({
    prepare: async (order: Order) => {
      next = { order, prepared: await prepare(order) }
    },
    go: async () => {
      if (!next) throw new Error('nothing is prepared')
      const result = await drive(next.order, next.prepared.callers)
      next.prepared.close?.()
      next = undefined
      return result
    },
  })
  process.channel?.ref()
}

async function drive({ seconds, max }: Order, callers: readonly Caller[]): Promise<Result> {
  const latencies: number[] = []
  const failed: number[] = []
  let issued = 0
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(
    callers.map(async (send) => {
      for (let now = performance.now(); now < end && issued < max; ) {
        const seq = issued++
        const accepted = await send(seq)
        const done = performance.now()
        if (accepted) latencies.push(done - now)
        else failed.push(seq)
        now = done
      }
    }),
  )
  const elapsedMs = performance.now() - start
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN
  return { issued, failed, elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) }
}
