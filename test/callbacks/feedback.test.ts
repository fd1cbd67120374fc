/** From what a relay reports to what an app is told: request, row, call. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { webhook, type GoodCall } from '../../client/src/index.ts'
import { testApp } from '../support/app.ts'
import { titled } from '../support/missing.ts'
import { portOf } from '../support/port.ts'
import { reportingSystems } from '../support/reports.ts'
import { engines, type ServiceStores } from '../support/service-store.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'postmark')!
const secret = `whsec_${Buffer.alloc(32, 'shared').toString('base64')}`

/** A receiver that takes what is signed. */
async function listen() {
  const calls: GoodCall[] = []
  const server = createServer(async (request, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const call = await webhook.verify(Buffer.concat(chunks), request.headers, secret)
    if (call.ok) calls.push(call)
    reply.writeHead(call.ok ? 204 : 401).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { calls, url: `http://127.0.0.1:${portOf(server)}/mail-events` }
}

describe.each(engines)('a report, on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())

  it('is told to the app once for each thing that is news, by the id that its request was answered', async () => {
    const { calls, url } = await listen()
    const { app, relay } = await testApp({
      engine: (await stores.fresh()).engine(),
      suppression: 'app',
      routes: { feedback: [settings] },
      webhookOf: () => ({ url, secrets: [secret], allowPrivate: true }),
    })
    const send = async () => {
      const token = signToken(sampleClaims({ jti: `mail ${relay.mails.length}` }))
      return (await app.inject({ url: `/emailservice/${token}` })).json<{ id: string; code: string }>()
    }
    const { id } = await send()
    const [, messageId = ''] = /^Message-ID: <([^@]+)@/im.exec(relay.mails[0]?.source ?? '') ?? []
    for (const word of ['delayed', 'delivered', 'bounced_hard', 'bounced_hard', 'delivered'] as const) {
      const { headers, body } = sign([event(word, messageId)])
      const report = { method: 'POST', url: '/feedback/postmark', headers, payload: body } as const
      expect((await app.inject(report)).statusCode).toBe(200)
    }
    expect(await send()).toMatchObject({ code: 'suppressed' })
    await expect.poll(() => calls.length).toBe(3)
    const told = calls.map(({ event: each }) => each).toSorted((a, b) => a.sequence - b.sequence)
    const of = { mail: id, app: 'default', kind: 'confirmation' }
    expect(told).toMatchObject([
      { type: 'mail.sent', ...of },
      { type: 'mail.delivered', ...of },
      { type: 'mail.bounced', bounce: 'hard', ...of },
    ])
    expect(new Set(calls.map((call) => call.id)).size).toBe(3)
  })
})
