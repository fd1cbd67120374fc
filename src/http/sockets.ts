/**
 * Owns what happens on connections below the requests: their limits, and what is no request. Answers bytes that are not HTTP, never on a connection that still owes a reply (the answer would be taken for that
 * reply), and closes idle or stuck connections on shutdown.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { logFailure } from './failure.ts'
import { boundHeads } from './heads.ts'
import { intake } from './intake.ts'
import type { Log } from '../log.ts'
import { createServer, STATUS_CODES } from './node-http.ts'
import type { Meter } from '../meter.ts'

export interface SocketParts {
  readonly log: Log
  readonly meter: Pick<Meter, 'answered'> | undefined
  /** Once it is aborted, no connection is kept after an answer. */
  readonly stopping: AbortSignal | undefined
}

export interface Sockets {
  /** For the options of Fastify, which are needed before the app exists. */
  readonly clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => void
  readonly openServer: (handler: RequestListener) => Server
  /** To be called before any other hook, because a stopping service refuses every request. */
  watch(app: FastifyInstance): void
}

/** How long the shutdown waits for the rest of a request. */
const uploadGraceMs = 1_000
/** Room for the longest URL and the usual headers of a proxy. */
const maxHeaderBytes = 24 * 1024
/** Each costs memory beside its bytes; behind several proxies there are some forty. */
const maxHeaders = 100
const maxConnections = 4_096

export function socketKeeper({ log, meter, stopping }: SocketParts): Sockets {
  /** Requests without an answer yet. */
  const running = new Set<FastifyRequest>()
  /** Connections on which bytes that are not HTTP, or a CONNECT, followed a request. */
  const broken = new WeakSet<Socket>()

  const requests = intake({ refuse: (response) => answerOverload(response) })

  return {
    openServer(handler) {
      const server = createServer(
        {
          maxHeaderSize: maxHeaderBytes,
          headersTimeout: 10_000,
          // a body may not drip for ever
          requestTimeout: 15_000,
          keepAliveTimeout: 65_000,
          // by itself Node looks at these limits only every 30 s
          connectionsCheckingInterval: 1_000,
          requireHostHeader: false,
          // a stream less for each request without a body
          optimizeEmptyRequests: true,
        },
        (request, response) => {
          if (!requests.admit(request, response)) return
          heads.arrived(request.socket)
          response.once('close', () => heads.awaited(request.socket))
          // these have no use for a body, and what nobody reads would wait in the memory, piece by piece
          if (request.method === 'GET' || request.method === 'HEAD') skipBody(request)
          handler(request, response)
        },
      )
      const heads = boundHeads(server, { maxHeadBytes: maxHeaderBytes })
      server.setTimeout(60_000)
      server.maxHeadersCount = maxHeaders
      server.maxConnections = maxConnections
      return server
    },

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
      app.addHook('onSend', (request, reply, payload, done) => {
        running.delete(request)
        // the answer needs no more of the body
        skipBody(request.raw)
        requests.hold(reply.raw, sizeOf(payload))
        if (stopping?.aborted || broken.has(request.raw.socket)) reply.header('connection', 'close')
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

  /** The last answer on a connection that has asked for too much. */
  function answerOverload(response: ServerResponse): void {
    const { status, body } = lastAnswer(new MailerError('relay_unavailable', { reason: 'busy' }))
    response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    })
    response.end(body)
  }

  /** Counts and logs an answer that no route gives. */
  function lastAnswer(failure: MailerError): { status: number; body: string } {
    const { status: usual, answer } = failureAnswer(failure)
    const { code } = answer
    const status = code === 'too_large' ? 431 : usual
    logFailure(log, failure, { status, code })
    meter?.answered(undefined, status, code)
    return { status, body: JSON.stringify(answer) }
  }

  /** The last answer on a connection without a request to reply to. */
  function answerSocket(socket: Socket, failure: MailerError): void {
    const { status, body } = lastAnswer(failure)
    if (socket.writable) {
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
          `Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      )
    }
    setTimeout(() => socket.destroy(), 1_000).unref()
  }
}

/** There is mostly none, and nothing to resume. */
function skipBody(request: IncomingMessage): void {
  if (!request.readableEnded) request.resume()
}

function sizeOf(payload: unknown): number {
  return typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
}
