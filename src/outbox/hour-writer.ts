/** Owns how what was counted by the hour reaches the store: once a minute, at the end, and before an operator reads it. */
import { MailerError } from '../errors.ts'
import type { HourCounts } from '../hour-counts.ts'
import type { Log } from '../log.ts'
import { pause, within } from '../timers.ts'
import type { Outbox } from './api.ts'

/** Counting holds up the next mail: 7 ms for ten thousand of each state, seconds for ten million. */
export const mostOnPage = 10_000

const everyMs = 60_000
/** However often the page is read. */
const leastMs = 5_000
const lastWriteMs = 2_000

export interface HourWriterParts {
  readonly counts: HourCounts
  readonly outbox: Pick<Outbox, 'addHours' | 'stats'>
  readonly log: Pick<Log, 'error'>
}

export interface HourWriter {
  /** Writes what was counted, unless that was done a moment ago. Never rejects. */
  readonly refresh: () => Promise<void>
  /** Begins to write once a minute. */
  readonly start: () => { stop(): Promise<void> }
}

export function hourWriter({ counts, outbox, log }: HourWriterParts): HourWriter {
  let writing: Promise<void> | undefined
  let writtenAt = -Infinity

  async function write(): Promise<void> {
    const taken = counts.take()
    if (taken.length === 0) return
    try {
      await outbox.addHours(taken)
    } catch (error) {
      const isUnwritten = error instanceof MailerError && error.code === 'store_unavailable'
      // of what may be there already, a minute is rather missing than there twice
      if (isUnwritten) counts.putBack(taken)
      else if (!(error instanceof MailerError))
        log.error({ reason: 'internal' }, 'counters of the operator’s page are lost')
    }
  }

  /** One at a time. */
  function writeNow(): Promise<void> {
    writing ??= write().finally(() => {
      writing = undefined
      writtenAt = performance.now()
    })
    return writing
  }

  async function noteDepth(): Promise<void> {
    try {
      const { sending, queued } = await outbox.stats(mostOnPage)
      counts.noteWaiting(sending + queued)
    } catch {
      // the outbox has logged that its store is unavailable
    }
  }

  async function work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(everyMs, signal)
      if (signal.aborted) return
      await noteDepth()
      await writeNow()
    }
  }

  return {
    refresh: async () => (performance.now() - writtenAt < leastMs ? undefined : writeNow()),
    start() {
      const stopping = new AbortController()
      void work(stopping.signal)
      return {
        async stop() {
          stopping.abort()
          await writing
          await within(lastWriteMs, writeNow())
        },
      }
    },
  }
}
