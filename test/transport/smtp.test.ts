import diagnostics from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { mimeBuilder, type BuildMime } from '../../src/mime/mime.ts'
import type { Transport } from '../../src/message.ts'
import { type SmtpOptions, smtpTransport } from '../../src/transport/smtp.ts'
import { within } from '../../src/timers.ts'
import { sampleMessage } from '../support/messages.ts'
import { freePort, portOf } from '../support/port.ts'
import { trustStandIns } from '../support/https-api.ts'
import { type Act, type Script, scriptedRelay, type ScriptedRelay } from '../support/relay.ts'

const certificate = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))
let buildMime: BuildMime
const cleanups: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  buildMime = await mimeBuilder()
  trustStandIns()
})
// not after each test: those that wait do so side by side
afterAll(() => Promise.all(cleanups.map((cleanup) => cleanup())))

function transportTo(port: number, options: Partial<SmtpOptions> = {}): Transport {
  const transport = smtpTransport({
    name: 'test',
    host: '127.0.0.1',
    port,
    tls: 'off',
    auth: { user: 'user', pass: 'password' },
    ehloName: 'mail.example.com',
    buildMime,
    ...options,
  })
  cleanups.push(() => transport.close())
  return transport
}

async function relayWith(script: Script = {}): Promise<ScriptedRelay> {
  const relay = await scriptedRelay(script)
  cleanups.push(() => relay.close())
  return relay
}

