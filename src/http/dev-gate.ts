/**
 * Owns who may see the pages of a developer's machine and the JSON behind them. A page of another site reaches them in
 * two ways: by a name of its own that leads to this machine (DNS rebinding), and by requests that it makes a browser
 * send. The first is told by `Host`, the second by `Sec-Fetch-Site` or `Origin`.
 */
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { MailerError } from '../errors.ts'

/** `host`: where the service listens. Throws `bad_request` for whoever asks by a name that is none of this machine. */
export function refuseForeignNames({ headers }: FastifyRequest, host: string): void {
  const name = nameIn(headers.host ?? '')
  const isOurs = isLoopbackName(name) || (!isLoopbackName(host) && (name === host || isIP(name) !== 0))
  if (!isOurs) throw new MailerError('bad_request', { reason: 'foreign_name' })
}

/** Throws `bad_request` for what a page of another site makes a browser send, but for a plain visit. Programs may ask. */
export function refuseOtherSites({ headers, method }: FastifyRequest): void {
  const site = headers['sec-fetch-site']
  const { origin } = headers
  const isOurs =
    site === undefined
      ? origin === undefined || URL.parse(origin)?.host === headers.host
      : site === 'same-origin' || (method === 'GET' && (site === 'none' || isVisit(headers)))
  if (!isOurs) throw new MailerError('bad_request', { reason: 'origin' })
}

/** A link that was followed: the page that holds it sees nothing of ours. */
function isVisit(headers: FastifyRequest['headers']): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

/** Without the port, and an IPv6 address without its brackets. */
function nameIn(host: string): string {
  const [, address, name = ''] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return (address ?? name).toLowerCase()
}

/** No DNS leads these anywhere else. */
function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1' || isLoopbackAddress(name)
}

function isLoopbackAddress(name: string): boolean {
  return isIP(name) === 4 && name.startsWith('127.')
}
