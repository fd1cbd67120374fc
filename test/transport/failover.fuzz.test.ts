/** Three kinds of relay that go wrong at random, behind one failover: no mail is lost, and none comes twice unawares. */
import { beforeAll, describe, it, type TestContext } from 'vitest'
import type { Receipt, Transport } from '../../src/message.ts'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import { failover } from '../../src/transport/failover.ts'
import { resendTransport } from '../../src/transport/resend.ts'
import { sendgridTransport } from '../../src/transport/sendgrid.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'
import { chaoticRelay } from '../support/chaotic-relay.ts'
import { type ApiScript, trustStandIns } from '../support/https-api.ts'
import { sampleMessage } from '../support/messages.ts'
import { seededRandom } from '../support/random.ts'
import { resendServer } from '../support/resend.ts'
import { sendgridServer } from '../support/sendgrid.ts'

const attemptMs = 700
const mails = 250
const callers = 25

let buildMime: BuildMime
beforeAll(async () => {
  trustStandIns()
  buildMime = await mimeBuilder()
})

/** What an API does with a mail instead of taking it: `take` takes it and keeps its answer to itself. */
const misfortunes = [
  'take',
  'take',
  'reset',
  'close',
  'hang',
  { status: 400 },
  { status: 401 },
  { status: 413 },
  { status: 429 },
  { status: 500 },
  { status: 502 },
  { status: 503 },
] as const

/** Misfortunes are dealt like cards: chance decides their order, and none comes again before all have come. */
function chaosOf(random: () => number, isOn: () => boolean): ApiScript {
  const dealer = <Act>(acts: readonly Act[], chance: number) => {
    let deck: Act[] = []
    return () => {
      if (!isOn() || random() >= chance) return undefined
      if (deck.length === 0) deck = [...acts]
      return deck.splice(Math.floor(random() * deck.length), 1)[0]
    }
  }
  return { connect: dealer(['close', 'reset', 'hang'] as const, 0.1), body: dealer(misfortunes, 0.4) }
}

/** The three, each first in its turn, and how often each mail was taken by all of them together. */
async function threeKinds(random: () => number, { onTestFinished }: TestContext) {
  let isOn = true
  const smtp = await chaoticRelay(random, attemptMs)
  const sendgrid = await sendgridServer(chaosOf(random, () => isOn))
  const resend = await resendServer(chaosOf(random, () => isOn))
  for (const server of [smtp, sendgrid, resend]) onTestFinished(() => server.close())
  const shared = { connections: 8, attemptMs }
  const place = { host: '127.0.0.1', port: smtp.port, tls: 'off', ehloName: 'mail.example.com' } as const
  const auth = { user: 'user', pass: 'password' }
  const transports: Transport[] = [
    smtpTransport({ name: 'smtp', ...place, auth, buildMime, connectMs: 300, ...shared }),
    sendgridTransport({ name: 'sendgrid', baseUrl: sendgrid.url, apiKey: 'SG.test-key', ...shared }),
    resendTransport({ name: 'resend', baseUrl: resend.url, apiKey: 're_test', ...shared }),
  ]
  const outcomes = new Set<string>()
  // whether a relay is needed behind others depends on how fast those fail, so each begins with a third of the mails
  const turns = transports.map((_, turn) =>
    failover([...transports.slice(turn), ...transports.slice(0, turn)], {
      totalMs: 3_000,
      handoverMs: 500,
      breaker: { pauseMs: 20, maxPauseMs: 50 },
      onTry: ({ outcome }) => outcomes.add(outcome),
    }),
  )
  onTestFinished(() => turns[0]!.close())
  const ids = (list: readonly { headers: Record<string, string> }[], id: string) =>
    list.filter(({ headers }) => headers['X-Entity-Ref-ID'] === id).length
  return {
    turns,
    /** What became of every try at any of them. */
    outcomes,
    taken: (id: string) =>
      (smtp.arrivals.get(id)?.taken ?? 0) + ids(sendgrid.mails, id) + ids(resend.mails, id),
    calm() {
      isOn = false
      smtp.setChaos(false)
    },
  }
}

/** As the outbox does it: what may have arrived stays with its relay, anything else goes to whoever takes it. */
async function deliver(transport: Transport, message: ReturnType<typeof sampleMessage>, calm: () => void) {
  const receipts: Receipt[] = []
  for (;;) {
    const last = receipts.at(-1)
    if (last?.outcome === 'sent' || last?.outcome === 'refused') return receipts
    // a mail that never comes through would hide what the others show; one that no relay was asked for is no try
    const tries = receipts.filter(({ reason }) => reason !== 'breaker_open').length
    if (tries > 200) calm()
    if (tries > 400) return receipts
    const onlyRelay = last?.outcome === 'unknown' ? last.relay : undefined
    receipts.push(await transport.send(message, { onlyRelay }))
    if (receipts.at(-1)?.reason === 'breaker_open') await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe.concurrent('three kinds of relay that go wrong at random', () => {
  it.for([1, 2, 3])(
    'lose no mail, and take none twice but where an end was unknown (seed %i)',
    async (seed, context) => {
      const { expect } = context
      const { turns, outcomes, taken, calm } = await threeKinds(seededRandom(seed), context)
      const wrong: string[] = []
      const relays = new Set<string>()
      let left = mails
      const caller = async () => {
        while (left > 0) {
          left -= 1
          const message = sampleMessage()
          const receipts = await deliver(turns[left % turns.length]!, message, calm)
          const last = receipts.at(-1)!
          if (last.outcome === 'sent') relays.add(last.relay)
          const unknown = receipts.filter(({ outcome }) => outcome === 'unknown').length
          const [least, most] = last.outcome === 'sent' ? [1, 1 + unknown] : [0, unknown]
          const count = taken(message.id)
          if (count < least || count > most)
            wrong.push(
              `${message.id} was taken ${count} times: ${receipts.map((one) => `${one.relay} ${one.outcome} ${one.reason}`).join(', ')}`,
            )
          if (last.outcome !== 'sent' && last.outcome !== 'refused') wrong.push(`${message.id} never ended`)
        }
      }
      await Promise.all(Array.from({ length: callers }, caller))
      expect(wrong).toEqual([])
      expect([...relays].toSorted()).toEqual(['resend', 'sendgrid', 'smtp'])
      expect([...outcomes]).toEqual(expect.arrayContaining(['sent', 'refused', 'unknown', 'unsent']))
    },
  )
})