async function smtpServer(options: SMTPServerOptions): Promise<{ port: number; mails: string[] }> {
  const mails: string[] = []
  const server = new SMTPServer({
    authOptional: false,
    onAuth: ({ username, password }, _session, done) =>
      username === 'user' && password === 'password' ? done(null, { user: 'user' }) : done(new Error('no')),
    onData(stream, session, done) {
      stream.resume()
      stream.on('end', () => {
        mails.push(...session.envelope.rcptTo.map(({ address }) => address))
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { port: portOf(server.server), mails }
}

const good = { key: certificate('localhost.key'), cert: certificate('localhost.crt') }

describe('a relay that behaves', () => {
  it('takes mails over one kept connection, byte for byte and for one recipient', async () => {
    const relay = await relayWith()
    const transport = transportTo(relay.port)
    for (let count = 0; count < 3; count++) {
      expect(await transport.send(sampleMessage())).toEqual({
        outcome: 'sent',
        relay: 'test',
        reason: 'accepted',
      })
    }
    expect(relay.connections()).toBe(1)
    expect(relay.mails.map(({ recipients }) => recipients)).toEqual(
      Array.from({ length: 3 }, () => ['RCPT TO:<ada@example.com>']),
    )
    expect(relay.mails[0]?.source).toContain('\r\n=2Edots stay\r\n')
  })

  it('is given no more connections than configured, and every mail exactly once', async () => {
    const relay = await relayWith()
    const transport = transportTo(relay.port, { connections: 3 })
    const messages = Array.from({ length: 60 }, () => sampleMessage())
    const receipts = await Promise.all(messages.map((message) => transport.send(message)))
    expect(receipts.every(({ outcome }) => outcome === 'sent')).toBe(true)
    expect(relay.connections()).toBe(3)
    const ids = relay.mails.map(({ source }) => /Message-ID: <([^@]+)@/.exec(source)?.[1])
    expect(ids.toSorted()).toEqual(messages.map(({ id }) => id).toSorted())
  })

  it('gets STARTTLS and a login before any mail', async () => {
    const server = await smtpServer(good)
    expect(await transportTo(server.port, { tls: 'starttls' }).send(sampleMessage())).toMatchObject({
      outcome: 'sent',
    })
    expect(server.mails).toEqual(['ada@example.com'])
  })

  it('may speak TLS from the first byte', async () => {
    const server = await smtpServer({ ...good, secure: true })
    expect(await transportTo(server.port, { tls: 'implicit' }).send(sampleMessage())).toMatchObject({
      outcome: 'sent',
    })
  })
})

describe.concurrent('a relay that allows fewer connections than are configured', () => {
  const refusals: [string, Script][] = [
    ['421 at the greeting', { connect: () => '421 4.7.0 too many connections' }],
    ['a cut before the greeting', { connect: () => 'reset' }],
    ['421 at EHLO', { EHLO: () => '421 too many' }],
    ['454 at the login', { AUTH: () => '454 4.7.0 too many concurrent logins' }],
  ]
  it.each(refusals)(
    'is given as many as it allows, every mail once, and no mail is blamed: %s',
    async (_title, refusal) => {
      const [[stage, refuse]] = Object.entries(refusal) as [[keyof Script, () => Act]]
      const usual = {
        connect: '220 relay.test',
        EHLO: '250-relay.test\r\n250-PIPELINING\r\n250 AUTH PLAIN',
        AUTH: '235 welcome',
      }
      const relay: ScriptedRelay = await relayWith({
        [stage]: () => (relay.open() > 3 ? refuse() : usual[stage as keyof typeof usual]),
        dot: () => new Promise((done) => setTimeout(done, 30, '250 taken')),
      })
      const told: number[] = []
      const onLimit = (_relay: string, connections: number) => told.push(connections)
      const transport = transportTo(relay.port, { connections: 10, onLimit })
      const began = performance.now()
      for (let round = 0; round < 2; round++) {
        const receipts = await Promise.all(Array.from({ length: 60 }, () => transport.send(sampleMessage())))
        expect(receipts.filter(({ outcome }) => outcome !== 'sent')).toEqual([])
      }
      expect(relay.mails).toHaveLength(120)
      expect(told).toHaveLength(1)
      expect(told[0]).toBeLessThanOrEqual(9)
      // the second round knows, and what is known is tried again after 2 s, 4 s, 8 s
      const tried = Math.floor(Math.log2((performance.now() - began) / 2_000 + 1))
      expect(relay.connections()).toBeLessThanOrEqual(20 + 10 * tried)
      expect(await transport.check()).toBeUndefined()
    },
  )

  it('has all of them at work from the first mail to the last: sixty mails are twenty rounds of three', async () => {
    // with fewer of them at work nobody is let go, and the mails run out of time
    const held: (() => void)[] = []
    const relay: ScriptedRelay = await relayWith({
      connect: () => (relay.open() > 3 ? '421 4.7.0 too many connections' : '220 relay.test'),
      dot: async () => {
        const { promise, resolve } = Promise.withResolvers<void>()
        if (held.push(resolve) === 3) for (const go of held.splice(0)) go()
        await promise
        return '250 taken'
      },
    })
    const transport = transportTo(relay.port, { connections: 10 })
    const receipts = await Promise.all(Array.from({ length: 60 }, () => transport.send(sampleMessage())))
    expect(receipts.filter(({ outcome }) => outcome !== 'sent')).toEqual([])
    expect(relay.mails).toHaveLength(60)
  })

  it('and one that takes none at all answers every mail at once', async () => {
    const relay = await relayWith({ connect: () => '421 not now' })
    const transport = transportTo(relay.port, { connections: 10 })
    const receipts = await Promise.all(Array.from({ length: 30 }, () => transport.send(sampleMessage())))
    expect(receipts.filter(({ outcome, reason }) => outcome !== 'unsent' || reason !== 'greeting')).toEqual(
      [],
    )
  })
})

/** What a relay says beside its answers, and what must not become of the next mail. */
const refusals = ['550 5.1.1 no such user', '451 4.7.1 later', '250 really', '55', '\r\n550 no']
describe('a relay that speaks unasked', () => {
  it.each(refusals)('behind its answer to a mail: %s', async (stray) => {
    const relay = await relayWith({ dot: (count) => (count === 1 ? `250 taken\r\n${stray}` : '250 taken') })
    const transport = transportTo(relay.port, { connections: 1 })
    const receipts = await Promise.all([1, 2, 3].map(() => transport.send(sampleMessage())))
    expect(receipts.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'sent'])
    expect(relay.connections()).toBe(2)
    expect(relay.mails).toHaveLength(3)
  })

  it('without the end of a line, while nothing is sent', async () => {
    const relay = await relayWith()
    const transport = transportTo(relay.port, { connections: 1 })
    const client = Promise.withResolvers<Socket>()
    const note = (message: unknown) => client.resolve((message as { socket: Socket }).socket)
    diagnostics.subscribe('net.client.socket', note)
    await transport.send(sampleMessage())
    diagnostics.unsubscribe('net.client.socket', note)
    const socket = await client.promise
    const read = socket.bytesRead
    relay.say('550 no')
    await expect.poll(() => socket.bytesRead).toBe(read + 6)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(2)
  })

  it.each(['MAIL', 'RCPT'] as const)(
    'before its answer to %s, so late that it looks like it',
    async (stage) => {
      const relay = await relayWith({
        [stage]: (count: number) => (count === 2 ? '550 5.1.1 no such user\r\n250 ok' : '250 ok'),
      })
      const transport = transportTo(relay.port, { connections: 1 })
      await transport.send(sampleMessage())
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
      expect(relay.mails).toHaveLength(2)
    },
  )

  it('behind its login: the mail may go to another relay', async () => {
    const relay = await relayWith({ AUTH: () => '235 welcome\r\n550 no' })
    const receipt = await transportTo(relay.port).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'protocol' })
  })

  it('before its answer to the whole mail: the outcome is unknown', async () => {
    const relay = await relayWith({ dot: () => '550 no\r\n250 taken' })
    const receipt = await transportTo(relay.port).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unknown', reason: 'protocol' })
  })

  it('but empty lines mean nothing', async () => {
    const relay = await relayWith({ dot: () => '250 taken\r\n\r\n' })
    const transport = transportTo(relay.port, { connections: 1 })
    for (let count = 0; count < 2; count++)
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(1)
  })
})

describe('a relay that must not be trusted', () => {
  it.each([
    ['no STARTTLS', { hideSTARTTLS: true, disabledCommands: ['STARTTLS'], allowInsecureAuth: true }, 'tls'],
    [
      'a certificate for another host',
      { key: certificate('elsewhere.key'), cert: certificate('elsewhere.crt') },
      'tls',
    ],
    [
      'an expired certificate',
      { key: certificate('localhost.key'), cert: certificate('expired.crt') },
      'tls',
    ],
    ['only TLS 1.1', { ...good, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, 'tls'],
    ['no AUTH', { ...good, disabledCommands: ['AUTH'] }, 'login_not_offered'],
  ] as [string, SMTPServerOptions, string][])(
    'gets no mail and no password: %s',
    async (_title, options, reason) => {
      let logins = 0
      const server = await smtpServer({
        ...options,
        onAuth: (_auth, _session, done) => done(new Error(`${++logins}`)),
      })
      const receipt = await transportTo(server.port, { tls: 'starttls' }).send(sampleMessage())
      expect(receipt).toMatchObject({ outcome: 'unsent', reason })
      expect(logins).toBe(0)
      expect(server.mails).toEqual([])
    },
  )

  it('gets no mail when it refuses the login, and its sentence is not in the receipt', async () => {
    const server = await smtpServer({
      ...good,
      onAuth: (_auth, _session, done) => done(new Error('user@secret.example')),
    })
    const receipt = await transportTo(server.port, { tls: 'starttls' }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'login', reply: 535 })
    expect(JSON.stringify(receipt)).not.toContain('secret')
  })
})

describe('what a reply means', () => {
  it.each([
    ['connect', '421 busy', 'unsent', 'greeting', 421],
    ['connect', '554 go away', 'unsent', 'greeting', 554],
    ['AUTH', '454 later', 'unsent', 'login', 454],
    ['MAIL', '451 later', 'deferred', 'sender', 451],
    ['MAIL', '550 no', 'refused', 'sender', 550],
    ['MAIL', '530 log in first', 'deferred', 'login', 530],
    ['RCPT', '450 greylisted', 'deferred', 'recipient', 450],
    ['RCPT', '550 unknown', 'refused', 'recipient', 550],
    ['DATA', '451 later', 'deferred', 'message', 451],
    ['DATA', '554 no', 'refused', 'message', 554],
    ['dot', '451 later', 'deferred', 'message', 451],
    ['dot', '421 closing', 'deferred', 'message', 421],
    ['dot', '554 spam', 'refused', 'message', 554],
    ['RCPT', '99999 what', 'unsent', 'protocol', 99_999],
    ['dot', '354 what', 'unknown', 'protocol', 354],
    ['dot', 'nonsense', 'unknown', 'protocol', undefined],
  ] as [keyof Script, string, string, string, number | undefined][])(
    '%s answered "%s" is %s',
    async (stage, reply, outcome, reason, code) => {
      const relay = await relayWith({ [stage]: () => reply })
      const receipt = await transportTo(relay.port).send(sampleMessage())
      expect(receipt.outcome).toBe(outcome)
      expect(receipt.reply).toBe(code)
      expect(receipt.reason).toBe(reason)
      expect(relay.mails).toEqual([])
    },
  )

  it('keeps the connection after a refusal', async () => {
    const relay = await relayWith({ RCPT: (count) => (count === 1 ? '550 unknown' : '250 ok') })
    const transport = transportTo(relay.port)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'refused' })
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(1)
    expect(relay.mails).toHaveLength(1)
  })

  it('may take several lines', async () => {
    const relay = await relayWith({
      RCPT: () => '550-unknown\r\n550 really',
      dot: () => '250-taken\r\n250 as 42',
    })
    expect(await transportTo(relay.port).send(sampleMessage())).toMatchObject({
      outcome: 'refused',
      reply: 550,
    })
  })
})

