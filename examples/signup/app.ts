/** Owns HTTP: cookies, the guard against forged requests, limits of size, and the headers of every page. */
import cookie from '@fastify/cookie'
import csrf from '@fastify/csrf-protection'
import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance } from 'fastify'
import { accountRoutes } from './account.ts'
import { correctRoutes } from './correct.ts'
import { eventRoutes } from './events.ts'
import { loginRoutes } from './login.ts'
import { page } from './pages.ts'
import { registerRoutes } from './register.ts'
import { cookieOptions, type Site } from './request.ts'
import { resetRoutes } from './reset.ts'

const headers = {
  'cache-control': 'no-store',
  // links of ours carry tokens
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
} as const

export async function buildSite(site: Site, options: { readonly secure: boolean }): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: 16 * 1024, routerOptions: { maxParamLength: 4096 } })
  await app.register(cookie)
  await app.register(formbody, { bodyLimit: 16 * 1024 })
  // for every form, also before anybody has signed in
  await app.register(csrf, { cookieOpts: cookieOptions(options.secure) })
  app.addHook(
    'onRequest',
    async (_request, reply) => void reply.headers(headers).type('text/html; charset=utf-8'),
  )
  app.setErrorHandler((error: { statusCode?: number }, _request, reply) => {
    const { statusCode = 500 } = error
    // the message may quote what was typed
    if (statusCode >= 500) console.error(error)
    const told =
      statusCode === 403
        ? 'This form has grown old. Go back, load it again, and send it once more.'
        : undefined
    return reply.code(statusCode).send(page({ title: 'That did not work', told, links: [['Home', '/']] }))
  })
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(page({ title: 'There is no such page', links: [['Home', '/']] })),
  )
  await app.register(async (pages) => {
    pages.addHook('preHandler', (request, reply, done) => {
      if (request.method === 'POST') app.csrfProtection(request, reply, done)
      else done()
    })
    for (const routes of [registerRoutes, loginRoutes, correctRoutes, resetRoutes, accountRoutes])
      routes(pages, site, cookieOptions(options.secure))
  })
  // the mailer has no form of ours: it signs what it sends
  await app.register(async (scope) => eventRoutes(scope, site))
  return app
}
