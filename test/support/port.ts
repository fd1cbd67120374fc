/** Owns the ports of tests: of a server that listens, and free ones to be named before a server listens there. */
import { once } from 'node:events'
import { createServer } from 'node:net'

export { portOf } from '../../src/port.ts'

/**
 * The kernel hands ports above these to every connection and every server that asks for any (from 32768 on Linux, 49152
 * on macOS). One of them can be a stranger's a moment after it was free.
 */
const [first, end] = [10_000, 32_000]
/** Files that run side by side have ports of their own: what one has found free, another could take before it listens. */
const most = 64
const own = Number(process.env['VITEST_POOL_ID'] ?? 0) % most
const given = new Set<number>()

/** A port of the loopback interface that nobody listens at, and that nobody is given who does not name it. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = first + own + most * Math.floor((Math.random() * (end - first - own)) / most)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error('no port is free')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const free = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, '127.0.0.1')
  if (!(await free)) return false
  server.close()
  await once(server, 'close')
  return true
}
