/**
 * Owns bodies that a route wants byte by byte, because what has signed them has signed the bytes (adapters, feedback).
 *
 * A plugin calls `acceptRawBodies(app)` once. Each of its routes then gets `request.body` as a `Buffer`, of any
 * Content-Type or none, of at most 256 KiB, or less where the route says `bodyLimit`. No body at all is `undefined`.
 *
 *     export async function acmeRoutes(app: FastifyInstance) {
 *       acceptRawBodies(app)
 *       app.post<{ Body: RawBody }>('/adapters/acme', async ({ body = emptyBody }) => …)
 *     }
 *
 * Register such a plugin on its own (`app.register`), so that no other route gets its bodies this way.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'

export type RawBody = Buffer | undefined

export const emptyBody = Buffer.alloc(0)

const maxRawBody = 256 * 1024

export function acceptRawBodies(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => void (route.bodyLimit ??= maxRawBody))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage) =>
    app.readBody(request, payload),
  )
}
