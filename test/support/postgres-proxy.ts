/** Owns a wire between a client and Postgres that a test can move to another server, silence, or cut at a chosen word. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { portOf } from './port.ts'

export interface PostgresProxy {
  /** The address of the database, through the proxy. */
  readonly url: string
  /** New connections go to the server of this address; those that exist stay. */
  leadTo(address: string): void
  /** Nothing passes any more on the connections that exist, and neither side is told. Answers how many they are. */
  silence(): number
  /** From the next packet on that holds `word`, nothing comes back; that packet still reaches the server, or it does not. */
  silenceAt(word: string, reaches: boolean): Promise<void>
  /** New connections are refused. */
  refuse(refusing: boolean): void
  close(): void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  silent: boolean
}

export async function postgresProxy(address: string): Promise<PostgresProxy> {
  let target = new URL(address)
  let refusing = false
  let trap: { word: string; reaches: boolean; sprung: () => void } | undefined
  const pairs = new Set<Pair>()

  const proxy = createServer((client) => {
    if (refusing) {
      client.destroy()
      return
    }
    const server = connect(Number(target.port), target.hostname)
    const pair: Pair = { client, server, silent: false }
    pairs.add(pair)
    client.on('data', (bytes: Buffer) => {
      if (pair.silent) return
      const springs = trap !== undefined && bytes.includes(trap.word)
      if (!springs || trap?.reaches) server.write(bytes)
      if (!springs || trap === undefined) return
      pair.silent = true
      trap.sprung()
      trap = undefined
    })
    server.on('data', (bytes: Buffer) => pair.silent || client.write(bytes))
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        pairs.delete(pair)
        // What is silent stays so: a silent client is not told that its server has gone.
        if (!pair.silent || socket === client) other.destroy()
      })
    }
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const through = new URL(address)
  through.hostname = '127.0.0.1'
  through.port = String(portOf(proxy))

  return {
    url: through.href,
    leadTo: (other) => (target = new URL(other)),
    silence() {
      for (const pair of pairs) pair.silent = true
      return pairs.size
    },
    silenceAt: (word, reaches) => new Promise((sprung) => (trap = { word, reaches, sprung })),
    refuse: (refuses) => (refusing = refuses),
    close() {
      proxy.close()
      for (const { client, server } of pairs) for (const socket of [client, server]) socket.destroy()
    },
  }
}
