/**
 * Owns the end of listening. Closing a listener resets every connection that the kernel has accepted and the program has
 * not, and closing a kept connection resets the request that is just arriving on it.
 */
import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Under a load that leaves no quiet turn. A platform that stops us has begun to send the load elsewhere. */
const busyMs = 500
/** In a longer turn of the event loop the processor was with somebody else, and callers may have connected meanwhile. */
const quietTurnMs = 0.1

/** Goes on serving until nothing waits in the kernel, and closes the listener then; the same for idle connections. */
export async function stopListening(server: Server): Promise<void> {
  await quietTurn()
  // the listener alone: `close` of an HTTP server closes connections first, and callers connect in the meantime
  NetServer.prototype.close.call(server)
  await quietTurn()
  server.close()
}

/** Resolves in a turn of the event loop that brought nothing, or when there is none for long. */
async function quietTurn(): Promise<void> {
  const until = performance.now() + busyMs
  for (;;) {
    const { events } = performance.nodeTiming.uvMetricsInfo
    const begun = performance.now()
    await nextTurn()
    const now = performance.now()
    const isQuiet = performance.nodeTiming.uvMetricsInfo.events === events && now - begun < quietTurnMs
    if (isQuiet || now > until) return
  }
}
