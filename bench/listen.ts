/** Owns where the bench listens: on a free port of this machine alone. */
import { once } from 'node:events'
import type { Server } from 'node:net'

/** Resolves to the port. */
export async function listenLocally(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('listens, but not on a port')
  return address.port
}
