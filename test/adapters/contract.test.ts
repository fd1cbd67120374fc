/** What every adapter promises, whatever system it speaks to. */
import { describe, expect, it } from 'vitest'
import type { AdapterSettings } from '../../src/adapter.ts'
import { MailerError } from '../../src/errors.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { type TestAppOptions, testApp } from '../support/app.ts'
import {
  type ForeignSystem,
  foreignSystems,
  mailsOfEveryKind,
  type SignedRequest,
} from '../support/foreign.ts'

async function serviceFor(settings: AdapterSettings, options: TestAppOptions = {}) {
  const service = await testApp({
    mailsDir: mailsOfEveryKind(),
    ...options,
    routes: { adapters: [settings] },
  })
  const post = async ({ headers, body }: SignedRequest, path = `/adapters/${settings.system}`) => {
    const {
      statusCode,
      body: text,
      headers: answered,
    } = await service.app.inject({
      method: 'POST',
      url: path,
      headers,
      payload: body,
    })
    return { status: statusCode, body: text, headers: answered }
  }
  return { ...service, post }
}

const cases = (system: ForeignSystem) => {
  const sample = JSON.stringify(system.sample)
  return { sample, signed: () => system.sign(sample) }
}

describe.each(foreignSystems)('an adapter: $system', (system) => {
  const { settings, sign, success, otherSecret } = system
  const { sample, signed } = cases(system)

  it('stores the mail, answers as the system expects, and sends one mail', async () => {
    const { post, relay, mails } = await serviceFor(settings)
    const { headers, ...answer } = await post(signed())
    expect(answer).toEqual(success)
    expect(headers['cache-control']).toBe('no-store')
    await expect.poll(() => relay.mails.length).toBe(1)
    const [mail] = await mails()
    expect(mail?.recipients).toEqual(['RCPT TO:<ada@example.com>'])
  })

  it('makes one mail of a storm of repetitions, each signed anew', async () => {
    const { post, relay } = await serviceFor(settings)
    const storm = Array.from({ length: 20 }, (_, n) =>
      post(sign(sample, undefined, new Date(Date.now() - n * 1000))),
    )
    for (const answer of await Promise.all(storm)) expect(answer).toMatchObject(success)
    expect(await post(signed())).toMatchObject(success)
    await expect.poll(() => relay.mails.length).toBe(1)
    expect(await post(signed())).toMatchObject(success)
    expect(relay.mails).toHaveLength(1)
  })

  it('answers success while the relay is down, and sends the mail later', async () => {
    let up = false
    let ahead = 0
    const { post, relay } = await serviceFor(settings, {
      script: { connect: () => (up ? '220 hello' : 'close') },
      failover: { breaker: { pauseMs: 10, maxPauseMs: 20 } },
      pump: { everyMs: 20 },
      now: () => Date.now() + ahead,
    })
    expect(await post(signed())).toMatchObject(success)
    await expect.poll(relay.connections).toBeGreaterThan(0)
    expect(relay.mails).toHaveLength(0)
    up = true
    const mailsASecondLater = () => {
      ahead += 1_000
      return relay.mails.length
    }
    await expect.poll(mailsASecondLater).toBe(1)
  })

  it('answers before a relay that hangs', async () => {
    const taken = Promise.withResolvers<string>()
    const { post, relay } = await serviceFor(settings, { script: { dot: () => taken.promise } })
    expect(await post(signed())).toMatchObject(success)
    taken.resolve('250 taken')
    await expect.poll(() => relay.mails.length).toBe(1)
  })

  it.each<[string, (request: SignedRequest) => SignedRequest]>([
    ['signed with another secret', () => sign(sample, otherSecret)],
    ['without any header', ({ body }) => ({ body, headers: { 'content-type': 'application/json' } })],
    ['with empty headers', ({ body, headers }) => ({ body, headers: mapped(headers, () => '') })],
    [
      'with foreign words in its headers',
      ({ body, headers }) => ({ body, headers: mapped(headers, () => 'v1,t=1,v1=') }),
    ],
    [
      'with long headers',
      ({ body, headers }) => ({ body, headers: mapped(headers, () => 'v1,AAAA '.repeat(500)) }),
    ],
  ])('refuses a request %s', async (_title, spoil) => {
    const { post, relay, log } = await serviceFor(settings)
    const { status, body } = await post(spoil(signed()))
    expect(status).toBe(401)
    expect(body).toContain('token_signature')
    expect(log()).toContain('request refused')
    expect(relay.commands).toEqual([])
  })

  it('accepts the previous secret too; the secret of an app opens that app only', async () => {
    const rotating = await serviceFor({ ...settings, secrets: [otherSecret, ...settings.secrets] })
    expect(await rotating.post(signed())).toMatchObject(success)
    expect(await rotating.post(sign(sample, otherSecret))).toMatchObject(success)

    const shop = { ...settings, app: 'shop', secrets: [otherSecret] }
    const service = await testApp({ mailsDir: mailsOfEveryKind(), routes: { adapters: [settings, shop] } })
    const ask = async ({ headers, body }: SignedRequest, path: string) =>
      (
        await service.app.inject({
          method: 'POST',
          url: `/adapters/${system.system}${path}`,
          headers,
          payload: body,
        })
      ).statusCode
    expect(await ask(sign(sample, otherSecret), '/shop')).toBe(success.status)
    expect(await ask(signed(), '/shop')).toBe(401)
    expect(await ask(sign(sample, otherSecret), '')).toBe(401)
    expect(await ask(signed(), '/default')).toBe(success.status)
  })

  it.each([
    ['no JSON', '{"a":'],
    ['no object', '"text"'],
    ['an empty body', ''],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')],
    ['an object without what is needed', '{}'],
    ['names of the prototype', '{"__proto__":{"user":1},"constructor":{}}'],
    ['a deep nest', `{"user":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ])('answers %s with a failure of its own shape, and says nothing of it', async (_title, body) => {
    const { post, relay, logLines } = await serviceFor(settings)
    const answer = await post(sign(body))
    expect([400, 404, 200, 422]).toContain(answer.status)
    expect(answer.body).not.toContain(body.slice(0, 8) || 'nothing')
    expect(logLines().filter(({ bug }) => bug !== undefined)).toEqual([])
    expect(relay.commands).toEqual([])
  })

  it('does not send a mail that it does not know, and says so in the log', async () => {
    const { post, relay, log } = await serviceFor(settings)
    expect(await post(sign(JSON.stringify(system.unknown)))).toMatchObject({ status: system.never })
    expect(log()).toContain(system.unknownCode ?? 'mail_unknown')
    expect(relay.commands).toEqual([])
  })

  it('does not mind keys that it does not know', async () => {
    const { post } = await serviceFor(settings)
    const more = JSON.stringify({ ...system.sample, a_later_version: { says: ['more'] } })
    expect(await post(sign(more))).toMatchObject(success)
  })

  it('refuses a body above 256 KiB before it looks at it, and takes one below', async () => {
    const { post } = await serviceFor(settings)
    const padded = (bytes: number) => sign(JSON.stringify({ ...system.sample, padding: 'x'.repeat(bytes) }))
    expect(await post(padded(256 * 1024))).toMatchObject({ status: 413 })
    expect(await post(padded(200 * 1024))).toMatchObject(success)
  })

  it('has no route without its secret, and none for another app', async () => {
    const bare = await testApp()
    const url = `/adapters/${system.system}`
    const { headers, body } = signed()
    const request = { method: 'POST' as const, headers, payload: body }
    expect((await bare.app.inject({ ...request, url })).statusCode).toBe(404)
    const shop = await testApp({
      mailsDir: mailsOfEveryKind(),
      routes: { adapters: [{ ...settings, app: 'shop' }] },
    })
    expect((await shop.app.inject({ ...request, url })).statusCode).toBe(404)
    expect((await shop.app.inject({ ...request, url: `${url}/other` })).statusCode).toBe(404)
    expect((await shop.app.inject({ ...request, url: `${url}/SHOP` })).statusCode).toBe(404)
  })

  it('leaves no secret, code, link or address in the log', async () => {
    const { post, relay, log } = await serviceFor(settings)
    await post(signed())
    await post(sign(sample, otherSecret))
    await post(sign(JSON.stringify(system.unknown)))
    await expect.poll(() => relay.mails.length).toBe(1)
    await expect.poll(log).toContain('mail queued')
    for (const secret of system.secrets) expect(log()).not.toContain(secret)
  })

  it('tells a failure of the store as one that may be tried again', async () => {
    const { post } = await serviceFor(settings, { engine: brokenEngine })
    const { status } = await post(signed())
    expect(status).toBe(503)
  })
})

describe.each(foreignSystems.filter(({ bearer }) => bearer !== true))(
  'an adapter whose requests are signed: $system',
  (system) => {
    const { settings, sign } = system
    const { sample, signed } = cases(system)

    it.each<[string, () => SignedRequest]>([
      [
        'a body of other bytes that means the same',
        () => ({ ...signed(), body: JSON.stringify(JSON.parse(sample), null, 1) }),
      ],
      ['a body with one more key', () => ({ ...signed(), body: sample.replace('{', '{"a":1,') })],
      ['a cut body', () => ({ ...signed(), body: sample.slice(0, -1) })],
      ['a time six minutes old', () => sign(sample, undefined, new Date(Date.now() - 360_000))],
      ['a time six minutes ahead', () => sign(sample, undefined, new Date(Date.now() + 360_000))],
    ])('refuses %s', async (_title, request) => {
      const { post, relay } = await serviceFor(settings)
      expect(await post(request())).toMatchObject({ status: 401 })
      expect(relay.commands).toEqual([])
    })
  },
)

it('answers in time when the store does not', async () => {
  const [system] = foreignSystems
  const hung = Promise.withResolvers<never>()
  const sqlite = { ...brokenEngine, open: () => Promise.resolve(), run: () => hung.promise }
  const { post } = await serviceFor(system!.settings, { engine: sqlite, adapters: { answerMs: 100 } })
  expect(await post(system!.sign(JSON.stringify(system!.sample)))).toMatchObject({ status: 503 })
  hung.reject(new MailerError('store_unavailable', { reason: 'down' }))
})

const broken = () => Promise.reject(new MailerError('store_unavailable', { reason: 'down' }))
const brokenEngine: Engine = {
  name: 'sqlite',
  parallel: false,
  open: broken,
  run: broken,
  probe: broken,
  close: () => Promise.resolve(),
}

function mapped(headers: Record<string, string>, change: (value: string) => string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, name === 'content-type' ? value : change(value)]),
  )
}