describe.concurrent('a relay that hangs up or falls silent', () => {
  const stages = ['connect', 'EHLO', 'AUTH', 'MAIL', 'RCPT', 'DATA', 'dot'] as const
  const acts = ['close', 'reset', 'hang'] as const
  const cases = stages.flatMap((stage) => acts.map((act) => [stage, act] as const))

  it.each(cases)(
    'at %s by %s: known whether a byte of the mail has left, then fine again',
    async (stage, act) => {
      const relay = await relayWith({ [stage]: (count: number): Act => (count === 1 ? act : usually(stage)) })
      const soon = { attemptMs: 1_500, connectMs: 1_000 }
      const transport = transportTo(relay.port, act === 'hang' ? soon : {})
      const receipt = await within(15_000, transport.send(sampleMessage()))
      expect(receipt?.outcome).toBe(stage === 'dot' ? 'unknown' : 'unsent')
      if (act === 'hang') expect(receipt?.reason).toBe('timeout')
      const terms = { endWithinMs: 20_000 }
      expect(await transport.send(sampleMessage(), terms)).toMatchObject({ outcome: 'sent' })
      expect(relay.mails).toHaveLength(1)
    },
  )

  it('is left after the deadline also when it drips, a byte now and then', async () => {
    const relay = await relayWith({
      RCPT: async () => {
        for (let count = 0; count < 20; count++) await new Promise((resolve) => setTimeout(resolve, 100))
        return '250 at last'
      },
    })
    const receipt = await transportTo(relay.port, { attemptMs: 800 }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'timeout' })
  })

  it('is left when its reply never ends', async () => {
    const flood = Array.from({ length: 3_000 }, () => '250-and so on and on and on').join('\r\n')
    const relay = await relayWith({ EHLO: () => flood })
    expect(await transportTo(relay.port).send(sampleMessage())).toMatchObject({
      outcome: 'unsent',
      reason: 'protocol',
    })
  })

  it.each(['connect', 'EHLO', 'RCPT'] as const)(
    'is left at %s when it sends nothing but line breaks',
    async (stage) => {
      const relay = await relayWith({ [stage]: () => '\n'.repeat(1_000_000) })
      // reading each break on its own would last until the time of the mail is up
      expect(await transportTo(relay.port).send(sampleMessage())).toMatchObject({
        outcome: 'unsent',
        reason: 'protocol',
      })
    },
  )

  it.each([
    ['answers more often than it was asked', { AUTH: () => '235 welcome\r\n250 one\r\n250 two' }],
    ['says 250 to DATA', { DATA: () => '250 what' }],
  ] as [string, Script][])('that is out of step is not believed: it %s', async (_title, script) => {
    const relay = await relayWith(script)
    const receipt = await transportTo(relay.port).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'protocol' })
    expect(relay.mails).toEqual([])
  })

  it('that dropped a kept connection meanwhile costs the next mail nothing', async () => {
    const relay = await relayWith({ MAIL: (count) => (count === 2 ? 'reset' : '250 ok') })
    const transport = transportTo(relay.port)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(2)
    expect(relay.mails).toHaveLength(2)
  })

  it('that no longer hears a kept connection costs the next mail a part of its time, and nothing else', async () => {
    const relay = await relayWith({
      MAIL: (count) => (count === 2 ? 'hang' : '250 ok'),
      RCPT: (count) => (count === 2 ? 'hang' : '250 ok'),
      DATA: (count) => (count === 2 ? 'hang' : '354 go ahead'),
    })
    // a mail that had waited for all of its time would be unsent
    const transport = transportTo(relay.port, { attemptMs: 4_000 })
    await transport.send(sampleMessage())
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(2)
    expect(relay.mails).toHaveLength(2)
  })

  it('that answers slowly on a kept connection is waited for', async () => {
    const slowly = () => new Promise<string>((resolve) => setTimeout(resolve, 600, '250 ok'))
    const relay = await relayWith({ RCPT: slowly, dot: slowly })
    // a connection is given up after a quarter of this
    const transport = transportTo(relay.port)
    for (let count = 0; count < 2; count++)
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.connections()).toBe(1)
  })

  it('that says 421 on a kept connection costs the next mail nothing', async () => {
    const relay = await relayWith({
      MAIL: (count) => (count === 2 ? '421 enough for one connection' : '250 ok'),
    })
    const transport = transportTo(relay.port)
    await transport.send(sampleMessage())
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(relay.mails).toHaveLength(2)
  })

  it('is not tried twice for a mail whose outcome is unknown', async () => {
    const relay = await relayWith({ dot: (count) => (count === 2 ? 'reset' : '250 ok') })
    const transport = transportTo(relay.port)
    await transport.send(sampleMessage())
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'unknown' })
    expect(relay.connections()).toBe(1)
  })
})

