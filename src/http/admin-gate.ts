/**
 * Owns the access of operators: a request shows the admin token as `Authorization: Bearer …` or, from a browser, a
 * cookie that holds its end and is signed with that token. The service stores no session, so any replica can check it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

const cookieName = 'jwt-mailer-admin'
const sessionMs = 8 * 3_600_000

export interface AdminGate {
  /** Does this request carry the token or a cookie that is still good? */
  isOpen(request: FastifyRequest): boolean
  isToken(given: string): boolean
  /** Sets the cookie that opens everything under `path`. */
  signIn(request: FastifyRequest, reply: FastifyReply, path: string): void
  signOut(reply: FastifyReply, path: string): void
}

/** Throws on an empty token, which would let anybody in. */
export function adminGate(adminToken: string, now: () => number = Date.now): AdminGate {
  if (adminToken === '') throw new TypeError('an empty admin token would let anybody in')
  const seal = (text: string) => createHmac('sha256', adminToken).update(text).digest()
  // Digests are of one length, which is what a comparison in constant time needs.
  const same = (a: string, b: string) => timingSafeEqual(seal(a), seal(b))
  const signed = (expires: number) => `${expires}.${seal(`admin until ${expires}`).toString('base64url')}`

  const isCookie = (value: string) => {
    const expires = Number(value.slice(0, value.indexOf('.')))
    return Number.isSafeInteger(expires) && expires > now() && same(value, signed(expires))
  }
  const attributes = (path: string) => `Path=${path}; HttpOnly; SameSite=Strict`

  return {
    isToken: (given) => same(given, adminToken),
    isOpen({ headers }) {
      const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1]
      if (bearer !== undefined) return same(bearer, adminToken)
      return isCookie(cookieOf(headers.cookie ?? ''))
    },
    signIn(request, reply, path) {
      const secure = request.protocol === 'https' ? '; Secure' : ''
      const value = signed(now() + sessionMs)
      reply.header(
        'set-cookie',
        `${cookieName}=${value}; Max-Age=${sessionMs / 1000}; ${attributes(path)}${secure}`,
      )
    },
    signOut: (reply, path) =>
      void reply.header('set-cookie', `${cookieName}=; Max-Age=0; ${attributes(path)}`),
  }
}

function cookieOf(header: string): string {
  const pair = header.split(';').find((part) => part.trimStart().startsWith(`${cookieName}=`))
  return pair?.slice(pair.indexOf('=') + 1).trim() ?? ''
}
