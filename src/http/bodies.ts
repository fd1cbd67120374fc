/**
 * Owns the reading of request bodies: each is copied into one buffer of its own, whatever number of pieces it comes in,
 * and all bodies that are not whole yet share one bound. A route reads a body only where a type of body is accepted
 * for it: `acceptJson` and `acceptText` here, `acceptRawBodies` in raw-body.ts.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { MailerError } from '../errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    readonly readBody: ReadBody
  }
}

/** Rejects with `too_large` above the route's `bodyLimit`, and with `relay_unavailable` where the bound needs its place. */
export type ReadBody = (request: FastifyRequest, payload: IncomingMessage) => Promise<Buffer>

/** A body takes at most 64 KiB (256 KiB for a foreign caller's), nearly always in one piece, which needs no place here. */
const maxUnfinishedBytes = 8 * 1024 * 1024
const leastBuffer = 1_024
const nothing = Buffer.alloc(0)

interface Unfinished {
  buffer: Buffer
  readonly giveUp: () => void
}

export function bodyReader(maxBytes = maxUnfinishedBytes): ReadBody {
  /** In the order of their first piece. */
  const unfinished = new Set<Unfinished>()
  let held = 0

  /** The oldest gives way: whoever sends at an honest speed is done long before it becomes the oldest. */
  function hold(body: Unfinished, bytes: number): void {
    const bigger = Buffer.allocUnsafeSlow(bytes)
    body.buffer.copy(bigger)
    held += bigger.length - body.buffer.length
    body.buffer = bigger
    unfinished.add(body)
    for (const oldest of unfinished) {
      if (held <= maxBytes) return
      oldest.giveUp()
    }
  }

  function release(body: Unfinished): void {
    if (unfinished.delete(body)) held -= body.buffer.length
  }

  return (request, payload) =>
    new Promise((resolve, reject) => {
      const limit = request.routeOptions.bodyLimit ?? 0
      const announced = Number(request.headers['content-length'] ?? Number.NaN)
      const body: Unfinished = { buffer: nothing, giveUp: () => fail('relay_unavailable', 'busy') }
      let length = 0
      if (announced > limit) return fail('too_large', 'size')
      // there is none, and Node tells the end of no such stream
      if (payload.readableEnded) return resolve(nothing)
      payload.on('data', take).on('end', finish).on('error', breakOff)

      function take(piece: Buffer): void {
        const before = length
        length += piece.length
        if (length > limit) return fail('too_large', 'size')
        if (before === 0 && length === announced) {
          body.buffer = piece
          return
        }
        if (length > body.buffer.length) hold(body, roomFor(length, limit, announced))
        piece.copy(body.buffer, before)
      }

      function finish(): void {
        if (announced >= 0 && length !== announced) return fail('bad_request', 'body')
        stop()
        resolve(body.buffer.subarray(0, length))
      }

      function breakOff(): void {
        fail('bad_request', 'body')
      }

      function fail(
        code: 'too_large' | 'relay_unavailable' | 'bad_request',
        reason: 'size' | 'busy' | 'body',
      ) {
        stop()
        // what still comes is thrown away, until the answer has closed the connection
        payload.resume()
        reject(new MailerError(code, { reason }))
      }

      function stop(): void {
        release(body)
        payload.off('data', take).off('end', finish).off('error', breakOff)
        payload.on('error', ignore)
      }
    })
}

/** Twice the bytes that have come, so that copies stay few; never the bytes that are only announced. */
function roomFor(length: number, limit: number, announced: number): number {
  const most = announced >= 0 ? Math.min(limit, announced) : limit
  return Math.max(length, Math.min(most, Math.max(leastBuffer, 2 * length)))
}

function ignore(): void {}

/** The routes of `app` take bodies of JSON. */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', (request, payload, done) => {
    app.readBody(request, payload).then((bytes) => parse(request, bytes.toString(), done), done)
  })
}

/** The routes of `app` take bodies of plain text. */
export function acceptText(app: FastifyInstance): void {
  app.addContentTypeParser('text/plain', async (request: FastifyRequest, payload: IncomingMessage) =>
    (await app.readBody(request, payload)).toString(),
  )
}

/** Throws `bad_request` for a body that does not fit. */
export function readAs<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (!parsed.success) throw new MailerError('bad_request', { reason: 'body' })
  return parsed.data
}
