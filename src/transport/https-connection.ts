/** Owns when a connection by HTTPS stands, and why it does not. */
import type { ClientRequest } from 'node:http'
import { TLSSocket } from 'node:tls'
import { causeOf, reasonOf, type Trouble } from './smtp-reply.ts'

/** Calls back when the connection has passed TLS, and not at all when it does not come to that. */
export function whenConnected(call: ClientRequest, callback: () => void): void {
  call.once('socket', (socket) => {
    if (call.destroyed) return
    // a connection that has carried a mail before is let in already, and says nothing more
    if (socket instanceof TLSSocket && socket.authorized) callback()
    else socket.once('secureConnect', callback)
  })
}

export function connectionTrouble(error: unknown): Trouble {
  const cause = error instanceof Error ? causeOf(error) : undefined
  return { reason: reasonOf(cause ?? ''), cause }
}
