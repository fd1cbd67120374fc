/**
 * Owns the access of operators: a request shows the admin token as `Authorization: Bearer …` or, from a browser, a
 * cookie that holds its end and is signed with that token. The service stores no session, so any replica can check it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { MailerError } from '../errors.ts'

const cookieName = 'jwt-mailer-admin'
/** What a login opens: a cookie for each of these paths, so that none travels with other requests. */
const areas = ['/preview', '/admin'] as const
export type Area = (typeof areas)[number]
const sessionMs = 8 * 3_600_000
/** Wrong tokens of one address in a minute. */
const maxWrongTries = 10
const wrongTriesMs = 60_000
const maxAddresses = 10_000

/** The hint, because the code is also that of callers' tokens, which open nothing here. */
export function wrongAdminToken(): MailerError {
  const hint = 'this needs the ADMIN_TOKEN of the service, as Authorization: Bearer'
  return new MailerError('token_signature', { reason: 'admin token', hint })
}

export interface AdminGate {
  /** Does this request carry the token or a cookie that is still good? Throws `rate_limited` after too many wrong tokens. */
  isOpen(request: FastifyRequest): boolean
  isToken(request: FastifyRequest, given: string): boolean
  /** Sets the cookies that open the areas. */
  signIn(request: FastifyRequest, reply: FastifyReply): void
  signOut(reply: FastifyReply): void
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

  const brake = wrongTries(now)
  const isToken = ({ ip }: FastifyRequest, given: string) => {
    brake.check(ip)
    const isRight = same(given, adminToken)
    if (!isRight) brake.count(ip)
    return isRight
  }

  return {
    isToken,
    isOpen(request) {
      const { headers } = request
      const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1]
      if (bearer !== undefined) return isToken(request, bearer)
      return isCookie(cookieOf(headers.cookie ?? ''))
    },
    signIn(request, reply) {
      const secure = request.protocol === 'https' ? '; Secure' : ''
      setCookies(reply, signed(now() + sessionMs), sessionMs / 1000, secure)
    },
    signOut: (reply) => setCookies(reply, '', 0),
  }
}

function setCookies(reply: FastifyReply, value: string, maxAgeS: number, secure = ''): void {
  const cookie = (path: Area) =>
    `${cookieName}=${value}; Max-Age=${maxAgeS}; Path=${path}; HttpOnly; SameSite=Strict${secure}`
  reply.header('set-cookie', areas.map(cookie))
}

/** Counts by address, so that a stranger's wrong tokens lock nobody else out. */
function wrongTries(now: () => number) {
  const tries = new Map<string, { count: number; readonly until: number }>()
  const standing = (address: string) => {
    const known = tries.get(address)
    return known && known.until > now() ? known : undefined
  }
  return {
    check(address: string): void {
      const known = standing(networkOf(address))
      if (!known || known.count < maxWrongTries) return
      const retryAfterS = Math.ceil((known.until - now()) / 1000)
      throw new MailerError('rate_limited', { reason: 'admin token', retryAfterS })
    },
    count(address: string): void {
      const network = networkOf(address)
      const known = standing(network)
      if (known) return void known.count++
      tries.delete(network)
      tries.set(network, { count: 1, until: now() + wrongTriesMs })
      const [oldest] = tries.keys()
      if (tries.size > maxAddresses && oldest !== undefined) tries.delete(oldest)
    },
  }
}

/** Whoever has one IPv6 address has 2^64 of them. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address
  const [head = '', tail] = address.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(tail === undefined ? 0 : 8 - first.length - last.length).fill('0')
  return [...first, ...zeros, ...last].slice(0, 4).join(':')
}

function cookieOf(header: string): string {
  const pair = header.split(';').find((part) => part.trimStart().startsWith(`${cookieName}=`))
  return pair?.slice(pair.indexOf('=') + 1).trim() ?? ''
}
