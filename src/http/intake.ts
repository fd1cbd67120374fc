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
  refused: number
}

/** How long a refused connection may take to read its last answers. */
const refusedGraceMs = 1_000
/** Requests behind a refused one are in the memory until their connection closes. With more of them, it closes at once. */
const maxRefusedInAll = 2_048

export function intake(options: IntakeOptions): Intake {
  const { refuse, maxPipelined = 64, maxPipelinedInAll = 512, maxAnswerBytes = 8 * 1024 * 1024 } = options
  const connections = new WeakMap<Socket, Connection>()
  /** Bytes by answer, in the order in which they were given. */
  const answers = new Map<ServerResponse, number>()
  let pipelined = 0
  let refused = 0
  let answerBytes = 0

  function connectionOf(socket: Socket): Connection {
    const known = connections.get(socket)
    if (known) return known
    const connection: Connection = { open: new Set(), refused: 0 }
    connections.set(socket, connection)
    socket.once('close', () => {
      // Node tells only the first of its answers
      for (const response of connection.open) end(connection, response)
      refused -= connection.refused
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
    connection.refused++
    refused++
    if (refused > maxRefusedInAll) return void socket.destroy()
    if (connection.refused > 1) return
    refuse(response)
    socket.pause()
    setTimeout(() => socket.destroy(), refusedGraceMs).unref()
  }

  return {
    admit(request, response) {
      const { socket } = request
      if (socket.destroyed) return false
      const connection = connectionOf(socket)
      const { open } = connection
      const isPipelined = open.size > 0
      const isTooMuch = isPipelined && (open.size >= maxPipelined || pipelined >= maxPipelinedInAll)
      if (connection.refused > 0 || isTooMuch) {
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

/** A request is in the memory for as long as its answer. */
function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length, url.length)
}
