/** kill -9 between a report and its row: what was answered 2xx is stored, and what was not is taken when it is repeated. */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { titled } from '../support/missing.ts'
import { scriptedRelay } from '../support/relay.ts'
import { startReplica } from '../support/replica.ts'
import { reportingSystems } from '../support/reports.ts'
import type { Service } from '../support/service.ts'
import { engines, type ServiceStores } from '../support/service-store.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'postmark')!
const mails = 30

describe.each(engines)('reports of a relay, on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())

  it('outlive the replicas that answered them, and those that did not', async () => {
    const store = await stores.fresh()
    const relay = await scriptedRelay()
    onTestFinished(() => relay.close())
    const env = { POSTMARK_FEEDBACK_LOGIN: settings.proofs[0]! }
    async function replica() {
      const service = await startReplica({ store, relay, env })
      onTestFinished(() => service.kill())
      return service
    }
    const replicas = [await replica(), await replica(), await replica()] as const
    const [first, second, third] = replicas
    /** The status, or `undefined` when the service died before it answered. */
    const report = async ({ url }: Service, messageId: string) => {
      const { headers, body } = sign([event('bounced_hard', messageId)])
      const asked = fetch(`${url}/feedback/postmark`, { method: 'POST', headers, body })
      return asked.then(({ status }) => status).catch(() => undefined)
    }
    const reported = async () => {
      const rows = await store.rows(`select id from outbox_mail where feedback = 'bounced_hard'`)
      return new Set(rows.map(({ id }) => String(id)))
    }

    for (let n = 0; n < mails; n += 1) {
      // each to an address of its own: the first bounce suppresses the others
      const token = signToken(sampleClaims({ jti: `${n}`, user_email: `ada${n}@example.com` }))
      const { status } = await fetch(`${first.url}/emailservice/${token}`)
      expect(status).toBe(200)
    }
    const messageIds = relay.mails.map(({ source }) => /^Message-ID: <([^@]+)@/im.exec(source)?.[1] ?? '')
    const mailOf = (messageId: string) => messageId.slice(0, messageId.lastIndexOf('-'))

    // between the event and the row
    const release = await store.hold()
    const asked = report(first, messageIds[0]!)
    await sleep(300)
    await first.kill()
    expect(await asked).toBeUndefined()
    await release()
    expect(await report(second, messageIds[0]!)).toBe(200)

    // in the middle of many: the second is killed as soon as it has answered a few
    let answers = 0
    const taken = await Promise.all(
      messageIds.map(async (messageId, n) => {
        const status = await report(n % 2 === 0 ? second : third, messageId)
        if (status === 200 && (answers += 1) === 5) await second.kill()
        return status === 200 ? [messageId] : []
      }),
    )
    const stored = await reported()
    for (const messageId of taken.flat()) expect(stored).toContain(mailOf(messageId))
    for (const messageId of messageIds) expect(await report(third, messageId)).toBe(200)
    expect(await reported()).toEqual(new Set(messageIds.map(mailOf)))
    expect(await store.rows('select times from outbox_suppression where times > 1')).toEqual([])
  })
})
