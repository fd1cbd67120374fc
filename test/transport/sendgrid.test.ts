import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { joinBody, type Transport } from '../../src/message.ts'
import { type SendgridOptions, sendgridTransport } from '../../src/transport/sendgrid.ts'
import { within } from '../../src/timers.ts'
import { sampleMessage } from '../support/messages.ts'
import { freePort } from '../support/port.ts'
import { type ApiScript, type ApiServer, trustStandIns } from '../support/https-api.ts'
import { sendgridError, type SendgridMail, sendgridServer } from '../support/sendgrid.ts'

type SendgridServer = ApiServer<SendgridMail>

beforeAll(trustStandIns)

// not after each test: those that wait do so side by side
const opened: { close(): Promise<void> }[] = []
afterAll(() => Promise.all(opened.map((one) => one.close())))

async function serverWith(
  script: ApiScript = {},
  options: Parameters<typeof sendgridServer>[1] = {},
): Promise<SendgridServer> {
  const server = await sendgridServer(script, options)
  opened.push(server)
  return server
}

function transportTo(
  { url }: Pick<SendgridServer, 'url'>,
  options: Partial<SendgridOptions> = {},
): Transport {
  const transport = sendgridTransport({ name: 'sendgrid', baseUrl: url, apiKey: 'SG.test-key', ...options })
  opened.push(transport)
  return transport
}

describe('a mail by the API', () => {
  it('is text before HTML, in our name and under our Message-ID, with nothing tracked', async () => {
    const server = await serverWith()
    const message = sampleMessage({ id: 'key-1', locale: 'de', replyTo: 'help@example.com' })
    expect(await transportTo(server).send(message)).toEqual({
      outcome: 'sent',
      relay: 'sendgrid',
      reason: 'accepted',
      reply: 202,
    })
    expect(server.mails).toEqual([
      {
        personalizations: [{ to: [{ email: 'ada@example.com', name: 'Ada' }] }],
        from: { email: 'noreply@mail.example.com', name: 'Example' },
        reply_to: { email: 'help@example.com' },
        subject: message.subject,
        content: [
          { type: 'text/plain', value: message.text },
          { type: 'text/html', value: joinBody(message.html) },
        ],
        headers: {
          'Message-ID': '<key-1@mail.example.com>',
          'Content-Language': 'de',
          'X-Entity-Ref-ID': 'key-1',
          'Auto-Submitted': 'auto-generated',
          'X-Auto-Response-Suppress': 'All',
        },
        custom_args: { mail: 'key-1' },
        tracking_settings: {
          click_tracking: { enable: false, enable_text: false },
          open_tracking: { enable: false },
          subscription_tracking: { enable: false },
          ganalytics: { enable: false },
        },
      },
    ])
  })

  it.each([
    'Ada, eve@evil.example',
    'Ada; Eve',
    'Ada <eve@evil.example>',
    '"Ada"',
    'Ada\r\nBcc: eve@evil.example',
  ])('goes to one recipient, also when the name is %o', async (name) => {
    const server = await serverWith()
    await transportTo(server).send(sampleMessage({ to: { name, address: 'ada@example.com' } }))
    expect(server.mails[0]?.personalizations).toEqual([{ to: [{ email: 'ada@example.com' }] }])
  })

  it('keeps the name of people whose letters are not ASCII', async () => {
    const server = await serverWith()
    const name = 'Renée O’Connor-Łukasz 李'
    await transportTo(server).send(sampleMessage({ to: { name, address: 'ada@example.com' } }))
    expect(server.mails[0]?.personalizations[0]?.to[0]?.name).toBe(name)
  })

  it('needs no new connection when one is kept', async () => {
    const server = await serverWith()
    const transport = transportTo(server)
    for (let count = 0; count < 3; count++) await transport.send(sampleMessage())
    expect(server.mails).toHaveLength(3)
    expect(server.connections()).toBe(1)
  })
})

