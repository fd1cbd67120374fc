import type { FastifyInstance } from 'fastify'
import { describe, expect, it } from 'vitest'
import { foreignSystems } from '../support/foreign.ts'
import { answerSchema, deliverySchema, failures } from '../../src/contract.ts'
import { openApi } from '../../src/http/api-description.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { mimeBuilder } from '../../src/mime/mime.ts'
import { builtIn } from '../mails/catalogues.ts'
import { testApp } from '../support/app.ts'
import { secret, signToken } from '../support/tokens.ts'

interface Operation {
  readonly parameters?: { name: string }[]
  readonly responses: Record<string, { description: string }>
}
const description = openApi('1.2.3') as { openapi: string; paths: Record<string, Record<string, Operation>> }
const operations = Object.entries(description.paths).flatMap(([path, verbs]) =>
  Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation })),
)

describe('the description of the API', () => {
  it('is served as JSON to anybody', async () => {
    const { app } = await testApp()
    const response = await app.inject('/openapi.json')
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ openapi: '3.1.0', paths: description.paths })
  })

  it('has every failure code of the contract, at its status and with its meaning', () => {
    const said = operations.flatMap(({ operation }) =>
      Object.entries(operation.responses).flatMap(([status, { description: text }]) =>
        [...text.matchAll(/^`(\w+)`: (.+)\.$/gm)].map(([, code, meaning]) => `${status} ${code}: ${meaning}`),
      ),
    )
    // callers do not speak to the operator's page, which alone answers this one
    const { read_only: _, ...ofCallers } = failures
    const known = Object.entries(ofCallers).map(
      ([code, { status, meaning }]) => `${status} ${code}: ${meaning}`,
    )
    const answers = ['200 sent', '202 queued'].map((start) => said.filter((line) => line.startsWith(start)))
    expect(answers.every((lines) => lines.length > 0)).toBe(true)
    expect(known.filter((line) => !said.includes(line))).toEqual([])
  })

  it.each(operations)('names a route that is there: $verb $path', async ({ path, verb, operation }) => {
    const { app } = await testApp()
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      name === 'app' ? 'default' : name === 'kind' ? 'signup' : 'x',
    )
    const method = verb === 'post' ? 'POST' : 'GET'
    const response = await app.inject({ method, url, ...(method === 'POST' && { payload: { token: 'x' } }) })
    expect(response.json<{ code: string }>().code).not.toMatch(/^(?:not_found|method_not_allowed)$/)
    expect(Object.keys(operation.responses)).toContain(String(response.statusCode))
    expect((operation.parameters ?? []).map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? [])
  })

  it('has the routes of the adapters that are configured, and no other', async () => {
    const { settings } = foreignSystems.find(({ system }) => system === 'kratos')!
    const adapters = [settings, { ...settings, system: 'logto', app: 'shop' } as const]
    const { app } = await testApp({ routes: { adapters } })
    const { paths } = (await app.inject('/openapi.json')).json<{ paths: Record<string, object> }>()
    const known = ['/adapters/kratos', '/adapters/kratos/{app}', '/adapters/logto/{app}']
    expect(Object.keys(paths).filter((path) => path.startsWith('/adapters'))).toEqual(known)
    for (const path of known) {
      const url = path.replace('{app}', path.includes('logto') ? 'shop' : 'default')
      const { statusCode } = await app.inject({ method: 'POST', url, payload: {} })
      expect([path, statusCode]).toEqual([path, 401])
    }
  })

  it('has the routes of the relays that may report, and no other', async () => {
    const feedback = [{ relay: 'postmark', proofs: ['user:password'] }] as const
    const { app } = await testApp({ routes: { feedback } })
    const { paths } = (await app.inject('/openapi.json')).json<{
      paths: Record<string, Record<string, Operation>>
    }>()
    expect(Object.keys(paths).filter((path) => path.startsWith('/feedback'))).toEqual(['/feedback/postmark'])
    const { statusCode } = await app.inject({ method: 'POST', url: '/feedback/postmark', payload: {} })
    expect(paths['/feedback/postmark']?.['post']?.responses[statusCode]?.description).toContain(
      'token_signature',
    )
  })

  it('says of answers what they are', async () => {
    const { app } = await testApp()
    const sent = await app.inject(`/emailservice/${signToken()}`)
    expect(answerSchema.strict().parse(sent.json())).toMatchObject({ code: 'sent' })
    expect(answerSchema.strict().parse((await app.inject('/emailservice/x')).json())).toMatchObject({
      error: 1,
    })
    const { id } = sent.json<{ id: string }>()
    const headers = { authorization: `Bearer ${signToken({ sub: 'status' })}` }
    const state = await app.inject({ url: `/deliveries/${id}`, headers })
    expect(deliverySchema.strict().parse(state.json())).toMatchObject({
      id,
      app: 'default',
      kind: 'confirmation',
    })
  })

  it.each([
    ['no token', 'token_malformed', undefined],
    ['a token of another secret', 'token_signature', signToken({}, `${secret}, but another`)],
    ['a token that is over', 'token_expired', signToken({ exp: 1_000 })],
    [
      'a token of the future',
      'token_not_yet_valid',
      signToken({ nbf: Math.floor(Date.now() / 1000) + 9_000 }),
    ],
    ['a token with a time in milliseconds', 'claims_invalid', signToken({ exp: Date.now() })],
    ['a mail that is none', 'not_found', signToken({})],
  ])('knows what a question about a mail is told with %s', async (_title, code, token) => {
    const { app } = await testApp()
    await expectDescribed(app, code, token)
  })

  it('knows what a question about a mail is told without a store', async () => {
    const { app } = await testApp({ engine: sqliteEngine({ path: '/dev/null/outbox.sqlite' }) })
    await expectDescribed(app, 'store_unavailable', signToken({}))
  })

  it('lists for people each kind once, with its claims', async () => {
    const { app } = await testApp({
      routes: { docs: true, preview: { catalogue: builtIn(), buildMime: await mimeBuilder() } },
    })
    const kinds = (await app.inject('/docs/kinds')).json<{ kind: string }[]>()
    expect(kinds.filter(({ kind }) => kind === 'resetkey')).toEqual([
      {
        app: 'default',
        kind: 'resetkey',
        locales: ['de', 'en', 'es', 'fr', 'it'],
        claims: [
          { name: 'user_email', type: 'text', required: true },
          { name: 'user_aut_key_or_otp', type: 'text', required: true },
          { name: 'user_name', type: 'text', required: false },
        ],
      },
    ])
    expect((await (await testApp()).app.inject('/docs/kinds')).statusCode).toBe(404)
    const page = await app.inject('/docs')
    expect(page.body).toContain('<a href="preview">Mails</a><a href="docs" aria-current="page">API</a>')
  })

  it('is a page for people only where it is wanted', async () => {
    expect((await (await testApp()).app.inject('/docs')).statusCode).toBe(404)
    const page = await (await testApp({ routes: { docs: true } })).app.inject('/docs')
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  })
})

async function expectDescribed(app: FastifyInstance, code: string, token: string | undefined) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await app.inject({ url: '/deliveries/x', headers })
  expect(response.json()).toMatchObject({ code })
  const responses = description.paths['/deliveries/{id}']?.['get']?.responses ?? {}
  expect(responses[response.statusCode]?.description).toContain(`\`${code}\``)
}
