/** Thousands of mails to a relay that goes wrong at random: a receipt must say what happened, and the pool must live on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { mimeBuilder, type BuildMime } from '../../src/mime/mime.ts'
import type { Outcome, Transport } from '../../src/message.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'
import { within } from '../../src/timers.ts'
import { type ChaoticRelay, chaoticRelay } from '../support/chaotic-relay.ts'
import { sampleMessage } from '../support/messages.ts'
import { seededRandom } from '../support/random.ts'

const attemptMs = 600
const connections = 10
const callers = 40
const maxMails = 1_000
/** Enough for every outcome to occur, however slow the machine. */
const leastMails = 600
const fuzzMs = 2_000
/** More than the pool may add to a deadline. Timers keep their order, however late a loaded machine makes them. */
const slackMs = 15_000

let buildMime: BuildMime
beforeAll(async () => {
  buildMime = await mimeBuilder()
})

async function fuzzed(seed: number) {
  const random = seededRandom(seed)
  const relay = await chaoticRelay(random, attemptMs)
  const transport = smtpTransport({
    name: 'chaos',
    host: '127.0.0.1',
    port: relay.port,
    tls: 'off',
    auth: { user: 'user', pass: 'password' },
    ehloName: 'mail.example.com',
    buildMime,
    connections,
    attemptMs,
    connectMs: 300,
    idleMs: 250,
  })
  onTestFinished(() => relay.close())
  return { random, relay, transport }
}

/** Sends until the time or the mails are used up. Resolves with each mail's outcome, and with the mails that came back late. */
async function sendMany(transport: Transport, random: () => number) {
  const outcomes = new Map<string, Outcome>()
  const until = performance.now() + fuzzMs
  const late: string[] = []
  const caller = async () => {
    while (outcomes.size < (performance.now() < until ? maxMails : leastMails)) {
      const message = sampleMessage()
      const overdue = setTimeout(() => late.push(message.id), attemptMs + slackMs)
      const { outcome } = await transport.send(message)
      clearTimeout(overdue)
      outcomes.set(message.id, outcome)
      if (random() < 0.02) void transport.check()
      if (random() < 0.02) await sleep(random() * 400)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { outcomes, late }
}

/** Every receipt that the relay's books contradict. */
function untrue(outcomes: ReadonlyMap<string, Outcome>, arrivals: ChaoticRelay['arrivals']): string[] {
  return [...outcomes].flatMap(([id, outcome]) => {
    const { whole, taken } = arrivals.get(id) ?? { whole: 0, taken: 0 }
    const right: Record<Outcome, boolean> = {
      sent: whole === 1 && taken === 1,
      refused: taken === 0,
      deferred: taken === 0,
      unsent: whole === 0,
      unknown: whole <= 1,
    }
    return right[outcome]
      ? []
      : [`${id} is ${outcome}, but came in ${whole} times and was taken ${taken} times`]
  })
}

describe('a relay that goes wrong at random', () => {
  it.each([1, 2, 3])(
    'never makes a receipt untrue, a mail hang or the pool shrink (seed %i)',
    async (seed) => {
      const { random, relay, transport } = await fuzzed(seed)
      const { outcomes, late } = await sendMany(transport, random)
      expect(untrue(outcomes, relay.arrivals)).toEqual([])
      expect(new Set(outcomes.values()).size, 'every outcome occurs').toBe(5)
      expect(late).toEqual([])

      // once the relay is well, what still hangs is swept out, and one mail opens one connection
      relay.setChaos(false)
      await expect.poll(relay.open).toBe(0)
      const before = relay.opened()
      const terms = { endWithinMs: 10_000 }
      expect(await transport.send(sampleMessage(), terms)).toMatchObject({ outcome: 'sent' })
      expect(relay.opened()).toBe(before + 1)

      // and all connections are there to be used at once, no more and no less
      const gate = Promise.withResolvers<void>()
      relay.hold(gate.promise)
      const sending = Array.from({ length: connections + 5 }, () => transport.send(sampleMessage(), terms))
      await expect.poll(relay.held).toBe(connections)
      expect(relay.open()).toBe(connections)
      gate.resolve()
      expect(new Set((await Promise.all(sending)).map(({ outcome }) => outcome))).toEqual(new Set(['sent']))
      await transport.close()
      await expect.poll(relay.open).toBe(0)
    },
    120_000,
  )

  it('does not keep a closing pool open: every mail has its receipt, no connection is left', async () => {
    const { random, relay, transport } = await fuzzed(4)
    const sending = sendMany(transport, random)
    await sleep(500)
    const closed = transport.close().then(() => 'closed')
    expect(await within(attemptMs + slackMs, closed)).toBe('closed')
    const { outcomes } = await sending
    expect(untrue(outcomes, relay.arrivals)).toEqual([])
    await expect.poll(relay.open).toBe(0)
  })
})
