import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import type { Transport } from '../../src/message.ts'
import { failover, type FailoverOptions } from '../../src/transport/failover.ts'
import { sendgridTransport } from '../../src/transport/sendgrid.ts'
import { type SmtpOptions, smtpTransport } from '../../src/transport/smtp.ts'
import { within } from '../../src/timers.ts'
import { testApp, type TestApp } from '../support/app.ts'
import { askDelivery, askTimed } from '../support/caller.ts'
import { freePort } from '../support/port.ts'
import { type Act, type Script, scriptedRelay, type ScriptedRelay, type Stage } from '../support/relay.ts'
import { type ApiScript, trustStandIns } from '../support/https-api.ts'
import { sendgridError, sendgridServer } from '../support/sendgrid.ts'
import { sampleMessage } from '../support/messages.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

let buildMime: BuildMime
beforeAll(async () => {
  buildMime = await mimeBuilder()
  trustStandIns()
})

/** For the tests in which they pass. */
const handoverMs = 300
const totalMs = 2_000
/** In all others nothing may wait for them. */
const neverMs = 60_000

async function relayWith(script: Script = {}, port = 0): Promise<ScriptedRelay> {
  const relay = await scriptedRelay(script, port)
  onTestFinished(() => relay.close())
  return relay
}

function smtpTo({ port }: { port: number }, name: string, options: Partial<SmtpOptions> = {}): Transport {
  const auth = { user: 'user', pass: 'password' }
  const place = { host: '127.0.0.1', port, tls: 'off', auth, ehloName: 'mail.example.com' } as const
  return smtpTransport({ name, ...place, buildMime, ...options })
}

const nobody = async () => ({ port: await freePort() })

const waits = { totalMs: neverMs, handoverMs: neverMs, breaker: { failures: 100 } } satisfies FailoverOptions

/** The service before relays in this order, its clock, and one caller. */
async function serviceBefore(transports: readonly Transport[], options: FailoverOptions = {}) {
  let shift = 0
  const app = await testApp({
    transports,
    failover: { ...waits, ...options },
    pump: { everyMs: 30 },
    deliver: { inlineMs: neverMs },
    now: () => Date.now() + shift,
  })
  const url = await app.url()
  let count = 0
  return {
    app,
    pass: (ms: number) => (shift += ms),
    async ask() {
      const asked = askTimed({ url }, signToken(sampleClaims({ jti: `request-${++count}` })))
      const answer = await within(neverMs / 2, asked)
      if (!answer) throw new Error('no answer in time')
      return answer
    },
    state: (id: string) => askDelivery({ url }, id),
  }
}

const idsOf = ({ mails }: ScriptedRelay) =>
  mails.map(({ source }) => /^Message-ID: (.*)\r$/m.exec(source)?.[1])
const logged = (app: TestApp, text: string) => app.logLines().filter(({ msg }) => msg === text)

interface Fault {
  readonly script?: Script
  readonly smtp?: Partial<SmtpOptions>
  readonly nobody?: boolean
}
const says = (stage: Stage, act: Act): Fault => ({ script: { [stage]: () => act } })
const stages = ['connect', 'EHLO', 'AUTH', 'MAIL', 'RCPT', 'DATA'] as const

async function faulty(fault: Fault) {
  const relay = fault.nobody ? undefined : await relayWith(fault.script)
  return { relay, transport: smtpTo(relay ?? (await nobody()), 'one', fault.smtp) }
}