describe('what a status means', () => {
  it.each([
    [200, 'deferred', 'protocol'],
    [202, 'sent', 'accepted'],
    [204, 'unknown', 'protocol'],
    [301, 'deferred', 'protocol'],
    [400, 'refused', 'message'],
    [401, 'deferred', 'login'],
    [403, 'deferred', 'login'],
    [404, 'deferred', 'protocol'],
    [413, 'refused', 'size'],
    [422, 'refused', 'message'],
    [429, 'deferred', 'too_many'],
    [500, 'deferred', 'unavailable'],
    [502, 'unknown', 'unavailable'],
    [503, 'deferred', 'unavailable'],
    [504, 'unknown', 'unavailable'],
  ])('%i is %s', async (status, outcome, reason) => {
    const server = await serverWith({
      body: () => ({ status, headers: status === 301 ? { location: 'https://localhost:1/' } : {} }),
    })
    const receipt = await transportTo(server).send(sampleMessage())
    expect(receipt).toEqual({ outcome, relay: 'sendgrid', reason, reply: status })
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    [
      'our sender',
      sendgridError(
        403,
        'The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.',
        'from',
      ),
      'refused sender',
    ],
    ['our credits', sendgridError(401, 'Maximum credits exceeded'), 'deferred quota'],
    [
      'the recipient',
      sendgridError(400, 'Does not contain a valid address.', 'personalizations.0.to.0.email'),
      'refused recipient',
    ],
    [
      'nothing we know',
      sendgridError(400, 'Does not contain a valid address.', 'reply_to'),
      'refused message',
    ],
  ])('is read for its subject: %s', async (_title, error, means) => {
    const server = await serverWith({ body: () => error })
    const receipt = await transportTo(server).send(sampleMessage())
    expect(`${receipt.outcome} ${receipt.reason}`).toBe(means)
    expect(JSON.stringify(receipt)).not.toMatch(/address|credits/)
  })

  it('a mail that is too large is refused', async () => {
    const server = await serverWith({}, { maxBytes: 1_000 })
    const receipt = await transportTo(server).send(sampleMessage({ text: 'x'.repeat(2_000) }))
    expect(receipt).toMatchObject({ outcome: 'refused', reply: 413 })
  })

  it('a wrong key gets no mail through, and stands in no receipt', async () => {
    const server = await serverWith({}, { apiKey: 'SG.another' })
    const receipt = await transportTo(server).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'deferred', reason: 'login', reply: 401 })
    expect(JSON.stringify(receipt)).not.toContain('SG.')
    expect(server.mails).toEqual([])
  })
})

describe('Retry-After', () => {
  const at = Date.parse('2026-03-01T12:00:00Z')
  it.each([
    ['seconds', 429, { 'retry-after': '37' }, 37_000],
    ['a date', 503, { 'retry-after': 'Sun, 01 Mar 2026 12:02:00 GMT' }, 120_000],
    ['a date that is over', 503, { 'retry-after': 'Sun, 01 Mar 2026 11:00:00 GMT' }, 1_000],
    ['a year', 429, { 'retry-after': '31536000' }, 3_600_000],
    ['the end of SendGrid’s window', 429, { 'x-ratelimit-reset': String(at / 1_000 + 15) }, 15_000],
    ['nonsense', 503, { 'retry-after': '-5' }, undefined],
    ['nothing', 503, {}, undefined],
  ] as [string, number, Record<string, string>, number | undefined][])(
    '%s is how long this mail and all others wait',
    async (_title, status, headers, waitMs) => {
      let now = at
      const server = await serverWith({ body: (count) => (count === 1 ? { status, headers } : undefined) })
      const transport = transportTo(server, { now: () => now, epoch: () => now })
      expect((await transport.send(sampleMessage())).retryAfterMs).toBe(waitMs)
      if (waitMs === undefined) return
      const others = await Promise.all([0, 1].map(() => transport.send(sampleMessage())))
      const resting = { outcome: 'unsent', relay: 'sendgrid', reason: 'resting', retryAfterMs: waitMs }
      expect(others).toEqual([resting, resting])
      expect(await transport.check()).toBe('resting')
      expect(server.requests).toHaveLength(1)
      now += waitMs
      expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'sent' })
    },
  )

  it('does not make a refusal wait', async () => {
    const server = await serverWith({ body: () => ({ status: 413, headers: { 'retry-after': '60' } }) })
    const transport = transportTo(server)
    expect(await transport.send(sampleMessage())).not.toHaveProperty('retryAfterMs')
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'refused' })
  })
})

