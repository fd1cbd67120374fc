/**
 * Owns how many bytes of heads (request line and headers) that are not whole may wait. Node keeps them outside of our
 * reach, so they are counted by what each connection has read since its last request, and looked at now and then.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export interface Heads {
  /** The head on this connection is whole. */
  arrived(socket: Socket): void
  /** What comes next on this connection is another head. */
  awaited(socket: Socket): void
}

export interface HeadsOptions {
  readonly maxHeadBytes: number
  /** Of all that are not whole. */
  readonly maxBytes?: number
}

const everyMs = 50

export function boundHeads(server: Server, options: HeadsOptions): Heads {
  const { maxHeadBytes, maxBytes = 8 * 1024 * 1024 } = options
  /** The bytes that a connection had read before its head began; the one that waits longest first. */
  const waiting = new Map<Socket, number>()

  const awaited = (socket: Socket) => {
    waiting.delete(socket)
    if (!socket.destroyed) waiting.set(socket, socket.bytesRead)
  }

  /** The oldest give way: an honest head is whole within milliseconds. */
  function sweep(): void {
    if (waiting.size * maxHeadBytes <= maxBytes) return
    let bytes = 0
    for (const [socket, before] of waiting) bytes += socket.bytesRead - before
    for (const [socket, before] of waiting) {
      if (bytes <= maxBytes) return
      const own = socket.bytesRead - before
      if (own === 0) continue
      bytes -= own
      waiting.delete(socket)
      socket.destroy()
    }
  }

  server.on('connection', (socket: Socket) => {
    awaited(socket)
    socket.once('close', () => waiting.delete(socket))
  })
  server.once('listening', () => {
    const timer = setInterval(sweep, everyMs).unref()
    server.once('close', () => clearInterval(timer))
  })
  return { arrived: (socket) => void waiting.delete(socket), awaited }
}
