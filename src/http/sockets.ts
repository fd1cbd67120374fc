/**
 * Owns what Node leaves to us below the requests: what is no HTTP gets an answer too, none is taken for that of another
 * request, and a stop waits for no connection that only hangs.
 */
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { logFailure } from './failure.ts'
import type { Log } from '../log.ts'
import { STATUS_CODES } from './node-http.ts'
import type { Meter } from '../meter.ts'

export interface SocketParts {
  readonly log: Log
  readonly meter: Pick<Meter, 'answered'> | undefined
}

export interface Sockets {
  /** For Fastify's option, which is wanted before there is an app. */
  readonly clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => void
  /** Before any other hook: a service that stops takes no request. */
  watch(app: FastifyInstance): void
}

/** How long a stop waits for the rest of a request. */
const uploadGraceMs = 1_000

export function socketKeeper({ log, meter }: SocketParts): Sockets {
  /** Requests without an answer yet. */
  const running = new Set<FastifyRequest>()
  /** Connections on which something followed that is no HTTP, or a CONNECT. */
  const broken = new WeakSet<Socket>()

  return {
    /** What Node could not read as HTTP never becomes a request. */
    clientErrorHandler(error, socket) {
      if (error.code === 'ECONNRESET' || socket.destroyed) return
      if (endsAfterAnswer(socket)) return
      const code = error.code === 'HPE_HEADER_OVERFLOW' ? 'too_large' : 'bad_request'
      answerSocket(socket, new MailerError(code, { reason: 'http' }))
    },

    watch(app) {
      const { server } = app
      // without these two Node answers by itself: an empty 417, or nothing at all
      server.on('checkExpectation', (request, response) => server.emit('request', request, response))
      server.on('connect', (_request, socket: Socket) => {
        if (!endsAfterAnswer(socket)) answerSocket(socket, new MailerError('method_not_allowed'))
      })

      let closing: NodeJS.Timeout | undefined
      app.addHook('preClose', async () => {
        const uploadsUntil = performance.now() + uploadGraceMs
        closing = setInterval(() => {
          // a connection whose last request was running at the stop would otherwise be kept alive for a minute
          server.closeIdleConnections()
          // and one that never sends the rest of its request for ever: Node's own limits end with the listening
          const whole = [...running].some(({ raw }) => raw.complete)
          if (!whole && performance.now() > uploadsUntil) server.closeAllConnections()
        }, 100)
      })
      app.addHook('onClose', async () => clearInterval(closing))
      app.addHook('onRequest', (request, reply, done) => {
        running.add(request)
        if (!closing) return done()
        reply.header('connection', 'close')
        done(new MailerError('relay_unavailable', { reason: 'closing' }))
      })
      app.addHook('onSend', (request, reply, _payload, done) => {
        running.delete(request)
        if (broken.has(request.raw.socket)) reply.header('connection', 'close')
        done()
      })
    },
  }

  /** An answer to what follows a whole request would be taken for that request's own. */
  function endsAfterAnswer(socket: Socket): boolean {
    const owed = [...running].some(({ raw }) => raw.socket === socket && raw.complete)
    if (owed) broken.add(socket)
    return owed
  }

  /** The last answer on a connection that has no request we could reply to. */
  function answerSocket(socket: Socket, failure: MailerError): void {
    const { status: usual, answer } = failureAnswer(failure)
    const { code } = answer
    const status = code === 'too_large' ? 431 : usual
    logFailure(log, failure, { status, code })
    meter?.answered(undefined, status, code)
    const body = JSON.stringify(answer)
    if (socket.writable) {
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
          `Cache-Control: no-store\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      )
    }
    setTimeout(() => socket.destroy(), 1_000).unref()
  }
}
