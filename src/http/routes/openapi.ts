/** Owns `/openapi.json`, and in development `/docs`: the same description as a page for people. */
import type { FastifyInstance } from 'fastify'
import packageJson from 'jwt-mailer/package.json' with { type: 'json' }
import { type DescribedRoutes, openApi } from '../api-description.ts'
import type { Catalogue, MailTemplate } from '../../mails/catalogue.ts'
import { loadPage } from '../../html-page.ts'
import { pageHeaders, sendPage, servedPage, type Sites, withNavigation } from '../page.ts'

export interface OpenApiOptions {
  readonly withPage: boolean
  /** Their routes stand in the description. */
  readonly adapters?: DescribedRoutes['adapters']
  readonly feedback?: DescribedRoutes['feedback']
  /** The other pages of this service. */
  readonly sites?: Sites
  /** Its kinds stand on the page. Asked anew for each request. */
  readonly catalogue?: Pick<Catalogue, 'mails'> | undefined
}

export async function openApiRoutes(
  app: FastifyInstance,
  { withPage, adapters, feedback, sites = {}, catalogue }: OpenApiOptions,
): Promise<void> {
  // all answers share these bytes
  const description = Buffer.from(JSON.stringify(openApi(packageJson.version, { adapters, feedback })))
  app.get('/openapi.json', (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(description),
  )
  if (!withPage) return
  const file = await loadPage(new URL('docs.html', import.meta.url), servedPage)
  const page = withNavigation(file, 'docs', sites)
  app.get('/docs/kinds', (_request, reply) =>
    reply.headers(pageHeaders).send(kindsOf(catalogue?.mails ?? [])),
  )
  app.get('/docs', (_request, reply) => sendPage(reply.headers(pageHeaders), page))
}

/** Each kind once: its contract is the same in every language. */
function kindsOf(mails: readonly MailTemplate[]) {
  const kinds = Map.groupBy(mails, ({ app, kind }) => `${app}/${kind}`)
  return [...kinds.values()].map((same) => {
    const { app, kind, contract } = same[0]!
    const claims = contract.map(({ name, type, required }) => ({ name, type, required }))
    return { app, kind, locales: same.map(({ locale }) => locale), claims }
  })
}
