/** Owns the service's end: what it is told by, and that what was begun comes to its end first, in time. */
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { describeError, type Log } from './log.ts'
import type { Transport } from './message.ts'
import type { Outbox } from './outbox/api.ts'
import type { Pump } from './outbox/pump.ts'
import type { Inbox } from './dev/inbox-server.ts'

/** Heroku kills 30 s after SIGTERM. A mail on its way takes 20 s at most, and its end must still reach the store. */
const graceMs = 24_500
const attemptGraceMs = 20_500
const storeGraceMs = 23_000
/**
 * A group of processes that is stopped hears it from the terminal or the platform, and once more from npm, which passes
 * it on: the second time must not cut what may still end. A person who presses Ctrl-C again means it.
 */
const signalsNpmRepeats = ['SIGTERM', 'SIGINT'] as const
const secondCtrlCAfterMs = 1_000

export interface ShutdownParts {
  readonly app: FastifyInstance
  readonly pump: Pump
  readonly transport: Transport
  readonly outbox: Outbox
  readonly inbox: Inbox | undefined
  readonly log: Log
}

/** From now on a signal or a crash ends the process: with 0 when it was told to and all came to its end, else with 1. */
export function shutDownInOrder({ app, pump, transport, outbox, inbox, log }: ShutdownParts): void {
  let heard: { signal: NodeJS.Signals; at: number } | undefined

  async function end(): Promise<void> {
    const begun = Date.now()
    // nothing begins any more: what had not reached the relay yet goes to another replica, what runs ends in its time
    await Promise.all([app.close(), pump.stop(attemptGraceMs), transport.close()])
    // the last receipts are on their way to `settle`
    await new Promise(setImmediate)
    // a store that hangs may not cost the orderly end: what it has not heard, the lease tells the next replica
    const leftMs = storeGraceMs - (Date.now() - begun)
    await Promise.race([outbox.close(leftMs - 500), sleep(leftMs)])
    await inbox?.close()
    await new Promise((flushed) => log.flush(flushed))
  }

  const logger = {
    error: (bug: unknown) =>
      log.error(typeof bug === 'string' ? { reason: bug } : { bug: describeError(bug) }, 'stopping failed'),
  }
  const grace = { delay: graceMs, logger, skip: [...signalsNpmRepeats] }
  const { close } = closeWithGrace(grace, async ({ err, signal = heard?.signal }) => {
    heard ??= { signal: 'SIGTERM', at: Date.now() }
    if (err) log.fatal({ bug: describeError(err) }, 'crash')
    else log.info({ signal }, 'stopping')
    await end()
  })
  for (const signal of signalsNpmRepeats)
    process.on(signal, () => {
      const insists = heard && signal === 'SIGINT' && Date.now() - heard.at > secondCtrlCAfterMs
      if (insists) process.exit(1)
      if (heard) return
      heard = { signal, at: Date.now() }
      close()
    })
}
