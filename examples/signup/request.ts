/** Owns what all routes share: the parts they are given, how a form is read, and how often somebody may ask. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Accounts } from './accounts.ts'
import type { openMails } from './mails.ts'
import { page } from './pages.ts'

export interface Site {
  readonly accounts: Accounts
  readonly mails: ReturnType<typeof openMails>
}

/** `lax`: who comes by a link in a mail is still signed in, and a form on another site is not. */
export const cookieOptions = (secure: boolean) =>
  ({ path: '/', httpOnly: true, sameSite: 'lax', secure }) as const
export type CookieOptions = ReturnType<typeof cookieOptions>

export type Routes = (app: FastifyInstance, site: Site, cookies: CookieOptions) => void

/** A field of a form, trimmed unless it is a password; an empty text when it is missing or not a text. */
export function field({ body }: FastifyRequest, name: string): string {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
  return typeof value !== 'string' ? '' : name === 'password' ? value : value.trim()
}

/** In lower case, because nobody has two accounts that differ in nothing else; `undefined` when it is no address. */
export function addressIn(request: FastifyRequest): string | undefined {
  const address = field(request, 'address').toLowerCase()
  return /^[^\s@<>"(),:;[\]\\]{1,64}@[^\s@<>"(),:;[\]\\]+\.[^\s@<>"(),:;[\]\\]+$/.test(address) &&
    address.length <= 254
    ? address
    : undefined
}

export const sessionOf = ({ cookies }: FastifyRequest) => cookies['session'] ?? ''

export function tooOften(reply: FastifyReply): FastifyReply {
  const told = 'Please wait a while before you try again.'
  return reply.code(429).send(page({ title: 'That was often', told, links: [['Home', '/']] }))
}

const hourMs = 3_600_000

/**
 * Counted for where it came from and for what was typed, whether or not there is such an account. In this order: who is
 * over the first uses up nobody else's second.
 */
export function mayAsk({ accounts }: Site, request: FastifyRequest, what: string, address: string): boolean {
  return (
    accounts.mayGoOn(`${what} from ${request.ip}`, 60, hourMs) &&
    accounts.mayGoOn(`${what} for ${address}`, 5, hourMs)
  )
}