it('a relay that falls silent is left after the deadline also when somebody sets the clock back', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const relay = await relayWith({ RCPT: () => 'hang' })
  const sending = transportTo(relay.port, { attemptMs: 800 }).send(sampleMessage())
  vi.setSystemTime(Date.now() - 3_600_000)
  expect(await sending).toMatchObject({ outcome: 'unsent', reason: 'timeout' })
})

describe('the waiting line', () => {
  it('answers at once when it is full, and serves those who wait', async () => {
    const hold = Promise.withResolvers<string>()
    const relay = await relayWith({ dot: () => hold.promise })
    const transport = transportTo(relay.port, { connections: 1, maxWaiting: 2 })
    const first = [0, 1].map(() => transport.send(sampleMessage()))
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'unsent', reason: 'queue_full' })
    hold.resolve('250 ok')
    expect((await Promise.all(first)).map(({ outcome }) => outcome)).toEqual(['sent', 'sent'])
  })

  it('holds nobody up who could have an idle connection, while another mail waits for a new one', async () => {
    let takesConnections = true
    const relay = await relayWith({
      connect: () => (takesConnections ? '220 hi' : 'hang'),
      MAIL: (count) => (count === 3 ? 'reset' : '250 ok'),
      dot: () => new Promise((resolve) => setTimeout(resolve, 50, '250 ok')),
    })
    const transport = transportTo(relay.port, { connections: 2, attemptMs: 8_000 })
    await Promise.all([transport.send(sampleMessage()), transport.send(sampleMessage())])
    takesConnections = false
    const sent: string[] = []
    const send = async (who: string) => {
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
      sent.push(who)
    }
    const unlucky = send('unlucky')
    await expect.poll(relay.connections).toBe(3)
    await Promise.all([unlucky, send('lucky')])
    expect(sent).toEqual(['lucky', 'unlucky'])
  })

  it('moves on when nobody listens at the relay, and recovers when somebody does', async () => {
    const port = await freePort()
    const transport = transportTo(port)
    const receipts = await Promise.all(Array.from({ length: 30 }, () => transport.send(sampleMessage())))
    expect(new Set(receipts.map(({ outcome, reason, cause }) => `${outcome} ${reason} ${cause}`))).toEqual(
      new Set(['unsent connect ECONNREFUSED']),
    )
    expect(await transport.check()).toBe('connect')
    const back = await scriptedRelay({}, port)
    cleanups.push(() => back.close())
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    expect(await transport.check()).toBeUndefined()
  })
})

describe('closing', () => {
  it('begins nothing again: a mail that lost its kept connection is not given a new one', async () => {
    const hold = Promise.withResolvers<void>()
    const relay = await relayWith({
      MAIL: async (count) => {
        if (count === 1) return '250 ok'
        await hold.promise
        return 'reset'
      },
    })
    const transport = transportTo(relay.port)
    await transport.send(sampleMessage())
    const unlucky = transport.send(sampleMessage())
    await expect.poll(() => relay.commands.filter((line) => line.startsWith('MAIL'))).toHaveLength(2)
    const closed = transport.close()
    hold.resolve()
    expect(await unlucky).toMatchObject({ outcome: 'unsent', reason: 'closing' })
    await closed
    expect(relay.connections()).toBe(1)
  })
})

function usually(stage: string): string {
  const replies: Record<string, string> = {
    connect: '220 hi',
    AUTH: '235 ok',
    DATA: '354 go',
    EHLO: '250-x\r\n250-PIPELINING\r\n250 AUTH PLAIN',
  }
  return replies[stage] ?? '250 ok'
}
