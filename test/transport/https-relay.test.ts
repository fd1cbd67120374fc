/** What every relay by HTTPS has from the shared way of speaking to it; what a kind promises is in contract.test.ts. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { meaningBy, waitAskedFor } from '../../src/transport/api-answer.ts'
import { httpsRelay, type HttpsRelayOptions, type RelayApi } from '../../src/transport/https-relay.ts'
import { within } from '../../src/timers.ts'
import { type ApiScript, apiServer, jsonOf, trustStandIns } from '../support/https-api.ts'
import { sampleMessage } from '../support/messages.ts'

beforeAll(trustStandIns)

/** Takes `{"id"}`, and each id once when `knowsRepeats`. */
async function relayWith(
  script: ApiScript = {},
  changes: Partial<RelayApi> = {},
  options: Partial<HttpsRelayOptions> = {},
) {
  const server = await apiServer(
    {
      mailPath: '/send',
      take: (request) => ({ status: 200, body: {}, mail: (jsonOf(request) as { id: string }).id }),
      answer: () => ({ status: 200, body: {} }),
    },
    script,
  )
  onTestFinished(() => server.close())
  const api: RelayApi = {
    path: '/send',
    write: ({ id }) => ({ headers: {}, body: JSON.stringify({ id }) }),
    meaningOf: (answer) => meaningBy([{ status: 200, means: ['sent', 'accepted'] }], answer),
    question: () => ({ path: '/question', method: 'GET' }),
    troubleIn: ({ status }) => (status === 200 ? undefined : 'login'),
    ...changes,
  }
  const transport = httpsRelay(api, { name: 'relay', baseUrl: server.url, ...options })
  onTestFinished(() => transport.close())
  return { server, transport }
}

describe('the body of an answer', () => {
  const words = (says: RegExp): Partial<RelayApi> => ({
    meaningOf: (answer) =>
      meaningBy(
        [
          { status: 200, means: ['sent', 'accepted'] },
          { says, means: ['deferred', 'quota'] },
        ],
        answer,
      ),
  })

  it('is read for what the status does not say', async () => {
    const { transport } = await relayWith(
      { body: () => ({ status: 400, body: { error: 'No credits left' } }) },
      words(/no credits/i),
    )
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'deferred', reason: 'quota' })
  })

  it('is not read for words inside an address', async () => {
    const { transport } = await relayWith(
      { body: () => ({ status: 400, body: { error: 'quota@example.com is not valid' } }) },
      words(/quota/),
    )
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'refused', reason: 'message' })
  })

  it.each([
    ['does not come', { status: 400, hangs: true }],
    ['is no JSON', { status: 400, body: '<html>No credits left' }],
    ['does not end', { status: 400, body: `"${'No credits left'.repeat(10_000)}"` }],
  ])('that %s leaves the status alone to decide, soon', async (_title, reply) => {
    const { server, transport } = await relayWith(
      { body: (count) => (count === 1 ? reply : undefined) },
      words(/No credits/),
    )
    // the mail itself may take 20 s
    const receipt = await within(15_000, transport.send(sampleMessage()))
    expect(receipt).toMatchObject({ outcome: 'refused', reply: 400 })
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(server.mails).toHaveLength(1)
  })

  it('of a mail that was taken is not waited for', async () => {
    const { transport } = await relayWith({
      body: (count) => ({ status: count === 1 ? 400 : 200, hangs: true }),
    })
    const ended: string[] = []
    const send = async () => ended.push((await transport.send(sampleMessage())).outcome)
    await Promise.all([send(), send()])
    expect(ended).toEqual(['sent', 'refused'])
  })
})

