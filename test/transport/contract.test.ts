/**
 * What every kind of relay promises to whoever sends through it. A new kind adds its stand-in to `kinds` and passes.
 */
import { afterAll, beforeAll, describe, it } from 'vitest'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import type { Transport } from '../../src/message.ts'
import { brevoTransport } from '../../src/transport/brevo.ts'
import { mailgunTransport } from '../../src/transport/mailgun.ts'
import { postmarkTransport } from '../../src/transport/postmark.ts'
import { resendTransport } from '../../src/transport/resend.ts'
import { sendgridTransport } from '../../src/transport/sendgrid.ts'
import { sesTransport } from '../../src/transport/ses.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'
import { within } from '../../src/timers.ts'
import { sampleMessage } from '../support/messages.ts'
import { freePort } from '../support/port.ts'
import { type Act, type Script, scriptedRelay } from '../support/relay.ts'
import { type ApiAct, type ApiScript, type ApiServer, trustStandIns } from '../support/https-api.ts'
import { brevoServer } from '../support/brevo.ts'
import { mailgunServer } from '../support/mailgun.ts'
import { postmarkServer } from '../support/postmark.ts'
import { resendServer } from '../support/resend.ts'
import { sesCredentials, sesRegion, sesServer } from '../support/ses.ts'
import { sendgridServer } from '../support/sendgrid.ts'

let buildMime: BuildMime
beforeAll(async () => {
  buildMime = await mimeBuilder()
  trustStandIns()
})

/** What a stand-in can be told to do with the mails that come first; those after them it takes. */
type Trouble =
  | 'no login'
  | 'refuses the message'
  | 'later'
  | 'cut before'
  | 'cut after'
  | 'silent at first'
  | 'silent before'
  | 'silent after'
interface StandIn {
  readonly port: number
  /** Mails that came in whole, taken or not. */
  readonly heard: () => number
  /** Message-IDs of the mails it took. */
  readonly taken: () => string[]
  readonly connections: () => number
  readonly open: () => number
  readonly hangUp: () => void
  close(): Promise<void>
}
interface StandInOptions {
  readonly trouble?: Trouble | undefined
  /** How many mails have the trouble. */
  readonly times?: number
  /** The mail that comes in at this place, from 1, is not answered before. */
  readonly held?: (count: number) => Promise<void> | undefined
  readonly port?: number
}
interface Kind {
  readonly standIn: (options: StandInOptions) => Promise<StandIn>
  readonly transport: (port: number, options: SharedOptions) => Transport
}
interface SharedOptions {
  readonly connections?: number
  readonly maxWaiting?: number
  readonly attemptMs?: number
}