describe('the second relay gets the mail, once and in the same request, when the first provably did not take it:', () => {
  it.each([
    ['nobody listens', { nobody: true }],
    ['no STARTTLS', { smtp: { tls: 'starttls' } }],
    ['no TLS at all', { smtp: { tls: 'implicit' } }],
    ['login refused', says('AUTH', '535 no')],
    ['login later', says('AUTH', '454 later')],
    ['421 at connect', says('connect', '421 busy')],
    ['554 at connect', says('connect', '554 go away')],
    ['451 at MAIL', says('MAIL', '451 later')],
    ['550 at MAIL: our sender is not known there', says('MAIL', '550 who are you')],
    ['451 at RCPT', says('RCPT', '451 later')],
    ['421 at RCPT', says('RCPT', '421 closing')],
    ['451 at DATA', says('DATA', '451 later')],
    ['451 to the dot', says('dot', '451 later')],
    ...stages.map((stage) => [`cut at ${stage}`, says(stage, 'close')]),
    ...stages.map((stage) => [`reset at ${stage}`, says(stage, 'reset')]),
  ] as [string, Fault][])('%s', async (_title, fault) => {
    const one = await faulty(fault)
    const two = await relayWith()
    // whoever waited for the first relay would not be through in time
    const { app, ask } = await serviceBefore([one.transport, smtpTo(two, 'two')])
    expect(await ask()).toMatchObject({ code: 'sent' })
    expect(one.relay?.mails ?? []).toEqual([])
    expect(two.mails).toHaveLength(1)
    expect(logged(app, 'mail sent')).toMatchObject([{ relay: 'two', outcome: 'sent' }])
  })

  it.each(stages.map((stage) => [stage]))('silence at %s, after a short patience', async (stage) => {
    const one = await faulty(says(stage, 'hang'))
    const two = await relayWith()
    const { ask } = await serviceBefore([one.transport, smtpTo(two, 'two')], { handoverMs })
    const { code, ms } = await ask()
    expect(code).toBe('sent')
    expect(ms).toBeGreaterThan(handoverMs / 4)
    expect(one.relay?.mails).toEqual([])
    expect(two.mails).toHaveLength(1)
  })
})

describe('the second relay is not asked, and the caller hears so, when the first refused for good:', () => {
  it.each([
    ['550 at RCPT', says('RCPT', '550 unknown')],
    ['554 at DATA', says('DATA', '554 no')],
    ['554 to the dot', says('dot', '554 spam')],
  ])('%s', async (_title, fault) => {
    const one = await faulty(fault)
    const two = await relayWith()
    const { ask } = await serviceBefore([one.transport, smtpTo(two, 'two')])
    expect(await ask()).toMatchObject({ status: 502, code: 'refused' })
    expect(two.commands).toEqual([])
  })
})

describe('nobody else gets the mail when the first relay may have it:', () => {
  it.each([
    ['cut in the middle of the message', 'body', 'reset'],
    ['cut after the dot', 'dot', 'reset'],
    ['closed after the dot', 'dot', 'close'],
    ['silence after the dot', 'dot', 'hang'],
    ['nonsense to the dot', 'dot', 'what'],
  ] as [string, Stage, Act][])(
    '%s: queued, and later the same relay is asked again under the same Message-ID',
    async (_title, stage, act) => {
      const usual = stage === 'dot' ? '250 ok' : undefined
      const one = await relayWith({ [stage]: (count: number) => (count === 1 ? act : usual) })
      const two = await relayWith()
      const relays = [smtpTo(one, 'one'), smtpTo(two, 'two')]
      const service = await serviceBefore(relays, act === 'hang' ? { totalMs } : {})
      const { code, id } = await service.ask()
      expect(code).toBe('queued')
      expect(logged(service.app, 'mail queued')).toMatchObject([{ relay: 'one', outcome: 'unknown' }])
      const begun = () => one.commands.filter((line) => line === 'DATA').length
      expect(begun()).toBe(1)
      service.pass(60_000)
      await expect.poll(() => one.mails.length).toBe(1)
      await expect.poll(() => service.state(id)).toMatchObject({ state: 'sent', relay: 'one' })
      expect(begun()).toBe(2)
      expect(idsOf(one)).toEqual([expect.stringMatching(new RegExp(`^<${id}-[a-z0-9]+@mail.example.com>$`))])
      expect(two.commands).toEqual([])
    },
  )

  it('for a quarter of an hour, also when that relay refuses our sender meanwhile; then any relay may have it', async () => {
    const one = await relayWith({
      dot: () => 'reset',
      MAIL: (count) => (count === 1 ? '250 ok' : '550 who are you'),
    })
    const two = await relayWith()
    const service = await serviceBefore([smtpTo(one, 'one'), smtpTo(two, 'two')])
    const { id } = await service.ask()
    service.pass(60_000)
    await expect.poll(() => logged(service.app, 'mail tried again').length).toBe(1)
    await expect.poll(() => service.state(id)).toMatchObject({ state: 'queued', detail: 'sender' })
    expect(two.commands).toEqual([])
    service.pass(20 * 60_000)
    await expect.poll(() => two.mails.length).toBe(1)
  })

  it('for a quarter of an hour, also when that relay has gone; then any relay may have it', async () => {
    const one = await relayWith({ dot: () => 'reset' })
    const two = await relayWith()
    const service = await serviceBefore([smtpTo(one, 'one'), smtpTo(two, 'two')])
    const { code, id } = await service.ask()
    expect(code).toBe('queued')
    await one.close()
    for (const minutes of [1, 3, 4, 5]) {
      service.pass(minutes * 60_000)
      const tried = logged(service.app, 'mail tried again').length
      await expect.poll(() => logged(service.app, 'mail tried again').length).toBe(tried + 1)
      expect(two.commands).toEqual([])
    }
    service.pass(15 * 60_000)
    await expect.poll(() => two.mails.length).toBe(1)
    await expect.poll(() => service.state(id)).toMatchObject({ state: 'sent', relay: 'two' })
  })
})

