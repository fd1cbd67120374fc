/**
 * Owns what happens on connections below the requests. Answers bytes that are not HTTP, never on a connection that still owes a reply (the answer would be taken for that
 * reply), and closes idle or stuck connections on shutdown.
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
  /** For the option of Fastify, which is needed before the app exists. */
  readonly clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => void
  /** To be called before any other hook, because a stopping service refuses every request. */
  watch(app: FastifyInstance): void
}

/** How long the shutdown waits for the rest of a request. */
const uploadGraceMs = 1_000

export function socketKeeper({ log, meter }: SocketParts): Sockets {
  /** Requests without an answer yet. */
  const running = new Set<FastifyRequest>()
  /** Connections on which bytes that are not HTTP, or a CONNECT, followed a request. */
  const broken = new WeakSet<Socket>()

  return {
    /** Bytes that Node cannot read as HTTP never become a request. */
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
          // a connection whose last request was running when the shutdown began would live for a minute more
          server.closeIdleConnections()
          // a connection that never sends the rest of its request would live for ever: Node no longer checks its limits
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

  /** The last answer on a connection without a request to reply to. */
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
