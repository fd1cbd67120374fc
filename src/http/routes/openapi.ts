/** Owns `/openapi.json`, and in development `/docs`: the same description as a page for people. */
import type { FastifyInstance } from 'fastify'
import packageJson from 'jwt-mailer/package.json' with { type: 'json' }
import { openApi } from '../api-description.ts'
import { loadPage } from '../../html-page.ts'
import { pageHeaders, sendPage, servedPage, type Sites, withNavigation } from '../page.ts'

export interface OpenApiOptions {
  readonly withPage: boolean
  /** The other pages of this service. */
  readonly sites?: Sites
}

export async function openApiRoutes(
  app: FastifyInstance,
  { withPage, sites = {} }: OpenApiOptions,
): Promise<void> {
  // all answers share these bytes
  const description = Buffer.from(JSON.stringify(openApi(packageJson.version)))
  app.get('/openapi.json', (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(description),
  )
  if (!withPage) return
  const file = await loadPage(new URL('docs.html', import.meta.url), servedPage)
  const page = withNavigation(file, 'docs', sites)
  app.get('/docs', (_request, reply) => sendPage(reply.headers(pageHeaders), page))
}