describe('the question whether we are let in', () => {
  it('waits behind no mail', async () => {
    const hold = Promise.withResolvers<undefined>()
    const { server, transport } = await relayWith({ body: () => hold.promise }, {}, { connections: 1 })
    const mails = [0, 1, 2].map(() => transport.send(sampleMessage()))
    await expect.poll(() => server.requests.length).toBe(1)
    expect(await transport.check()).toBeUndefined()
    hold.resolve(undefined)
    await Promise.all(mails)
  })

  it.each([
    ['is silent', { question: () => 'hang' }, 'timeout', 500],
    ['stops before TLS', { connect: () => 'hang' }, 'timeout', 500],
    ['gives its answer no end', { question: () => ({ status: 401, hangs: true }) }, 'login', 2_000],
  ] as [string, ApiScript, string, number][])(
    'has one deadline for all of it: a relay that %s',
    async (_title, script, reason, checkMs) => {
      const { transport } = await relayWith(script, {}, { checkMs })
      expect(await within(15_000, transport.check())).toBe(reason)
    },
  )

  it('is not answered by a page of HTML', async () => {
    const page = { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Log in to this network' }
    const { transport } = await relayWith({ question: () => page })
    expect(await transport.check()).toBe('protocol')
  })

  it('keeps no close waiting', async () => {
    const { transport } = await relayWith({ question: () => 'hang' })
    const asked = transport.check()
    await transport.close()
    expect(await asked).toBe('closing')
  })
})

describe('a mail whose end is unknown', () => {
  it.each(['reset', 'close', { status: 502 }, { status: 500 }] as const)(
    'is repeated once, at once, where the API knows repeats: %o',
    async (act) => {
      const { server, transport } = await relayWith(
        { body: (count) => (count === 1 ? act : undefined) },
        { knowsRepeats: true },
      )
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
      expect(server.requests).toHaveLength(2)
      expect(server.requests[0]?.body).toBe(server.requests[1]?.body)
    },
  )

  it.each([{ status: 400 }, { status: 429 }, { status: 409 }, 'reset'] as const)(
    'stays unknown whatever else the second answer is: %o',
    async (act) => {
      const { server, transport } = await relayWith(
        { body: (count) => (count === 1 ? 'reset' : act) },
        { knowsRepeats: true },
      )
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'unknown' })
      expect(server.requests).toHaveLength(2)
    },
  )

  it('is not repeated elsewhere, nor when its time is over', async () => {
    const plain = await relayWith({ body: () => 'reset' })
    const silent = await relayWith({ body: () => 'hang' }, { knowsRepeats: true }, { attemptMs: 1_500 })
    expect(await plain.transport.send(sampleMessage())).toMatchObject({ outcome: 'unknown' })
    expect(await silent.transport.send(sampleMessage())).toMatchObject({
      outcome: 'unknown',
      reason: 'timeout',
    })
    expect([plain, silent].map(({ server }) => server.requests.length)).toEqual([1, 1])
  })
})

it('how long to wait is told in whole milliseconds', async () => {
  let now = 1_000.25
  const reply = { status: 429, headers: { 'retry-after': '2' } }
  const { transport } = await relayWith({ body: () => reply }, {}, { now: () => now })
  expect(await transport.send(sampleMessage())).toMatchObject({ retryAfterMs: 2_000 })
  now += 0.4
  expect(await transport.send(sampleMessage())).toMatchObject({ reason: 'resting', retryAfterMs: 2_000 })
  expect(waitAskedFor({}, 0.5, 1_500.75)).toBe(1_501)
})

it.each([
  ['200', { outcome: 'unknown', reason: 'protocol' }],
  ['400', { outcome: 'deferred', reason: 'protocol' }],
  ['404', { outcome: 'deferred', reason: 'protocol' }],
  ['422', { outcome: 'deferred', reason: 'protocol' }],
  ['413', { outcome: 'refused', reason: 'size' }],
  ['403', { outcome: 'deferred', reason: 'login' }],
  ['502', { outcome: 'unknown', reason: 'unavailable' }],
] as const)('a page of HTML with %s is no word of the API about the mail', async (status, means) => {
  const page = {
    status: Number(status),
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: '<h1>Hi',
  }
  const { transport } = await relayWith({ body: () => page })
  expect(await transport.send(sampleMessage())).toMatchObject({ ...means, reply: Number(status) })
})

it.each([
  ['Fri, 31 Dec 9999 23:59:59 GMT', 3_600_000],
  ['999999999', 3_600_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 1_000],
  ['0', 1_000],
  ['-5', undefined],
  ['1.5', undefined],
  ['99999999999999999999', undefined],
  ['31 Dec', undefined],
  ['Thu, 99 Foo 2099 99:99:99 GMT', undefined],
  ['', undefined],
])('Retry-After: %s asks for a wait of %s ms', (value, waitMs) => {
  expect(waitAskedFor({ 'retry-after': value }, 1_800_000_000_000)).toBe(waitMs)
})

it('a mail is written when its connection stands, and a bug in that rejects', async () => {
  let written = 0
  const hold = Promise.withResolvers<undefined>()
  const { server, transport } = await relayWith(
    { body: () => hold.promise },
    {
      write({ id }) {
        written++
        if (id === 'bug') throw new Error('a bug')
        return { headers: {}, body: JSON.stringify({ id }) }
      },
    },
    { connections: 1 },
  )
  const first = transport.send(sampleMessage())
  await expect.poll(() => server.requests.length).toBe(1)
  const bug = transport.send(sampleMessage({ id: 'bug' }))
  const last = transport.send(sampleMessage())
  expect(transport.use?.()).toEqual({
    connections: { opening: 0, idle: 0, busy: 1, resetting: 0, leaving: 0 },
    waiting: 2,
  })
  expect(written).toBe(1)
  hold.resolve(undefined)
  await expect(bug).rejects.toThrow('a bug')
  expect(await Promise.all([first, last])).toMatchObject([{ outcome: 'sent' }, { outcome: 'sent' }])
})
