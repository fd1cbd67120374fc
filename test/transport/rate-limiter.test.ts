import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import { rateGate } from '../../src/transport/rate-limiter.ts'
import { type SmtpOptions, smtpTransport } from '../../src/transport/smtp.ts'
import { sampleMessage } from '../support/messages.ts'
import { type Script, scriptedRelay } from '../support/relay.ts'

let buildMime: BuildMime
beforeAll(async () => {
  buildMime = await mimeBuilder()
})
// not after each test: they wait side by side
const opened: { close(): Promise<void> }[] = []
afterAll(() => Promise.all(opened.map((one) => one.close())))

describe('a rate', () => {
  it('is counted from the end of a mail, however long it took', () => {
    let time = 0
    const gate = rateGate({ max: 2, windowMs: 1_000 }, () => time)
    expect([gate.take(), gate.take(), gate.take()]).toEqual([true, true, false])
    time = 5_000
    expect(gate.take()).toBe(false)
    gate.done()
    expect([gate.take(), gate.waitMs()]).toEqual([false, 1_000])
    time = 5_400
    gate.done()
    time = 5_999
    expect([gate.take(), gate.waitMs()]).toEqual([false, 1])
    time = 6_000
    expect([gate.take(), gate.take(), gate.waitMs()]).toEqual([true, false, 400])
  })
})

/** Sends `count` mails at once and says when each stage of each mail was heard by the relay. */
async function sendAll(count: number, options: Partial<SmtpOptions>, script: Script = {}) {
  const heard: Record<'MAIL' | 'dot', number[]> = { MAIL: [], dot: [] }
  const noting =
    (stage: 'MAIL' | 'dot') =>
    (place: number): ReturnType<NonNullable<Script['dot']>> => {
      heard[stage].push(performance.now())
      return script[stage]?.(place) ?? '250 ok'
    }
  const relay = await scriptedRelay({ ...script, MAIL: noting('MAIL'), dot: noting('dot') })
  opened.push(relay)
  const transport = smtpTransport({
    name: 'test',
    host: '127.0.0.1',
    port: relay.port,
    tls: 'off',
    ehloName: 'mail.example.com',
    buildMime,
    ...options,
  })
  opened.push(transport)
  const receipts = await Promise.all(Array.from({ length: count }, () => transport.send(sampleMessage())))
  return { heard, relay, receipts, transport, outcomes: new Set(receipts.map(({ outcome }) => outcome)) }
}

/** The most events in any window. */
function mostIn(times: readonly number[], windowMs: number): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + windowMs).length))
}

describe.concurrent('a relay with a rate', () => {
  it('never hears more mails in any window, and loses none of them', async () => {
    const rate = { max: 7, windowMs: 300 }
    const started = performance.now()
    // what makes the mails late on a busy machine makes these ticks late as well
    let windows = 0
    const ticking = setInterval(() => windows++, rate.windowMs)
    const { heard, outcomes } = await sendAll(30, { rate, connections: 5 })
    clearInterval(ticking)
    expect(outcomes).toEqual(new Set(['sent']))
    expect(heard.dot).toHaveLength(30)
    expect(mostIn(heard.MAIL, rate.windowMs)).toBeLessThanOrEqual(rate.max)
    expect(mostIn(heard.dot, rate.windowMs)).toBeLessThanOrEqual(rate.max)
    // 30 mails are four full windows and a bit; waiting much longer would be a rate of our own making
    expect(performance.now() - started).toBeGreaterThan(4 * rate.windowMs)
    expect(windows).toBeLessThan(10)
  })

  it('does so also when it is slow, refuses, or hangs up', async () => {
    const rate = { max: 4, windowMs: 200 }
    const { heard, receipts } = await sendAll(
      24,
      { rate, connections: 8 },
      {
        MAIL: (count) => (count % 7 === 0 ? 'reset' : count % 5 === 0 ? '451 later' : '250 ok'),
        dot: async (count) => {
          await new Promise((resolve) => setTimeout(resolve, (count % 3) * 60))
          return count % 6 === 0 ? '554 no' : '250 ok'
        },
      },
    )
    expect(receipts).toHaveLength(24)
    expect(mostIn(heard.MAIL, rate.windowMs)).toBeLessThanOrEqual(rate.max)
    expect(mostIn(heard.dot, rate.windowMs)).toBeLessThanOrEqual(rate.max)
  })

  it('opens no more connections than its mails need', async () => {
    const { relay } = await sendAll(6, { rate: { max: 2, windowMs: 200 }, connections: 10 })
    expect(relay.connections()).toBeLessThanOrEqual(6)
    expect(relay.mails).toHaveLength(6)
  })

  it('has a queue with an end: a mail that cannot be sent in time is told that the queue was the reason', async () => {
    const { receipts } = await sendAll(8, {
      rate: { max: 2, windowMs: 60_000 },
      attemptMs: 3_000,
      maxWaiting: 4,
    })
    const words = receipts.map(({ outcome, reason }) => `${outcome} ${reason}`)
    expect(words.filter((word) => word === 'sent accepted')).toHaveLength(2)
    expect(words.filter((word) => word === 'unsent queue_full')).toHaveLength(4)
    expect(words.filter((word) => word === 'unsent queue_slow')).toHaveLength(2)
  })

  it('that dropped a kept connection gets the mail over a new one, whatever else is kept', async () => {
    const { relay, transport } = await sendAll(
      2,
      { rate: { max: 100, windowMs: 300_000 } },
      {
        MAIL: (count) => (count === 3 ? 'reset' : '250 ok'),
        dot: () => new Promise((resolve) => setTimeout(resolve, 200, '250 ok')),
      },
    )
    expect(relay.connections()).toBe(2)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(3)
  })

  it('that stands ready is not to blame for a mail that came when its share was used up', async () => {
    const { transport } = await sendAll(1, { rate: { max: 1, windowMs: 300_000 }, attemptMs: 3_000 })
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'unsent', reason: 'queue_slow' })
  })

  it('that is closed gets none of the mails that wait', async () => {
    const { transport, relay } = await sendAll(1, { rate: { max: 1, windowMs: 300_000 } })
    const waiting = [0, 1].map(() => transport.send(sampleMessage()))
    await transport.close()
    const closing = { outcome: 'unsent', reason: 'closing' }
    expect(await Promise.all(waiting)).toMatchObject([closing, closing])
    expect(relay.mails).toHaveLength(1)
  })
})

describe('a relay with a sender of its own', () => {
  it('sees that sender in the envelope and in From, and the Message-ID the mail has everywhere', async () => {
    const { relay, transport } = await sendAll(0, { from: 'noreply@other.example' })
    const message = sampleMessage({ id: 'key-7' })
    await transport.send(message)
    expect(relay.commands).toContain('MAIL FROM:<noreply@other.example>')
    expect(relay.mails[0]?.source).toMatch(/^From: "Example" <noreply@other\.example>\r$/m)
    expect(relay.mails[0]?.source).toMatch(/^Message-ID: <key-7@mail\.example\.com>\r$/m)
  })
})
