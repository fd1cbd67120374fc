/** From a forged or a real bounce to the answer of the next mail. */
import { expect, it } from 'vitest'
import { testApp } from '../support/app.ts'
import { reportingSystems } from '../support/reports.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'postmark')!

it('a hard bounce suppresses, a forged one and a soft one do not, and retry_suppressed with a delivery lifts it', async () => {
  const { app, relay } = await testApp({ suppression: 'app', routes: { feedback: [settings] } })
  let count = 0
  const send = async (more: object = {}) => {
    const token = signToken(sampleClaims({ jti: `mail ${(count += 1)}`, ...more }))
    return (await app.inject({ url: `/emailservice/${token}` })).json<Record<string, unknown>>()
  }
  const report = async (word: Parameters<typeof event>[0], forged = false) => {
    const [, messageId = ''] = /^Message-ID: <([^@]+)@/im.exec(relay.mails.at(-1)?.source ?? '') ?? []
    const { headers, body } = sign([event(word, messageId)], forged)
    await app.inject({ method: 'POST', url: '/feedback/postmark', headers, payload: body })
  }

  expect(await send()).toMatchObject({ code: 'sent' })
  await report('bounced_hard', true)
  await report('bounced_soft')
  await report('complained')
  expect(await send()).toMatchObject({ code: 'sent' })
  await report('bounced_hard')
  const taken = relay.mails.length
  expect(await send()).toEqual({ error: 2, msg: 'Suppressed', code: 'suppressed' })
  expect(await send({ retry_suppressed: false })).toMatchObject({ code: 'suppressed' })
  expect(await send({ retry_suppressed: 'yes' })).toMatchObject({
    code: 'claims_invalid',
    claim: 'retry_suppressed',
  })
  expect(relay.mails).toHaveLength(taken)
  expect(await send({ retry_suppressed: true })).toMatchObject({ code: 'sent' })
  expect(await send()).toMatchObject({ code: 'suppressed' })
  await report('delivered')
  expect(await send()).toMatchObject({ code: 'sent' })
})