describe('when no relay takes it', () => {
  it('because none can be reached, the mail is queued and leaves when one is back', async () => {
    const [one, two] = [await nobody(), await nobody()]
    const service = await serviceBefore([smtpTo(one, 'one'), smtpTo(two, 'two')])
    const { code, id } = await service.ask()
    expect(code).toBe('queued')
    const back = await relayWith({}, two.port)
    service.pass(60_000)
    await expect.poll(() => back.mails.length).toBe(1)
    await expect.poll(() => service.state(id)).toMatchObject({ state: 'sent', relay: 'two' })
  })

  it('because all refuse our sender, the caller hears that it is refused', async () => {
    const all = await Promise.all([1, 2, 3].map(() => relayWith({ MAIL: () => '550 who are you' })))
    const service = await serviceBefore(all.map((relay, place) => smtpTo(relay, `relay${place}`)))
    expect(await service.ask()).toMatchObject({ status: 502, code: 'refused' })
  })

  it.each([
    ['first', 0],
    ['second', 1],
  ])('because the %s refuses our sender and the other is away, it is queued', async (_title, place) => {
    const strict = smtpTo(await relayWith({ MAIL: () => '550 who are you' }), 'strict')
    const away = smtpTo(await nobody(), 'away')
    const service = await serviceBefore(place === 0 ? [strict, away] : [away, strict])
    expect(await service.ask()).toMatchObject({ status: 202, code: 'queued' })
    expect(logged(service.app, 'mail queued')).toMatchObject([{ relay: 'away', reason: 'connect' }])
  })

  it('because the only one that can be reached refuses our sender, and the other is left alone, it is queued', async () => {
    const away = smtpTo(await nobody(), 'away')
    const strict = smtpTo(await relayWith({ MAIL: () => '550 who are you' }), 'strict')
    const service = await serviceBefore([away, strict], { breaker: { failures: 1, pauseMs: 600_000 } })
    expect([await service.ask(), await service.ask()]).toMatchObject([{ code: 'queued' }, { code: 'queued' }])
    expect(logged(service.app, 'mail queued').at(-1)).toMatchObject({ relay: 'strict', reason: 'sender' })
  })

  it('because all are silent, the caller has waited no longer than the total', async () => {
    const all = await Promise.all([1, 2, 3].map(() => relayWith({ connect: () => 'hang' })))
    const relays = all.map((relay, place) => smtpTo(relay, `relay${place}`))
    const service = await serviceBefore(relays, { totalMs: 3_000, handoverMs })
    const { code, ms } = await service.ask()
    expect(code).toBe('queued')
    expect(ms).toBeGreaterThan(1_000)
    expect(all.map((relay) => relay.connections())).toEqual([1, 1, 1])
  })
})

