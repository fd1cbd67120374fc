/**
 * Owns how much may wait: requests that are not answered to the end, and answers that are not read.
 *
 * Node hands out every request of the 64 KiB that it has read before it looks at what waits to be sent, so a stranger
 * who asks without reading would fill the memory. One request of each connection is always taken; what is pipelined
 * behind it takes one of the places that all connections share, so nobody who waits for his answers is ever refused.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface Intake {
  /** False: the connection has asked for too much, `refuse` has been called once for it, and it is about to close. */
  admit(request: IncomingMessage, response: ServerResponse): boolean
  /** An answer of so many bytes is on its way to `response`. When too many are, the one that waits longest is cut off. */
  hold(response: ServerResponse, bytes: number): void
}

export interface IntakeOptions {
  /** Gives the last answer on a connection. */
  readonly refuse: (response: ServerResponse) => void
  readonly maxPipelined?: number
  readonly maxPipelinedInAll?: number
  readonly maxAnswerBytes?: number
}

interface Connection {
  readonly open: Set<ServerResponse>
  isRefused: boolean
}

/** How long a refused connection may take to read its last answers. */
const refusedGraceMs = 1_000

export function intake(options: IntakeOptions): Intake {
  const { refuse, maxPipelined = 64, maxPipelinedInAll = 512, maxAnswerBytes = 8 * 1024 * 1024 } = options
  const connections = new WeakMap<Socket, Connection>()
  /** Bytes by answer, in the order in which they were given. */
  const answers = new Map<ServerResponse, number>()
  let pipelined = 0
  let answerBytes = 0

  function connectionOf(socket: Socket): Connection {
    const known = connections.get(socket)
    if (known) return known
    const connection: Connection = { open: new Set(), isRefused: false }
    connections.set(socket, connection)
    socket.once('close', () => {
      // Node tells only the first of its answers
      for (const response of connection.open) end(connection, response)
    })
    return connection
  }

  function end({ open }: Connection, response: ServerResponse): void {
    if (!open.delete(response)) return
    if (open.size > 0) pipelined--
    forget(response)
  }

  function forget(response: ServerResponse): void {
    answerBytes -= answers.get(response) ?? 0
    answers.delete(response)
  }

  function turnAway(connection: Connection, socket: Socket, response: ServerResponse): void {
    readNoFurther(socket)
    if (connection.isRefused) return
    connection.isRefused = true
    refuse(response)
    socket.pause()
    setTimeout(() => socket.destroy(), refusedGraceMs).unref()
  }

  return {
    admit(request, response) {
      const { socket } = request
      if (socket.destroyed) {
        readNoFurther(socket)
        return false
      }
      const connection = connectionOf(socket)
      const { open } = connection
      const isPipelined = open.size > 0
      const isTooMuch = isPipelined && (open.size >= maxPipelined || pipelined >= maxPipelinedInAll)
      if (connection.isRefused || isTooMuch) {
        turnAway(connection, socket, response)
        return false
      }
      if (isPipelined) pipelined++
      open.add(response)
      response.once('close', () => end(connection, response))
      return true
    },

    hold(response, bytes) {
      const { req: request } = response
      // not one of `inject`
      if (!connections.get(request.socket)?.open.has(response)) return
      const total = bytes + headBytes(request)
      answers.set(response, total)
      answerBytes += total
      for (const oldest of answers.keys()) {
        if (answerBytes <= maxAnswerBytes || oldest === response) return
        forget(oldest)
        oldest.req.socket.destroy()
      }
    },
  }
}

/** What Node does not document of a connection: its parser asks this for each request, and by a 2 it skips all others. */
interface ParsedSocket {
  readonly parser?: { onIncoming: () => number } | null
}

/**
 * Throws away the requests behind this one. Node would make an object of each, some 2,000 in what it reads at once, and
 * keep them all until the connection closes: with forty connections in one turn of the event loop, 100 MiB.
 */
function readNoFurther(socket: Socket & ParsedSocket): void {
  if (socket.parser) socket.parser.onIncoming = () => 2
}

/** A request is in the memory for as long as its answer. */
function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, url.length)
}
