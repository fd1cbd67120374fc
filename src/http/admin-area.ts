/**
 * Owns how the pages of operators are protected: their headers, no request of another site that changes anything, and the
 * login before them. A login to one area opens the others too.
 */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { type HtmlPage, loadPage } from '../html-page.ts'
import { adminGate, type Area, wrongAdminToken } from './admin-gate.ts'
import { readAs } from './bodies.ts'
import { refuseOtherSites } from './dev-gate.ts'
import { pageHeaders, sendPage, servedPage } from './page.ts'

export interface AreaOptions {
  /** The path of the page; everything else of the area lies below it. */
  readonly area: Area
  /** What the login says that it opens. */
  readonly title: string
  readonly adminToken: string
  readonly now: () => number
}

const loginSchema = z.strictObject({ token: z.string().min(1).max(1_000) })
const loginFile = new URL('routes/admin-login.html', import.meta.url)
const smallBody = { bodyLimit: 4_096 }

/** For all routes of `app`. */
export function protectPage(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    // with `no-referrer`, browsers send `Origin: null` where the check below needs the real one
    reply.headers({ ...pageHeaders, 'referrer-policy': 'same-origin' })
    if (request.method === 'POST') refuseOtherSites(request)
  })
}

/** Puts all routes of `app` behind the admin token. A request for the page without it gets the login. */
export async function guardArea(app: FastifyInstance, { area, title, adminToken, now }: AreaOptions) {
  const gate = adminGate(adminToken, now)
  const login = withWords(await loadPage(loginFile, [...servedPage, "form-action 'none'"]), area, title)

  app.addHook('onRequest', async (request, reply) => {
    const { url } = request.routeOptions
    if (gate.isOpen(request) || url === `${area}/login`) return undefined
    reply.code(401).header('www-authenticate', 'Bearer')
    if (url !== area) throw wrongAdminToken()
    return sendPage(reply, login)
  })

  app.post(`${area}/login`, smallBody, async (request, reply) => {
    const { token } = readAs(loginSchema, request.body)
    if (!gate.isToken(request, token)) throw wrongAdminToken()
    gate.signIn(request, reply)
    return reply.code(204).send()
  })

  app.post(`${area}/logout`, smallBody, async (_request, reply) => {
    gate.signOut(reply)
    return reply.code(204).send()
  })
}

/** Beside script and style, whose hashes stand in the policy. The path is relative, for a service behind a prefix. */
function withWords({ html, policy }: HtmlPage, area: Area, title: string): HtmlPage {
  return { policy, html: html.replaceAll('<!--title-->', title).replace('<!--area-->', area.slice(1)) }
}