describe('three relays, the Web API last', () => {
  async function three(first: Script, second: Script, third: ApiScript) {
    const [one, two] = [await relayWith(first), await relayWith(second)]
    const api = await sendgridServer(third)
    onTestFinished(() => api.close())
    const web = sendgridTransport({ name: 'sendgrid', baseUrl: api.url, apiKey: 'SG.test-key' })
    const service = await serviceBefore([smtpTo(one, 'one'), smtpTo(two, 'two'), web])
    return { one, two, api, service }
  }

  it('the third one gets what the others did not take', async () => {
    const { one, two, api, service } = await three(
      { connect: () => '421 busy' },
      { RCPT: () => '451 later' },
      {},
    )
    expect(await service.ask()).toMatchObject({ code: 'sent' })
    expect([one.mails.length, two.mails.length, api.mails.length]).toEqual([0, 0, 1])
  })

  it('the second one keeps what it may have', async () => {
    const { api, service, two } = await three({ AUTH: () => '535 no' }, { dot: () => 'reset' }, {})
    expect(await service.ask()).toMatchObject({ code: 'queued' })
    expect(two.commands).toContain('DATA')
    expect(api.connections()).toBe(0)
  })

  it('the third one’s end decides when it is the last', async () => {
    const gone: Script = { connect: () => 'close' }
    const { service } = await three(gone, gone, { body: () => ({ status: 400 }) })
    expect(await service.ask()).toMatchObject({ status: 502, code: 'refused' })
  })
})

