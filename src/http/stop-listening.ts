/**
 * Owns the end of listening. Closing a listener resets every connection that the kernel has accepted and the program has
 * not, and closing a kept connection resets the request that is just arriving on it.
 */
import type { Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

/** Under a load that leaves no quiet turn. A platform that stops us has begun to send the load elsewhere. */
const busyMs = 500
/** A kept connection whose caller is busy brings its next request sooner, and is told to leave with the answer. */
const idleMs = 100
const keptMs = 1_000
const lookMs = 20

/** Goes on serving until nothing waits in the kernel, and closes the listener then; the same for idle connections. */
export async function stopListening(server: Server): Promise<void> {
  shortenQueue(server)
  await quietTurn()
  // the listener alone: `close` of an HTTP server closes connections first, and callers connect in the meantime
  NetServer.prototype.close.call(server)
  await keptConnectionsLeft(server)
  server.close()
}

/**
 * From now on the kernel accepts one connection at a time for us, so that at most one is there when the listener closes.
 * The others try again by themselves, and are refused. Node has this on the handle only; without it nothing is lost but that.
 */
function shortenQueue(server: Server & { _handle?: { listen?(length: number): number } | null }): void {
  // oxlint-disable-next-line no-underscore-dangle -- not public; a test holds what it does
  server._handle?.listen?.(0)
}

/** Resolves in a turn of the event loop that brought nothing, or when there is none for long. */
async function quietTurn(): Promise<void> {
  const until = performance.now() + busyMs
  for (;;) {
    const { events } = performance.nodeTiming.uvMetricsInfo
    await nextTurn()
    if (performance.nodeTiming.uvMetricsInfo.events === events || performance.now() > until) return
  }
}

/** Resolves when none is left, or when no request has come for a moment. */
async function keptConnectionsLeft(server: Server): Promise<void> {
  const begun = performance.now()
  let cameAt = begun
  const note = () => void (cameAt = performance.now())
  server.on('request', note)
  while ((await connectionsOf(server)) > 0) {
    await sleep(lookMs)
    const now = performance.now()
    if (now - cameAt > idleMs || now - begun > keptMs) break
  }
  server.off('request', note)
}

const connectionsOf = (server: Server) =>
  new Promise<number>((counted) => {
    server.getConnections((_error, connections) => counted(connections))
  })
