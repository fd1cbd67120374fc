/** Owns the one way to read the port of a listening server, which Node types as an address or the path of a socket. */
import type { AddressInfo } from 'node:net'

/** Throws when the server does not listen on a TCP port. */
export function portOf(server: { address(): string | AddressInfo | null }): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null)
    throw new TypeError('the server listens on no TCP port')
  return address.port
}