describe('SendGrid first', () => {
  async function before(script: ApiScript, options: FailoverOptions = {}) {
    const api = await sendgridServer(script)
    onTestFinished(() => api.close())
    const relay = await relayWith()
    const web = sendgridTransport({ name: 'sendgrid', baseUrl: api.url, apiKey: 'SG.test-key' })
    const service = await serviceBefore([web, smtpTo(relay, 'smtp')], options)
    return { api, relay, service }
  }

  it.each([
    ['429', { body: () => ({ status: 429, headers: { 'retry-after': '60' } }) }],
    ['500', { body: () => ({ status: 500 }) }],
    ['503', { body: () => ({ status: 503 }) }],
    ['403', { body: () => ({ status: 403 }) }],
    [
      '403 about our sender',
      { body: () => sendgridError(403, 'The from address does not match a verified Sender Identity') },
    ],
    ['413: the limit is that relay’s', { body: () => ({ status: 413 }) }],
    ['reset before TLS', { connect: () => 'reset' }],
    ['silent before TLS', { connect: () => 'hang' }],
  ] as [string, ApiScript][])('%s: the relay behind it gets the mail', async (_title, script) => {
    const { api, relay, service } = await before(script, script.connect?.(1) === 'hang' ? { handoverMs } : {})
    expect(await service.ask()).toMatchObject({ code: 'sent' })
    expect([api.mails.length, relay.mails.length]).toEqual([0, 1])
  })

  it.each([
    ['400', 502, 'refused', { body: () => ({ status: 400 }) }],
    ['502 of a gateway', 202, 'queued', { body: () => ({ status: 502 }) }],
    ['reset after the request', 202, 'queued', { body: () => 'reset' }],
    ['silent after the request', 202, 'queued', { body: () => 'hang' }],
  ] as [string, number, string, ApiScript][])(
    '%s: %i, and nobody else is asked',
    async (_title, status, code, script) => {
      const { relay, service } = await before(script, script.body?.(1) === 'hang' ? { totalMs } : {})
      expect(await service.ask()).toMatchObject({ status, code })
      expect(relay.commands).toEqual([])
    },
  )

  it('and alone: Retry-After is how long the mail waits, and no try is counted meanwhile', async () => {
    const api = await sendgridServer({
      body: (count) => (count === 1 ? { status: 429, headers: { 'retry-after': '40' } } : undefined),
    })
    onTestFinished(() => api.close())
    let shift = 0
    const now = () => Date.now() + shift
    const web = sendgridTransport({ name: 'sendgrid', baseUrl: api.url, apiKey: 'SG.test-key', now })
    const service = await serviceBefore([web], { now })
    const first = await service.ask()
    const second = await service.ask()
    expect([first.code, second.code]).toEqual(['queued', 'queued'])
    expect(await service.state(second.id)).toMatchObject({ attempts: 0 })
    shift = service.pass(20_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(api.requests).toHaveLength(1)
    shift = service.pass(25_000)
    await expect.poll(() => api.mails.length).toBe(2)
  })
})

describe('a relay that cannot be reached for long', () => {
  it('is left alone: callers hear "queued" without waiting, no try is counted, and all leave when it is back', async () => {
    const one = await relayWith({ EHLO: () => 'hang' }, await freePort())
    let shift = 0
    const service = await serviceBefore([smtpTo(one, 'one')], {
      totalMs,
      breaker: { failures: 3, pauseMs: 600_000, maxPauseMs: 600_000, now: () => performance.now() + shift },
    })
    const slow = await Promise.all([0, 1, 2].map(() => service.ask()))
    expect(slow.map(({ code }) => code)).toEqual(['queued', 'queued', 'queued'])
    const connections = one.connections()
    const quick = await Promise.all(Array.from({ length: 20 }, () => service.ask()))
    expect(quick.map(({ code }) => code)).toEqual(Array(20).fill('queued'))
    expect(one.connections()).toBe(connections)
    const reasons = logged(service.app, 'mail queued').map(({ reason }) => reason)
    expect(reasons.slice(3)).toEqual(Array(20).fill('breaker_open'))
    expect(await service.state(quick[0]!.id)).toMatchObject({ state: 'queued', attempts: 0 })
    await one.close()
    const back = await relayWith({}, one.port)
    shift = service.pass(600_000)
    // one mail shows that the relay is back, and the others follow
    const ids = [...slow, ...quick].map(({ id }) => id)
    await expect.poll(() => (service.pass(5_000), back.mails.length), { interval: 100 }).toBe(23)
    const arrived = back.mails.map(({ source }) => /^Message-ID: <(.*)-[a-z0-9]+@/m.exec(source)?.[1])
    expect(arrived.toSorted()).toEqual(ids.toSorted())
  })

  it('is not asked for what is stored either: that waits unclaimed until a mail may show that it is back', async () => {
    const away = await nobody()
    const service = await serviceBefore([smtpTo(away, 'one')], { breaker: { failures: 1, pauseMs: 600_000 } })
    for (let count = 0; count < 3; count++) expect(await service.ask()).toMatchObject({ code: 'queued' })
    service.pass(60_000)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(logged(service.app, 'mail tried again')).toEqual([])
    const back = await relayWith({}, away.port)
    await service.app.app.inject('/health/ready')
    await expect.poll(() => (service.pass(5_000), back.mails.length), { interval: 100 }).toBe(3)
  })

  it('costs callers nothing while another one takes the mails', async () => {
    const one = await relayWith({ EHLO: () => 'hang' })
    const two = await relayWith()
    const breaker = { failures: 2, pauseMs: 600_000 }
    const service = await serviceBefore([smtpTo(one, 'one'), smtpTo(two, 'two')], { handoverMs, breaker })
    await Promise.all([service.ask(), service.ask()])
    const connections = one.connections()
    expect(await service.ask()).toMatchObject({ code: 'sent' })
    expect(one.connections()).toBe(connections)
    expect(two.mails).toHaveLength(3)
    expect(one.mails).toEqual([])
  })

  it('is not one whose recipients are unknown or who says "later"', async () => {
    const one = await relayWith({ RCPT: (count) => (count % 2 === 0 ? '550 unknown' : '451 later') })
    const service = await serviceBefore([smtpTo(one, 'one')], { breaker: { failures: 2 } })
    for (let count = 0; count < 6; count++) await service.ask()
    expect(logged(service.app, 'mail queued').map(({ reason }) => reason)).toEqual(Array(3).fill('recipient'))
  })
})

describe('/health/ready', () => {
  it('shows each relay, and is green while one of them lets us in', async () => {
    const [one, two] = [smtpTo(await nobody(), 'one'), smtpTo(await relayWith(), 'two')]
    const { app } = await serviceBefore([one, two])
    const ready = await app.app.inject('/health/ready')
    expect(ready.statusCode).toBe(200)
    expect(ready.json()).toMatchObject({
      code: 'ready',
      relays: { one: 'connect', two: 'ok' },
      breakers: { one: 'closed', two: 'closed' },
    })
  })

  it('is red when none does', async () => {
    const [one, two] = [
      smtpTo(await nobody(), 'one'),
      smtpTo(await relayWith({ AUTH: () => '535 no' }), 'two'),
    ]
    const { app, ask } = await serviceBefore([one, two], { breaker: { failures: 1 } })
    await ask()
    const ready = await app.app.inject('/health/ready')
    expect(ready.statusCode).toBe(503)
    expect(ready.json()).toMatchObject({
      code: 'relay_unavailable',
      relays: { one: 'connect', two: 'login' },
      breakers: { one: 'open', two: 'open' },
    })
  })

  it('that finds a relay well again spares the next mail the rest of the pause', async () => {
    const gone = await nobody()
    const service = await serviceBefore([smtpTo(gone, 'one')], { breaker: { failures: 1, pauseMs: 600_000 } })
    expect(await service.ask()).toMatchObject({ code: 'queued' })
    const back = await relayWith({}, gone.port)
    expect((await service.app.app.inject('/health/ready')).json()).toMatchObject({ relays: { one: 'ok' } })
    expect(await service.ask()).toMatchObject({ code: 'sent' })
    expect(back.mails.length).toBeGreaterThan(0)
  })
})

describe('a backlog', () => {
  /** Takes mails only together: none is answered before so many have come to both relays. */
  function gate(wanted: number) {
    const { promise, resolve } = Promise.withResolvers<void>()
    let come = 0
    return async (): Promise<Act> => {
      if (++come >= wanted) resolve()
      await promise
      return '250 taken'
    }
  }

  it('uses the connections of all relays at once, the first one first', async () => {
    const dot = gate(5)
    const [one, two] = [await relayWith({ dot }), await relayWith({ dot })]
    const transport = failover([
      smtpTo(one, 'one', { connections: 2 }),
      smtpTo(two, 'two', { connections: 3 }),
    ])
    onTestFinished(() => transport.close())
    expect(transport.capacity()).toBe(5)
    const receipts = await Promise.all(
      Array.from({ length: 5 }, () => transport.send(sampleMessage(), { fromBacklog: true })),
    )
    expect(receipts.map(({ relay }) => relay)).toEqual(['one', 'one', 'two', 'two', 'two'])
    const later = await transport.send(sampleMessage(), { fromBacklog: true })
    expect(later).toMatchObject({ outcome: 'sent', relay: 'one' })
  })

  it('lets a fresh mail pass at the first relay, which takes it with the next connection that is free', async () => {
    const order: string[] = []
    const relay = await relayWith({
      RCPT: () => (order.push(relay.commands.at(-1) ?? ''), '250 ok') satisfies Act,
    })
    const transport = failover([smtpTo(relay, 'one', { connections: 1 })])
    onTestFinished(() => transport.close())
    const to = (name: string) => ({
      ...sampleMessage(),
      to: { name: '', address: `${name}@example.org` },
    })
    const waiting = ['a', 'b', 'c'].map((name) => transport.send(to(name), { fromBacklog: true }))
    await Promise.all([...waiting, transport.send(to('fresh'))])
    expect(order.map((line) => /<(\w+)@/.exec(line)?.[1])).toEqual(['fresh', 'a', 'b', 'c'])
  })

  it('goes to the others when the first relay is away, and does not count its connections', async () => {
    const two = await relayWith()
    const transport = failover(
      [smtpTo(await nobody(), 'one', { connections: 50 }), smtpTo(two, 'two', { connections: 3 })],
      { breaker: { failures: 1, pauseMs: 60_000 } },
    )
    onTestFinished(() => transport.close())
    expect(await transport.send(sampleMessage(), { fromBacklog: true })).toMatchObject({ relay: 'two' })
    expect(transport.capacity()).toBe(3)
    expect(await transport.send(sampleMessage(), { onlyRelay: 'one', fromBacklog: true })).toMatchObject({
      outcome: 'unsent',
      relay: 'one',
    })
  })
})
