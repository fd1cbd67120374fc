/** Three kinds of relay that go wrong at random, behind one failover: no mail is lost, and none comes twice unawares. */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
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

function chaosOf(random: () => number, isOn: () => boolean): ApiScript {
  const oneOf = <Act>(acts: readonly Act[], chance: number) =>
    isOn() && random() < chance ? acts[Math.floor(random() * acts.length)] : undefined
  return {
    connect: () => oneOf(['close', 'reset', 'hang'] as const, 0.1),
    body: () => oneOf(misfortunes, 0.4),
  }
}

/** The three, in an order that the seed decides, and how often each mail was taken by all of them together. */
async function threeKinds(random: () => number) {
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
  const turn = Math.floor(random() * 3)
  const order = [...transports.slice(turn), ...transports.slice(0, turn)]
  const ids = (list: readonly { headers: Record<string, string> }[], id: string) =>
    list.filter(({ headers }) => headers['X-Entity-Ref-ID'] === id).length
  return {
    transport: failover(order, { totalMs: 3_000, handoverMs: 500, breaker: { pauseMs: 20, maxPauseMs: 50 } }),
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
    // a mail that never comes through would hide what the others show
    if (receipts.length > 200) calm()
    if (receipts.length > 400) return receipts
    const onlyRelay = last?.outcome === 'unknown' ? last.relay : undefined
    receipts.push(await transport.send(message, { onlyRelay }))
    if (receipts.at(-1)?.reason === 'breaker_open') await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('three kinds of relay that go wrong at random', () => {
  it.each([1, 2, 3])(
    'lose no mail, and take none twice but where an end was unknown (seed %i)',
    async (seed) => {
      const { transport, taken, calm } = await threeKinds(seededRandom(seed))
      onTestFinished(() => transport.close())
      const wrong: string[] = []
      const seen = new Set<string>()
      const relays = new Set<string>()
      let left = mails
      const caller = async () => {
        while (left-- > 0) {
          const message = sampleMessage()
          const receipts = await deliver(transport, message, calm)
          const last = receipts.at(-1)!
          for (const { outcome } of receipts) seen.add(outcome)
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
      expect([...seen]).toEqual(expect.arrayContaining(['sent', 'refused', 'unknown', 'unsent']))
    },
    120_000,
  )
})