const kinds: Record<string, Kind> = {
  smtp: {
    async standIn({ trouble, times = 1, held, port = 0 }) {
      let heard = 0
      const act = (stage: keyof typeof smtpStages, answer: Act, good: string) => ({
        [smtpStages[stage]]: (count: number) => (trouble === stage && count <= times ? answer : good),
      })
      const script: Script = {
        ...act('no login', '535 no', '235 welcome'),
        ...act('silent at first', 'hang', '220 hi'),
        ...act('silent before', 'hang', '250 ok'),
        ...act('cut before', 'close', '354 go ahead'),
        dot: async (count) => {
          heard = count
          await held?.(count)
          const acts: Record<string, Act> = {
            'refuses the message': '554 this quotes ada@example.com',
            later: '451 later, ada@example.com',
            'cut after': 'reset',
            'silent after': 'hang',
          }
          return (count <= times && acts[trouble ?? '']) || '250 taken'
        },
      }
      const relay = await scriptedRelay(script, port)
      return {
        ...relay,
        heard: () => heard,
        taken: () => relay.mails.map(({ source }) => messageIdIn(source) ?? ''),
      }
    },
    transport: (port, options) =>
      smtpTransport({
        name: 'relay',
        host: '127.0.0.1',
        port,
        tls: 'off',
        auth: { user: 'user', pass: 'password' },
        ehloName: 'mail.example.com',
        buildMime,
        ...options,
      }),
  },
  sendgrid: {
    standIn: (options) => apiStandIn(sendgridServer, options, ({ headers }) => headers['Message-ID']),
    transport: (port, options) => sendgridTransport({ ...placeOf(port), apiKey: 'SG.test-key', ...options }),
  },
  ses: {
    standIn: (options) => apiStandIn(sesServer, options, ({ source }) => messageIdIn(source)),
    transport: (port, options) =>
      sesTransport({
        ...placeOf(port),
        region: sesRegion,
        credentials: sesCredentials,
        configurationSet: undefined,
        buildMime,
        ...options,
      }),
  },
  postmark: {
    standIn: (options) =>
      apiStandIn(
        postmarkServer,
        options,
        ({ Headers }) => Headers.find(({ Name }) => Name === 'Message-ID')?.Value,
      ),
    transport: (port, options) =>
      postmarkTransport({
        ...placeOf(port),
        serverToken: 'server-token',
        messageStream: 'outbound',
        ...options,
      }),
  },
  mailgun: {
    standIn: (options) => apiStandIn(mailgunServer, options, ({ source }) => messageIdIn(source)),
    transport: (port, options) =>
      mailgunTransport({
        ...placeOf(port),
        apiKey: 'key-test',
        domain: 'mg.example.com',
        buildMime,
        ...options,
      }),
  },
  resend: {
    // a mail that ends unknown is repeated at once, so the trouble has to last
    standIn: ({ times = 1, ...options }) =>
      apiStandIn(
        resendServer,
        { ...options, times: options.trouble === 'cut after' ? 2 * times : times },
        ({ headers }) => headers['Message-ID'],
      ),
    transport: (port, options) => resendTransport({ ...placeOf(port), apiKey: 're_test', ...options }),
  },
  brevo: {
    standIn: (options) => apiStandIn(brevoServer, options, ({ headers }) => headers['Message-ID']),
    transport: (port, options) => brevoTransport({ ...placeOf(port), apiKey: 'xkeysib-test', ...options }),
  },
}
const messageIdIn = (source: string) => /^Message-ID: (.*)$/m.exec(source)?.[1]?.trim()
const placeOf = (port: number) => ({ name: 'relay', baseUrl: `https://localhost:${port}` })

/** The troubles as an API has them. `idOf`: the Message-ID of a mail that it took. */
async function apiStandIn<Mail>(
  serverOf: (script: ApiScript, options: { port: number }) => Promise<ApiServer<Mail>>,
  { trouble, times = 1, held, port = 0 }: StandInOptions,
  idOf: (mail: Mail) => string | undefined,
): Promise<StandIn> {
  const acts: Record<string, ApiAct> = {
    'no login': { status: 401 },
    'refuses the message': { status: 400 },
    later: { status: 503 },
    'cut after': 'reset',
    'silent after': 'hang',
  }
  const isSilentBefore = trouble === 'silent at first' || trouble === 'silent before'
  const server = await serverOf(
    {
      connect(count) {
        if (count > times) return undefined
        return trouble === 'cut before' ? 'reset' : isSilentBefore ? 'hang' : undefined
      },
      async body(count) {
        await held?.(count)
        return count <= times ? acts[trouble ?? ''] : undefined
      },
    },
    { port },
  )
  return {
    ...server,
    heard: () => server.requests.length,
    taken: () => server.mails.map((mail) => idOf(mail) ?? ''),
  }
}
const smtpStages = {
  'silent at first': 'connect',
  'no login': 'AUTH',
  'silent before': 'RCPT',
  'cut before': 'DATA',
} as const

