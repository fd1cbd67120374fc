/** Owns wires between programs on loopback that can be cut as a network is: neither end is told, and what is sent arrives once the wire is whole again. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Wire {
  cut(): void
  mend(): void
  close(): void
}

/** Leads from the port `from` to the port `to`. */
export async function openWire(from: number, to: number): Promise<Wire> {
  /** Each with the socket at the other end. */
  const ends = new Map<Socket, Socket>()
  /** Connections that were begun while the wire was cut. */
  const waiting = new Set<Socket>()
  let isCut = false

  function hold(socket: Socket, other: Socket): void {
    ends.set(socket, other)
    socket.on('data', (bytes: Buffer) => {
      if (other.write(bytes)) return
      socket.pause()
      other.once('drain', () => isCut || socket.resume())
    })
    socket.on('error', () => undefined)
    socket.once('close', () => {
      ends.delete(socket)
      // the other end learns of it through the wire
      if (!isCut) other.destroySoon()
    })
  }

  function join(client: Socket): void {
    const server = connect(to, '127.0.0.1')
    hold(client, server)
    hold(server, client)
    client.resume()
  }

  const server = createServer({ pauseOnConnect: true }, (client) => {
    if (!isCut) return join(client)
    waiting.add(client)
    client.on('error', () => undefined)
    client.once('close', () => waiting.delete(client))
  })
  server.listen(from, '127.0.0.1')
  await once(server, 'listening')

  return {
    cut() {
      isCut = true
      for (const socket of ends.keys()) socket.pause()
    },
    mend() {
      isCut = false
      for (const [socket, other] of ends) {
        if (other.destroyed) socket.destroySoon()
        else socket.resume()
      }
      for (const client of waiting) join(client)
      waiting.clear()
    },
    close() {
      server.close()
      for (const socket of [...ends.keys(), ...waiting]) socket.destroy()
    },
  }
}
