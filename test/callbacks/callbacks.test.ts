import { createSecretKey } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { receiver } from '../../src/callbacks/call.ts'
import { type CallbacksOptions, startCallbacks } from '../../src/callbacks/callbacks.ts'
import { nextCallMs } from '../../src/callbacks/schedule.ts'
import { silentMeter } from '../../src/meter.ts'
import type { DueEvent } from '../../src/outbox/api.ts'
import { checkStandardWebhook } from '../../src/signed-request.ts'
import { webhookHeaders } from '../../src/webhook.ts'
import { portOf } from '../support/port.ts'

const hourMs = 3_600_000
const secret = `whsec_${Buffer.alloc(32, 'current').toString('base64')}`
const previous = `whsec_${Buffer.alloc(32, 'previous').toString('base64')}`
const keyOf = (text: string) => createSecretKey(Buffer.from(text.slice(6), 'base64'))

interface Call {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A receiver over HTTP that answers as `answer` says. */
async function listen(answer: (reply: ServerResponse, count: number) => void) {
  const calls: Call[] = []
  const server = createServer((request, reply) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      calls.push({ headers: request.headers, body: Buffer.concat(chunks) })
      answer(reply, calls.length)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${portOf(server)}/hook`
  return { calls, server, webhook: { url, secrets: [secret, previous], allowPrivate: true } }
}
const status =
  (code: number, headers: Record<string, string> = {}) =>
  (reply: ServerResponse): void =>
    void reply.writeHead(code, headers).end('{}')

let number = 0
const newEvent = (app: string, at: number, over: Partial<DueEvent> = {}): DueEvent => ({
  id: `evt_${(number += 1)}`,
  app,
  mail: `mail-${number}`,
  kind: 'confirmation',
  type: 'mail.bounced',
  detail: 'hard',
  at,
  sequence: at + number,
  ends: at + 24 * hourMs,
  attempts: 0,
  leaseId: 1,
  ...over,
})

/** Callbacks over events in memory, with a clock that is moved by hand. */
function running({
  apps = ['shop'],
  ...options
}: Pick<CallbacksOptions, 'webhookOf' | 'callMs' | 'resolve'> & { apps?: string[] }) {
  let now = 1_800_000_000_000
  const waiting = new Map<DueEvent, number>()
  const ended: { id: string; retryInMs: number | undefined; at: number }[] = []
  const lines: Record<string, unknown>[] = []
  const outcomes: string[] = []
  const note = (fields: object) => void lines.push({ ...fields })
  const callbacks = startCallbacks({
    apps: () => apps,
    ...options,
    outbox: {
      leaseEvents: async (wanted) =>
        wanted.flatMap(({ app, limit }) => {
          const due = [...waiting].filter(([event, at]) => event.app === app && at <= now).slice(0, limit)
          return due.map(([event]) => {
            waiting.delete(event)
            return { ...event, attempts: event.attempts + 1 }
          })
        }),
      endEvent: async (event, retryInMs) => {
        ended.push({ id: event.id, retryInMs, at: now })
        if (retryInMs !== undefined) waiting.set(event, now + retryInMs)
      },
    },
    meter: { ...silentMeter, called: (_app, outcome) => void outcomes.push(outcome) },
    log: { info: note, warn: note, error: note },
    everyMs: 4,
    clock: () => now,
    random: () => 1,
  })
  onTestFinished(() => callbacks.stop(0))
  return {
    callbacks,
    waiting,
    ended,
    lines,
    outcomes,
    start: () => now,
    pass: (ms: number): void => void (now += ms),
    add(app: string, over?: Partial<DueEvent>) {
      const event = newEvent(app, now, over)
      waiting.set(event, now)
      return event
    },
  }
}

describe('an app that is called back', () => {
  test('gets what happened, signed with each secret, and is called once when it takes it', async () => {
    const { calls, webhook } = await listen(status(204))
    const { add, ended, start, outcomes } = running({ webhookOf: () => webhook })
    const event = add('shop')
    await expect.poll(() => ended).toEqual([{ id: event.id, retryInMs: undefined, at: start() }])
    const [call] = calls
    if (!call || calls.length > 1) throw new Error('not called once')
    for (const key of [keyOf(secret), keyOf(previous)])
      checkStandardWebhook(call.headers, call.body, [key], start())
    expect(call.headers).toMatchObject({ 'webhook-id': event.id, 'content-type': 'application/json' })
    expect(JSON.parse(call.body.toString())).toEqual({
      type: 'mail.bounced',
      timestamp: new Date(event.at).toISOString(),
      data: { id: event.mail, app: 'shop', kind: 'confirmation', sequence: event.sequence, bounce: 'hard' },
    })
    expect(outcomes).toEqual(['taken'])
  })

  test('is called again for an hour of 500s, with the same id and ever longer pauses', async () => {
    let broken = true
    const { calls, webhook } = await listen((reply) => status(broken ? 500 : 200)(reply))
    const { add, ended, pass, lines } = running({ webhookOf: () => webhook })
    const event = add('shop')
    const waits: number[] = []
    for (let passed = 0; passed < hourMs; ) {
      await expect.poll(() => ended.length).toBe(waits.length + 1)
      const waitMs = ended.at(-1)?.retryInMs ?? 0
      waits.push(waitMs)
      pass(waitMs)
      passed += waitMs
    }
    broken = false
    await expect.poll(() => ended.at(-1)?.retryInMs).toBe(undefined)
    expect(waits).toEqual([5000, 60_000, 300_000, 900_000, 3_600_000])
    expect(new Set(calls.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([event.id]))
    expect(new Set(calls.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(calls.length)
    expect(lines[0]).toMatchObject({ reason: 'status', reply: 500, app: 'shop', event: event.id })
    expect(JSON.stringify(lines)).not.toContain('hook')
  })

  test('that fails is asked again after a pause that grows, whatever waits for it', async () => {
    const { calls, webhook } = await listen(status(500))
    const { add, ended, pass } = running({ webhookOf: () => webhook })
    for (let n = 0; n < 20; n += 1) add('shop')
    await expect.poll(() => ended.length).toBe(4)
    for (const [pauseMs, called] of [
      [7_999, 4],
      [1, 5],
      [15_999, 5],
      [1, 6],
    ] as const) {
      pass(pauseMs)
      await expect.poll(() => ended.length).toBe(called)
      // ten looks for what is due
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(calls).toHaveLength(called)
    }
  })

  test('is given up after its last call, a day later, and not before', async () => {
    const { webhook } = await listen(status(500))
    const { add, ended, pass, lines, outcomes } = running({ webhookOf: () => webhook })
    const event = add('shop')
    for (let tries = 1; ended.at(-1)?.retryInMs !== undefined || tries === 1; tries += 1) {
      await expect.poll(() => ended.length).toBe(tries)
      pass(ended.at(-1)?.retryInMs ?? 0)
    }
    expect(ended.at(-1)?.at).toBe(event.ends)
    expect(ended.length).toBe(13)
    expect(lines.at(-1)).toMatchObject({ reason: 'status', attempt: 13 })
    expect(outcomes.at(-1)).toBe('given_up')
  })

  test('is not called any more for what it answers 410 to', async () => {
    const { webhook } = await listen(status(410))
    const { add, ended, lines, outcomes } = running({ webhookOf: () => webhook })
    add('shop')
    await expect.poll(() => ended).toMatchObject([{ retryInMs: undefined }])
    expect(lines).toMatchObject([{ reason: 'gone', reply: 410 }])
    expect(outcomes).toEqual(['gone'])
  })

  test('is left alone for as long as it asks, up to an hour', async () => {
    const { calls, webhook } = await listen((reply, count) =>
      count === 1 ? status(429, { 'retry-after': '600' })(reply) : status(200)(reply),
    )
    const { add, ended, pass } = running({ webhookOf: () => webhook })
    add('shop')
    await expect.poll(() => ended).toMatchObject([{ retryInMs: 600_000 }])
    add('shop')
    pass(599_000)
    await new Promise((end) => setTimeout(end, 30))
    expect(calls).toHaveLength(1)
    pass(1_000)
    await expect.poll(() => ended.length).toBe(3)
    const call = { id: 'x', now: 0, body: '{}' }
    for (const [given, expected] of [
      ['99999999', hourMs],
      ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
      ['soon', undefined],
    ] as const) {
      const { webhook: other } = await listen(status(503, { 'retry-after': given }))
      const result = await receiver(other, { clock: () => 0 }).call(call)
      expect(result).toMatchObject({ reason: 'status', ...(expected && { retryAfterMs: expected }) })
    }
  })

  test('that hangs holds up no other app, and has four calls at most', async () => {
    const slow = await listen(() => undefined)
    const quick = await listen(status(200))
    const { add, ended } = running({
      apps: ['slow', 'quick'],
      webhookOf: (app) => (app === 'slow' ? slow : quick).webhook,
    })
    for (let n = 0; n < 20; n += 1) add('slow')
    for (let n = 0; n < 20; n += 1) add('quick')
    await expect.poll(() => ended.length).toBe(20)
    expect(quick.calls).toHaveLength(20)
    await expect.poll(() => slow.calls).toHaveLength(4)
  })

  test('has what is in the air finished at shutdown, and the rest given to another replica', async () => {
    let finish = (): void => undefined
    const { webhook, calls } = await listen((reply, count) => {
      if (count === 1) finish = () => status(200)(reply)
    })
    const { add, ended, callbacks, waiting } = running({ webhookOf: () => webhook })
    const [first, second] = [add('shop'), add('shop')]
    await expect.poll(() => calls.length).toBe(2)
    const isFirst = calls[0]?.headers['webhook-id'] === first.id
    const stopped = callbacks.stop(1_000)
    add('shop')
    finish()
    await stopped
    expect(ended.map(({ id, retryInMs }) => [id, retryInMs])).toEqual([
      [isFirst ? first.id : second.id, undefined],
      [isFirst ? second.id : first.id, 0],
    ])
    expect(waiting.size).toBe(2)
  })
})

describe('a call', () => {
  const signed = { id: 'evt_1', now: 1_800_000_000_000, body: '{}' }
  const short = { callMs: 1_000 }

  test.each([
    ['hangs', () => undefined, 'timeout'],
    ['redirects', status(302, { location: 'http://127.0.0.1:9/' }), 'redirect'],
    ['resets', (reply: ServerResponse): void => void reply.destroy(), 'connect'],
  ] as const)('of a receiver that %s has failed', async (_title, answer, reason) => {
    const { webhook, calls } = await listen(answer)
    const options = reason === 'timeout' ? short : {}
    expect(await receiver(webhook, options).call(signed)).toMatchObject({ taken: false, reason })
    expect(calls).toHaveLength(1)
  })

  test('of a receiver that drips its head ends in time', async () => {
    const { webhook, server } = await listen(() => undefined)
    server.removeAllListeners('request')
    server.on('connection', (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-drip: ')
      const drip = setInterval(() => socket.write('a'), 20)
      socket.on('error', () => undefined).on('close', () => clearInterval(drip))
    })
    expect(await receiver(webhook, short).call(signed)).toEqual({ taken: false, reason: 'timeout' })
  })

  test('reads a body that never ends no further than it must, and its status counts', async () => {
    let closed = 0
    const { webhook } = await listen((reply) => {
      reply.writeHead(200)
      const flood = (): void => {
        while (!reply.destroyed && reply.write(Buffer.alloc(65_536)));
      }
      reply.on('drain', flood).on('close', () => (closed += 1))
      flood()
    })
    expect(await receiver(webhook).call(signed)).toEqual({ taken: true })
    await expect.poll(() => closed).toBe(1)
  })

  test('uses one connection for one event after the other', async () => {
    const { webhook, server } = await listen(status(200))
    let connections = 0
    server.on('connection', () => (connections += 1))
    const { call, close } = receiver(webhook)
    for (let n = 0; n < 3; n += 1) expect(await call(signed)).toEqual({ taken: true })
    expect(connections).toBe(1)
    close()
  })

  test('reaches nothing private: by number, by name, or by a name that changes', async () => {
    const { webhook, calls, server } = await listen(status(200))
    let connections = 0
    server.on('connection', () => (connections += 1))
    const refused = { taken: false, reason: 'private_address' }
    const guarded = { ...webhook, allowPrivate: false }
    const mapped = webhook.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')
    const named = webhook.url.replace('127.0.0.1', 'localhost')
    for (const url of [webhook.url, mapped, named])
      expect(await receiver({ ...guarded, url }).call(signed)).toEqual(refused)
    const answers = [['1.1.1.1', '127.0.0.1'], ['127.0.0.1']]
    let asked = 0
    const changing = receiver(
      { ...guarded, url: webhook.url.replace('127.0.0.1', 'app.example.com') },
      {
        callMs: 300,
        resolve: (_host, _options, callback) =>
          callback(
            null,
            (answers[asked++] ?? []).map((address) => ({ address, family: 4 })),
          ),
      },
    )
    for (const _ of answers) expect(await changing.call(signed)).toEqual(refused)
    expect(asked).toBe(2)
    expect([calls.length, connections]).toEqual([0, 0])
    // the test itself could have reached it
    const socket = connect(portOf(server), '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
  })

  test('carries the signature of the specification’s example', () => {
    const call = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', now: 1_614_265_330_000, body: '{"test": 2432232314}' }
    expect(webhookHeaders(call, ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])).toEqual({
      'webhook-id': call.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  test('is repeated with pauses that are spread, and never after the end', () => {
    const at = { now: 0, ends: 10 * hourMs, attempts: 2 }
    expect(nextCallMs({ ...at, random: 0 })).toBe(45_000)
    expect(nextCallMs({ ...at, random: 1 })).toBe(60_000)
    expect(nextCallMs({ ...at, random: 1, ends: 1000 })).toBe(1000)
    expect(nextCallMs({ ...at, random: 1, ends: 0 })).toBe(undefined)
    expect(nextCallMs({ ...at, random: 1, attempts: 99 })).toBe(4 * hourMs)
  })
})
