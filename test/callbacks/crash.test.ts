/** Processes that are killed while they call an app: nothing that has happened to a mail is lost to it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { webhook } from '../../client/src/index.ts'
import { ask } from '../support/scene.ts'
import { titled } from '../support/missing.ts'
import { portOf } from '../support/port.ts'
import { scriptedRelay } from '../support/relay.ts'
import { startService } from '../support/service.ts'
import { engines, type ServiceStores } from '../support/service-store.ts'
import { secret } from '../support/tokens.ts'

const callSecret = `whsec_${Buffer.from('a secret of thirty-two bytes, no less').toString('base64')}`

describe.each(engines)('a process on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())

  it('killed while its call is in the air: another one calls with the same id', async () => {
    const store = await stores.fresh()
    const relay = await scriptedRelay()
    let hangs = true
    const calls: unknown[] = []
    const receiver = createServer(async (request, reply) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      calls.push(await webhook.verify(Buffer.concat(chunks), request.headers, callSecret))
      if (!hangs) reply.writeHead(204).end()
    }).listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    onTestFinished(async () => {
      receiver.closeAllConnections()
      receiver.close()
      await relay.close()
    })
    const start = async () => {
      const service = await startService({
        mode: 'development',
        env: {
          JWT_MAILER_SECRET: secret,
          MAIL_FROM: 'noreply@mail.example.com',
          SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
          JWT_MAILER_WEBHOOK: `http://localhost:${portOf(receiver)}/hook`,
          JWT_MAILER_WEBHOOK_SECRET: callSecret,
          ...store.env,
        },
      })
      onTestFinished(() => service.kill())
      return service
    }
    const service = await start()
    const answer = await ask(service)
    expect(answer).toMatchObject({ status: 200, code: 'sent' })
    await expect.poll(() => calls.length).toBe(1)
    await service.kill()
    expect(await store.rows('select type, attempts from outbox_event')).toMatchObject([{ type: 'mail.sent' }])
    // instead of the minute that the lease has left
    await store.rows('update outbox_event set due = 0')
    hangs = false
    const other = await start()
    await expect.poll(() => calls.length).toBe(2)
    expect(calls[1]).toEqual(calls[0])
    expect(calls[1]).toMatchObject({ ok: true, event: { type: 'mail.sent', app: 'default' } })
    await expect.poll(() => store.rows('select id from outbox_event')).toEqual([])
    expect(await other.stop()).toBe(0)
    expect(relay.mails).toHaveLength(1)
  })
})