describe('an API that must not be trusted', () => {
  it.each(['elsewhere', 'expired'] as const)(
    'gets neither key nor mail: certificate %s',
    async (certificate) => {
      let asked = 0
      const server = await serverWith({ headers: () => void asked++ }, { certificate })
      const receipt = await transportTo(server).send(sampleMessage())
      expect(receipt).toMatchObject({
        outcome: 'unsent',
        reason: 'tls',
        cause: expect.stringMatching(/CERT/),
      })
      expect(asked).toBe(0)
    },
  )

  it('is verified also where the environment says otherwise', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    onTestFinished(() => void delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
    const server = await serverWith({}, { certificate: 'elsewhere' })
    expect(await transportTo(server).send(sampleMessage())).toMatchObject({
      outcome: 'unsent',
      reason: 'tls',
    })
    expect(server.mails).toEqual([])
  })

  it('is left when its answer does not end', async () => {
    const server = await serverWith({ body: () => ({ status: 503, body: 'x'.repeat(5_000_000) }) })
    const transport = transportTo(server)
    expect(await transport.send(sampleMessage())).toMatchObject({ outcome: 'deferred', reply: 503 })
    await transport.close()
  })
})

describe.concurrent('an API that cuts the connection or falls silent', () => {
  it.each([
    ['connect', 'close', 'unsent'],
    ['connect', 'reset', 'unsent'],
    ['connect', 'hang', 'unsent'],
    ['headers', 'close', 'unknown'],
    ['headers', 'reset', 'unknown'],
    ['headers', 'hang', 'unknown'],
    ['body', 'close', 'unknown'],
    ['body', 'reset', 'unknown'],
    ['body', 'hang', 'unknown'],
  ] as const)('at %s by %s: %s, told in time, and the next mail is fine', async (stage, act, outcome) => {
    const server = await serverWith({ [stage]: (count: number) => (count === 1 ? act : undefined) })
    const transport = transportTo(server, act === 'hang' ? { attemptMs: 1_500 } : {})
    const receipt = await within(15_000, transport.send(sampleMessage()))
    expect(receipt).toMatchObject({ outcome, reason: act === 'hang' ? 'timeout' : 'connect' })
    expect(await transport.send(sampleMessage(), { endWithinMs: 20_000 })).toMatchObject({ outcome: 'sent' })
    expect(server.mails).toHaveLength(1)
  })

  it('nobody listens: unsent at once', async () => {
    const receipt = await transportTo({ url: `https://localhost:${await freePort()}` }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'connect', cause: 'ECONNREFUSED' })
  })

  it('there is no such host', async () => {
    const receipt = await transportTo({ url: 'https://no-such-host.invalid' }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'dns' })
  })

  it('something else answers there', async () => {
    const { createServer } = await import('node:net')
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end('220 this is SMTP\r\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    opened.push({ close: async () => void server.close() })
    const { port } = server.address() as { port: number }
    const receipt = await transportTo({ url: `https://localhost:${port}` }).send(sampleMessage())
    expect(receipt).toMatchObject({ outcome: 'unsent', reason: 'tls' })
  })
})

describe('is SendGrid well?', () => {
  it.each([
    ['it is', {}, undefined],
    ['the key is wrong', { question: () => ({ status: 401 }) }, 'login'],
    ['it has trouble', { question: () => ({ status: 503 }) }, 'unavailable'],
    ['it is asked too often', { question: () => ({ status: 429 }) }, undefined],
    ['it hangs up', { connect: () => 'reset' }, 'connect'],
  ] as [string, ApiScript, string | undefined][])('%s', async (_title, script, trouble) => {
    const server = await serverWith(script)
    const transport = transportTo(server)
    expect(await transport.check()).toBe(trouble)
    expect(server.mails).toEqual([])
  })

  it.each(['drip', 'hang'] as const)('the answer has a total deadline: %s', async (act) => {
    const server = await serverWith({ question: () => act })
    const transport = transportTo(server, { checkMs: 200 })
    expect(await transport.check()).toBe('timeout')
    await expect.poll(server.open).toBe(0)
  })

  it('a check without an answer takes no connection from the mails, and holds up no end', async () => {
    const server = await serverWith({ question: () => 'drip' })
    const transport = transportTo(server, { connections: 1, checkMs: 60_000 })
    const check = transport.check()
    await expect.poll(server.connections).toBe(1)
    expect(await transport.send(sampleMessage(), { endWithinMs: 20_000 })).toMatchObject({ outcome: 'sent' })
    await transport.close()
    expect(await check).not.toBeUndefined()
  })

  it('it is not asked while mails show it', async () => {
    let asked = 0
    const server = await serverWith({ question: () => void asked++ })
    const transport = transportTo(server)
    await transport.send(sampleMessage())
    expect(await transport.check()).toBeUndefined()
    expect(asked).toBe(0)
  })
})