describe.concurrent.each(Object.entries(kinds))('a relay of the kind %s', (_name, kind) => {
  // not after each test: they wait side by side
  const opened: { close(): Promise<void> }[] = []
  afterAll(() => Promise.all(opened.map((one) => one.close())))

  async function open(options: StandInOptions & SharedOptions = {}) {
    const { connections, maxWaiting, attemptMs } = options
    const standIn = await kind.standIn(options)
    opened.push(standIn)
    const given = Object.entries({ connections, maxWaiting, attemptMs }).filter(
      ([, value]) => value !== undefined,
    )
    const transport = kind.transport(standIn.port, Object.fromEntries(given))
    opened.push(transport)
    return { standIn, transport }
  }

  it('takes each of many mails once, under our Message-ID, over no more connections than allowed', async ({
    expect,
  }) => {
    const { standIn, transport } = await open({ connections: 3 })
    const messages = Array.from({ length: 40 }, () => sampleMessage())
    const receipts = await Promise.all(messages.map((message) => transport.send(message)))
    expect(new Set(receipts.map(({ outcome, relay }) => `${outcome} ${relay}`))).toEqual(
      new Set(['sent relay']),
    )
    expect(standIn.taken().toSorted()).toEqual(
      messages.map(({ id }) => `<${id}@mail.example.com>`).toSorted(),
    )
    expect(standIn.connections()).toBe(3)
  })

  it.for([
    ['no login', ['unsent', 'deferred'], 'login'],
    ['refuses the message', ['refused'], 'message'],
    ['later', ['deferred'], undefined],
    ['cut before', ['unsent'], undefined],
    ['cut after', ['unknown'], undefined],
    ['silent before', ['unsent'], 'timeout'],
    ['silent after', ['unknown'], 'timeout'],
  ] as [Trouble, string[], string | undefined][])(
    'that has a trouble (%s) is told by its outcome in time, quotes nobody, and is fine again afterwards',
    async ([trouble, outcomes, reason], { expect }) => {
      const isSilent = trouble.startsWith('silent')
      const { standIn, transport } = await open({ trouble, ...(isSilent && { attemptMs: 2_000 }) })
      const receipt = await within(15_000, transport.send(sampleMessage()))
      if (!receipt) throw new Error('no receipt in time')
      expect(outcomes).toContain(receipt.outcome)
      if (reason !== undefined) expect(receipt.reason).toBe(reason)
      expect(receipt.reason).toMatch(/^[a-z_]+$/)
      expect(receipt.cause ?? 'NONE').toMatch(/^[A-Z0-9_]+$/)
      expect(JSON.stringify(receipt)).not.toContain('example.com')
      expect(standIn.taken()).toEqual([])
      const message = sampleMessage()
      expect(await transport.send(message, { endWithinMs: 20_000 })).toMatchObject({ outcome: 'sent' })
      expect(standIn.taken()).toEqual([`<${message.id}@mail.example.com>`])
    },
  )

  it('keeps to the terms: nothing leaves after startWithinMs, and the receipt is there within endWithinMs', async ({
    expect,
  }) => {
    const before = await open({ trouble: 'silent before' })
    const after = await open({ trouble: 'silent after' })
    const started = performance.now()
    const terms = { startWithinMs: 2_000, endWithinMs: 4_000 }
    const early = before.transport.send(sampleMessage(), terms)
    const late = after.transport
      .send(sampleMessage(), terms)
      .then((receipt) => ({ receipt, at: performance.now() }))
    // timers keep their order, however late a busy machine makes them
    expect(await within(3_000, early)).toMatchObject({ outcome: 'unsent', reason: 'timeout' })
    // a mail without terms may take 20 s
    expect((await within(15_000, late))?.receipt).toMatchObject({ outcome: 'unknown', reason: 'timeout' })
    expect((await late).at - started).toBeGreaterThan(3_000)
    expect(before.standIn.taken()).toEqual([])
  })

  it('lets mails wait in a queue that has an end', async ({ expect }) => {
    const hold = Promise.withResolvers<void>()
    const { standIn, transport } = await open({ connections: 1, maxWaiting: 2, held: () => hold.promise })
    const running = transport.send(sampleMessage())
    await expect.poll(standIn.heard).toBe(1)
    const waiting = [0, 1].map(() => transport.send(sampleMessage()))
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'unsent', reason: 'queue_full' })
    hold.resolve()
    expect((await Promise.all([running, ...waiting])).map(({ outcome }) => outcome)).toEqual([
      'sent',
      'sent',
      'sent',
    ])
  })

  it('that is only slow is not taken for one that is gone', async ({ expect }) => {
    const holds = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const { standIn, transport } = await open({ connections: 1, held: (count) => holds[count - 1]?.promise })
    const running = transport.send(sampleMessage())
    await expect.poll(standIn.heard).toBe(1)
    const next = transport.send(sampleMessage())
    const late = transport.send(sampleMessage(), { startWithinMs: 2_000, endWithinMs: 20_000 })
    holds[0]!.resolve()
    expect(await running).toMatchObject({ outcome: 'sent' })
    expect(await late).toMatchObject({ outcome: 'unsent', reason: 'queue_slow' })
    holds[1]!.resolve()
    expect(await next).toMatchObject({ outcome: 'sent' })
  })

  it('that hung up on an idle connection costs the next mail nothing', async ({ expect }) => {
    const { standIn, transport } = await open()
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    standIn.hangUp()
    await expect.poll(standIn.open).toBe(0)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(standIn.taken()).toHaveLength(2)
  })

  it('that nobody answers at is known as such, and as well again when somebody does', async ({ expect }) => {
    const port = await freePort()
    const transport = kind.transport(port, {})
    opened.push(transport)
    const receipts = await Promise.all(Array.from({ length: 20 }, () => transport.send(sampleMessage())))
    expect(new Set(receipts.map(({ outcome, reason, cause }) => `${outcome} ${reason} ${cause}`))).toEqual(
      new Set(['unsent connect ECONNREFUSED']),
    )
    expect(await transport.check()).toBe('connect')
    const back = await kind.standIn({ port })
    opened.push(back)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(await transport.check()).toBeUndefined()
  })

  it('shows that it lets us in without being sent a mail', async ({ expect }) => {
    const well = await open()
    expect(await well.transport.check()).toBeUndefined()
    expect(well.standIn.taken()).toEqual([])
  })

  it('is closed when what is running has ended; who waits and who comes then is told so at once', async ({
    expect,
  }) => {
    const hold = Promise.withResolvers<void>()
    const { standIn, transport } = await open({ connections: 2, held: () => hold.promise })
    const running = [0, 1].map(() => transport.send(sampleMessage()))
    await expect.poll(standIn.heard).toBe(2)
    const waiting = [0, 1].map(() => transport.send(sampleMessage()))
    const closed = transport.close()
    const closing = { outcome: 'unsent', reason: 'closing' }
    expect(await Promise.all(waiting)).toMatchObject([closing, closing])
    expect(await transport.send(sampleMessage())).toMatchObject(closing)
    hold.resolve()
    expect((await Promise.all(running)).map(({ outcome }) => outcome)).toEqual(['sent', 'sent'])
    await closed
    await expect.poll(standIn.open).toBe(0)
    expect(standIn.taken()).toHaveLength(2)
  })

  it('is closed at once while nobody lets us in', async ({ expect }) => {
    const { standIn, transport } = await open({ connections: 1, trouble: 'silent at first' })
    const waiting = [0, 1, 2].map(() => transport.send(sampleMessage()))
    await expect.poll(standIn.connections).toBe(1)
    const closed = transport.close()
    const closing = { outcome: 'unsent', reason: 'closing' }
    expect(await Promise.all(waiting)).toMatchObject([closing, closing, closing])
    await closed
    expect(standIn.connections()).toBe(1)
  })
})
