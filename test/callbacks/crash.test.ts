/** Processes that are killed before and while they call an app: nothing that has happened to a mail is lost to it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { webhook } from '../../client/src/index.ts'
import { ask } from '../support/scene.ts'
import { titled } from '../support/missing.ts'
import { portOf } from '../support/port.ts'
import { scriptedRelay } from '../support/relay.ts'
import { startReplica } from '../support/replica.ts'
import { reportingSystems } from '../support/reports.ts'
import type { Service } from '../support/service.ts'
import { engines, type ServiceStore, type ServiceStores } from '../support/service-store.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const callSecret = `whsec_${Buffer.from('a secret of thirty-two bytes, no less').toString('base64')}`
const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'postmark')!

/** An app that is called back, and a relay. */
async function startScene(store: ServiceStore) {
  const relay = await scriptedRelay()
  const calls: Awaited<ReturnType<typeof webhook.verify>>[] = []
  let answers = false
  const receiver = createServer(async (request, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    calls.push(await webhook.verify(Buffer.concat(chunks), request.headers, callSecret))
    if (answers) reply.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  onTestFinished(async () => {
    receiver.closeAllConnections()
    receiver.close()
    await relay.close()
  })
  async function start(): Promise<Service> {
    const env = {
      // an app on this machine is called in development only
      NODE_ENV: 'development',
      JWT_MAILER_WEBHOOK: `http://localhost:${portOf(receiver)}/hook`,
      JWT_MAILER_WEBHOOK_SECRET: callSecret,
      POSTMARK_FEEDBACK_LOGIN: settings.proofs[0]!,
    }
    const service = await startReplica({ store, relay, env })
    onTestFinished(() => service.kill())
    return service
  }
  /** Until then the app takes calls and says nothing. */
  function answer(): void {
    answers = true
    receiver.closeAllConnections()
  }
  return { relay, calls, start, answer }
}

describe.each(engines)('a process on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())

  it('killed while its call is in the air: another one calls with the same id', async () => {
    const store = await stores.fresh()
    const scene = await startScene(store)
    const { calls, relay } = scene
    const service = await scene.start()
    const answer = await ask(service)
    expect(answer).toMatchObject({ status: 200, code: 'sent' })
    await expect.poll(() => calls.length).toBe(1)
    await service.kill()
    expect(await store.rows('select type, attempts from outbox_event')).toMatchObject([{ type: 'mail.sent' }])
    // instead of the minute that the lease has left
    await store.rows('update outbox_event set due = 0')
    scene.answer()
    const other = await scene.start()
    await expect.poll(() => calls.length).toBe(2)
    expect(calls[1]).toEqual(calls[0])
    expect(calls[1]).toMatchObject({ ok: true, event: { type: 'mail.sent', app: 'default' } })
    await expect.poll(() => store.rows('select id from outbox_event')).toEqual([])
    expect(await other.stop()).toBe(0)
    expect(relay.mails).toHaveLength(1)
  })

  it('killed as soon as it has answered a report, one after the other: the last one calls for all of them', async () => {
    const store = await stores.fresh()
    const scene = await startScene(store)
    const { calls, relay } = scene
    const replicas = [await scene.start(), await scene.start(), await scene.start()]
    const [first, , third] = replicas
    for (let n = 0; n < 12; n += 1) {
      const token = signToken(sampleClaims({ jti: `${n}`, user_email: `ada${n}@example.com` }))
      expect(await fetch(`${first!.url}/emailservice/${token}`)).toMatchObject({ status: 200 })
    }
    const messageIds = relay.mails.map(({ source }) => /^Message-ID: <([^@]+)@/im.exec(source)?.[1] ?? '')
    const report = async ({ url }: Service, messageId: string) => {
      const { headers, body } = sign([event('bounced_hard', messageId)])
      const asked = fetch(`${url}/feedback/postmark`, { method: 'POST', headers, body })
      return asked.then(({ status }) => status).catch(() => undefined)
    }
    // between the row and the call, or in the middle of it: the app does not answer yet
    for (const [at, replica] of replicas.entries()) {
      const reported = messageIds.slice(at * 4, at * 4 + 4)
      const answers = await Promise.all(
        reported.map(async (messageId) => {
          const status = await report(replica, messageId)
          if (replica !== third) await replica.kill()
          return status
        }),
      )
      expect(answers).toContain(200)
      // as a relay does with what was not answered
      for (const [n, status] of answers.entries())
        if (status !== 200) expect(await report(third!, reported[n]!)).toBe(200)
    }
    scene.answer()
    await expect
      .poll(
        async () => {
          // instead of the minute that each lease has left
          await store.rows('update outbox_event set due = 0 where due > 0 and attempts > 0')
          return store.rows('select id from outbox_event')
        },
        { interval: 500 },
      )
      .toEqual([])
    for (const messageId of messageIds) {
      const mail = messageId.slice(0, messageId.lastIndexOf('-'))
      const ofMail = calls.flatMap((call) => (call.ok && call.event.mail === mail ? [call] : []))
      const events = new Map(ofMail.map(({ id, event: told }) => [id, told]))
      const inOrder = [...events.values()].toSorted((a, b) => a.sequence - b.sequence)
      expect(inOrder.map(({ type }) => type)).toEqual(['mail.sent', 'mail.bounced'])
    }
  })
})
