/** Owns the shutdown: which signals begin it, the order of its steps, and how long each of them may take. */
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { describeError, type Log } from './log.ts'
import type { Transport } from './message.ts'
import type { Callbacks } from './callbacks/callbacks.ts'
import type { Outbox } from './outbox/api.ts'
import type { Pump } from './outbox/pump.ts'
import type { Inbox } from './dev/inbox-server.ts'
import { stopListening } from './http/stop-listening.ts'
import { pause, within } from './timers.ts'

/** Heroku kills 30 s after SIGTERM. A running try takes 20 s at most, and its receipt must still reach the store. */
export const graceMs = 24_500
const attemptGraceMs = 20_500
/** A callback that is cut off is made again. Those of mails that are sent meanwhile are made by the next start. */
const callGraceMs = 10_000
const storeGraceMs = 23_000
/**
 * A terminal or a platform signals every process of a group, and npm passes its own signal on as well, so the service
 * gets one signal twice. The second must not cut off running tries. A SIGINT that comes later is a person's second Ctrl-C.
 */
const signalsNpmRepeats = ['SIGTERM', 'SIGINT'] as const
const secondCtrlCAfterMs = 1_000

export interface ShutdownParts {
  readonly app: FastifyInstance
  readonly pump: Pump
  readonly callbacks: Callbacks | undefined
  readonly counting: { stop(): Promise<void> } | undefined
  readonly transport: Transport
  readonly outbox: Outbox
  readonly inbox: Inbox | undefined
  readonly log: Log
  /** Aborted when the shutdown begins: from then on the service tells balancers and callers to go elsewhere. */
  readonly stopping: AbortController
  /** How long requests are still answered after that, for balancers that need time. */
  readonly delayMs: number
}

/** From now on a signal or a crash ends the process: with 0 after a signal and an orderly shutdown, else with 1. */
export function shutDownInOrder(parts: ShutdownParts): void {
  const { app, pump, callbacks, counting, transport, outbox, inbox, log, stopping, delayMs } = parts
  let first: { signal: NodeJS.Signals; at: number } | undefined

  async function stopParts(): Promise<void> {
    const begun = Date.now()
    await stopListening(app.server)
    // nothing new begins: mails that have not reached the relay go to another replica, running tries may finish
    await Promise.all([
      app.close(),
      pump.stop(attemptGraceMs),
      callbacks?.stop(callGraceMs),
      transport.close(),
    ])
    // lets the last receipts reach `settle`
    await new Promise(setImmediate)
    await counting?.stop()
    // a hanging store must not prevent the rest: a mail it does not settle goes to the next replica when its lease ends
    const leftMs = storeGraceMs - (Date.now() - begun)
    await within(leftMs, outbox.close(leftMs - 500))
    await inbox?.close()
    await new Promise((flushed) => log.flush(flushed))
  }

  const logger = {
    error: (bug: unknown) =>
      log.error(typeof bug === 'string' ? { reason: bug } : { bug: describeError(bug) }, 'stopping failed'),
  }
  const grace = { delay: delayMs + graceMs, logger, skip: [...signalsNpmRepeats] }
  const { close } = closeWithGrace(grace, async ({ err, signal = first?.signal }) => {
    first ??= { signal: 'SIGTERM', at: Date.now() }
    if (err) log.fatal({ bug: describeError(err) }, 'crash')
    else log.info({ signal }, 'stopping')
    stopping.abort()
    if (!err) await pause(delayMs)
    await stopParts()
  })
  for (const signal of signalsNpmRepeats)
    process.on(signal, () => {
      const isSecondCtrlC = first && signal === 'SIGINT' && Date.now() - first.at > secondCtrlCAfterMs
      if (isSecondCtrlC) process.exit(1)
      if (first) return
      first = { signal, at: Date.now() }
      close()
    })
}
