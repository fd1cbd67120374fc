import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import jwt from 'jsonwebtoken'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMailer, type MailerOptions } from '../../client/src/node.ts'
import { mintToken } from '../../client/src/node.ts'
import { failureCodes } from '../../src/contract.ts'
import { centuryMs } from '../support/limits.ts'
import { freePort } from '../support/port.ts'
import { startService } from '../support/service.ts'
import { scriptedRelay } from '../support/relay.ts'
import { portOf } from '../support/port.ts'
import { testApp, type TestAppOptions } from '../support/app.ts'
import { secret } from '../support/tokens.ts'

const link = { url: 'https://app.example.com/confirm/', token: 'aaa.bbb.ccc' }
const mail = { to: 'ada@example.com', link, accessKey: '7hK2pQ' }

async function live(options: TestAppOptions = {}, client: Partial<MailerOptions> = {}) {
  const service = await testApp(options)
  const mailer = createMailer({ url: await service.url(), secret, ...client })
  return { ...service, mailer }
}

/** What answers in place of the service. */
async function impostor(answer: RequestListener): Promise<{ url: string; asked: () => number }> {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    answer(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const port = portOf(server)
  return { url: `http://127.0.0.1:${port}`, asked: () => asked }
}

/** Instead of the minute that a killed process leaves to its mails. */
function endLeases(path: string): void {
  const database = new DatabaseSync(path, { timeout: 5_000 })
  database.exec("update outbox_mail set due = 0 where state = 'sending'")
  database.close()
}

const refuse = (status: number, code: string, headers = {}): RequestListener => {
  return (_request, response) => {
    response.writeHead(status, headers)
    response.end(JSON.stringify({ error: 2, msg: 'Could not send', code }))
  }
}

describe('a mail', () => {
  test('is sent, and its state can be asked for', async () => {
    const { mailer, mails } = await live()
    const answer = await mailer.send('confirmation', { ...mail, name: 'Ada', locale: 'it' })
    expect(answer).toEqual({ ok: true, id: expect.any(String), state: 'sent' })
    const [sent] = await mails()
    expect(sent?.recipients).toEqual(['RCPT TO:<ada@example.com>'])
    expect(sent?.text).toContain('https://app.example.com/confirm/aaa.bbb.ccc')
    expect(sent?.text).toContain('7hK2pQ')
    expect(sent?.text).toContain('Ada')
    const { id } = answer as { id: string }
    await expect.poll(() => mailer.status(id)).toMatchObject({ ok: true, id, state: 'sent', attempts: 1 })
    expect(await mailer.status(id)).toMatchObject({ created: expect.any(Date), expires: expect.any(Date) })
  })

  test('is one mail however often its idempotency key comes, and another without one', async () => {
    const { mailer, mails } = await live()
    const twice = { ...mail, idempotencyKey: 'signup-42' }
    const answers = await Promise.all([1, 2, 3].map(() => mailer.send('confirmation', twice)))
    expect(new Set(answers.map((answer) => answer.ok && answer.id)).size).toBe(1)
    expect(await mails()).toHaveLength(1)
    await mailer.send('confirmation', mail)
    await mailer.send('confirmation', mail)
    expect(await mails()).toHaveLength(3)
  })

  test('says whether an earlier request has it', async () => {
    const { mailer, mails } = await live()
    const keyed = { ...mail, idempotencyKey: 'signup-43' }
    const first = await mailer.send('confirmation', keyed)
    expect(first).toEqual({ ok: true, id: expect.any(String), state: 'sent' })
    expect(await mailer.send('confirmation', keyed)).toEqual({ ...first, repeated: true })
    expect(await mails()).toHaveLength(1)
  })

  test('belongs to its app, whose secret signs it', async () => {
    const appSecrets = { shop: 'the secret of the shop, which is long enough' }
    const { mailer } = await live({ appSecrets }, { app: 'shop', secret: appSecrets.shop })
    expect(await mailer.send('confirmation', mail)).toMatchObject({ code: 'mail_unknown', retryable: false })
    const { mailer: stranger } = await live({ appSecrets }, { app: 'shop' })
    expect(await stranger.send('confirmation', mail)).toMatchObject({ code: 'token_signature' })
  })

  test('that waits for its relay is queued, and delivered later', async () => {
    const { mailer, mails } = await live({
      script: { MAIL: (count) => (count === 1 ? '451 later' : '250 ok') },
      pump: { everyMs: 20 },
      limits: {},
    })
    const answer = await mailer.send('confirmation', mail)
    expect(answer).toMatchObject({ ok: true, state: 'queued' })
    const { id } = answer as { id: string }
    expect(await mailer.status(id)).toMatchObject({ ok: true, state: 'queued', attempts: 1 })
    await expect.poll(async () => mailer.status(id)).toMatchObject({ state: 'sent' })
    expect(await mails()).toHaveLength(1)
  })
})

test('a link may come whole, with the time at which it stops working', async () => {
  const { mailer, mails } = await live()
  const whole = 'https://app.example.com/reset/abc?next=/home'
  const linkExpires = new Date('2026-12-24T18:00:00Z')
  await mailer.send('reset', { to: mail.to, link: whole, linkExpires: new Date(Date.now() + 3_600_000) })
  const [sent] = await mails()
  expect(sent?.text).toContain(whole)
  expect(sent?.text).toContain('works until')
  const token = mintToken({ to: mail.to, link: whole, linkExpires, secret })
  expect(jwt.decode(token)).toMatchObject({ email_link: whole, email_link_exp: 1_798_135_200 })
})

describe('a refusal', () => {
  test('says which claim is wrong, and is not repeated', async () => {
    const { mailer, logLines } = await live()
    expect(await mailer.send('resetkey', { to: mail.to })).toEqual({
      ok: false,
      code: 'claims_invalid',
      retryable: false,
      msg: expect.any(String),
      claim: 'user_aut_key_or_otp',
      reason: 'missing',
      claims: ['user_aut_key_or_otp'],
    })
    expect(logLines().filter(({ code }) => code === 'claims_invalid')).toHaveLength(1)
  })

  test('of the secret is told', async () => {
    const { mailer } = await live({}, { secret: 'another secret, as long as the first' })
    expect(await mailer.send('confirmation', mail)).toEqual({
      ok: false,
      code: 'token_signature',
      retryable: false,
      msg: expect.any(String),
    })
  })

  test('for too many mails says when to come back, and a long wait is left to the caller', async () => {
    const { mailer } = await live({ limits: { recipient: { max: 1, windowMs: centuryMs } } })
    expect(await mailer.send('confirmation', mail)).toMatchObject({ ok: true })
    const answer = await mailer.send('confirmation', mail)
    expect(answer).toMatchObject({ ok: false, code: 'rate_limited', retryable: true })
    expect(answer).toHaveProperty('retryAfterS')
  })

  test('of a recipient for good is told as such', async () => {
    const { mailer } = await live({ script: { RCPT: () => '550 no such user' } })
    expect(await mailer.send('confirmation', mail)).toEqual({
      ok: false,
      code: 'refused',
      retryable: false,
      msg: expect.any(String),
      id: expect.any(String),
    })
  })

  test('of a mail that is not known', async () => {
    const { mailer } = await live()
    expect(await mailer.status('nobody-knows-it')).toMatchObject({
      ok: false,
      code: 'not_found',
      retryable: false,
      msg: 'Not found',
    })
  })
})

describe('a service that is not there', () => {
  test('is unreachable, after all tries', async () => {
    const mailer = createMailer({ url: `http://127.0.0.1:${await freePort()}`, secret, retries: 1 })
    expect(await mailer.send('confirmation', mail)).toEqual({
      ok: false,
      code: 'unreachable',
      retryable: true,
    })
  })

  test('is asked again until it is back: one mail', async () => {
    const port = await freePort()
    const relay = await scriptedRelay()
    onTestFinished(() => relay.close())
    const mailer = createMailer({ url: `http://127.0.0.1:${port}`, secret, retries: 50 })
    const sending = mailer.send('confirmation', mail)
    const service = await startService({
      mode: 'production',
      port,
      env: {
        JWT_MAILER_SECRET: secret,
        SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
        MAIL_FROM: 'noreply@example.com',
      },
    })
    onTestFinished(async () => void (await service.stop()))
    expect(await sending).toMatchObject({ ok: true, state: 'sent' })
    expect(relay.mails).toHaveLength(1)
  })

  test('restarted in the middle of a send, it sends one mail', async () => {
    const port = await freePort()
    const reached = Promise.withResolvers<void>()
    const relay = await scriptedRelay({
      async MAIL(count) {
        if (count > 1) return '250 ok'
        reached.resolve()
        return 'hang'
      },
    })
    onTestFinished(() => relay.close())
    const folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-client-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const options = {
      mode: 'production',
      port,
      env: {
        JWT_MAILER_SECRET: secret,
        SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
        MAIL_FROM: 'noreply@example.com',
        DATA_DIR: folder,
      },
    } as const
    const before = await startService(options)
    const mailer = createMailer({ url: before.url, secret, retries: 50 })
    const sending = mailer.send('confirmation', mail)
    await reached.promise
    await before.kill()
    const after = await startService(options)
    onTestFinished(async () => void (await after.stop()))
    // whoever comes back while the lease of the killed process runs hears that the mail is stored
    const answer = await sending
    expect(answer).toMatchObject({ ok: true })
    expect(relay.mails.length).toBeLessThanOrEqual(1)
    endLeases(join(folder, 'outbox.sqlite'))
    const { id } = answer as { id: string }
    await expect.poll(() => mailer.status(id)).toMatchObject({ state: 'sent' })
    expect(relay.mails).toHaveLength(1)
  })
})

describe('an answer that is none', () => {
  test.each<[string, RequestListener, string, boolean]>([
    [
      'the page of another web site',
      (_, response) => response.end('<html>Hello</html>'),
      'bad_answer',
      false,
    ],
    [
      'a page that is not there',
      (_, response) => response.writeHead(404).end('<h1>404</h1>'),
      'bad_answer',
      false,
    ],
    [
      "a router's page for a service that is away",
      (_, response) => response.writeHead(503).end('<h1>Application error</h1>'),
      'unreachable',
      true,
    ],
    ['JSON of somebody else', (_, response) => response.end('{"hello":"world"}'), 'bad_answer', false],
    ['a list', (_, response) => response.end('[1]'), 'bad_answer', false],
    ['a code that does not exist', refuse(500, 'toString'), 'bad_answer', false],
    [
      'an acceptance that says ok by itself',
      (_, response) => response.end('{"error":0,"ok":true,"code":"sent"}'),
      'bad_answer',
      false,
    ],
    [
      'an acceptance without an id',
      (_, response) => response.end('{"error":0,"msg":"Ok","code":"sent"}'),
      'bad_answer',
      false,
    ],
    [
      'a redirect to another host',
      (_, response) => response.writeHead(308, { location: 'http://evil.example/' }).end(),
      'bad_answer',
      false,
    ],
    ['a cut connection', (request) => request.socket.destroy(), 'unreachable', true],
    [
      'a cut answer',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('{')
        setTimeout(() => response.destroy(), 20)
      },
      'unreachable',
      true,
    ],
    ['silence', () => undefined, 'timeout', true],
    [
      'an answer that never ends',
      (_, response) => {
        response.write('{"error":')
        const drip = setInterval(() => response.write(' '), 10)
        response.on('close', () => clearInterval(drip))
      },
      'timeout',
      true,
    ],
    [
      'an answer without measure',
      (_, response) => {
        response.on('error', () => undefined)
        response.end(' '.repeat(1 << 20))
      },
      'bad_answer',
      false,
    ],
  ])('%s', async (_what, listener, code, retryable) => {
    const { url } = await impostor(listener)
    const timeoutMs = code === 'timeout' ? 300 : 20_000
    const mailer = createMailer({ url, secret, retries: 0, timeoutMs })
    expect(await mailer.send('confirmation', mail)).toEqual({ ok: false, code, retryable })
  })

  test.each(['store_unavailable', 'store_unknown'])(
    'what may pass is tried again, and the token stays the same: %s',
    async (code) => {
      const tokens = new Set<string>()
      const { url, asked } = await impostor(async (request, response) => {
        let body = ''
        for await (const chunk of request) body += String(chunk)
        tokens.add((JSON.parse(body) as { token: string }).token)
        if (asked() < 3)
          response.writeHead(503).end(JSON.stringify({ error: 2, msg: 'Could not send', code }))
        else response.end('{"error":0,"msg":"Ok","code":"sent","id":"abc"}')
      })
      expect(await createMailer({ url, secret }).send('confirmation', mail)).toEqual({
        ok: true,
        id: 'abc',
        state: 'sent',
      })
      expect(asked()).toBe(3)
      expect(tokens.size).toBe(1)
    },
  )

  test('a short Retry-After is waited for', async () => {
    const { url, asked } = await impostor((request, response) =>
      asked() === 1
        ? refuse(429, 'rate_limited', { 'retry-after': '1' })(request, response)
        : response.end('{"error":0,"msg":"Ok","code":"sent","id":"abc"}'),
    )
    expect(await createMailer({ url, secret }).send('confirmation', mail)).toMatchObject({ ok: true })
  })

  test('every code of the service is understood', async () => {
    for (const code of failureCodes) {
      const { url } = await impostor(refuse(500, code))
      expect(await createMailer({ url, secret, retries: 0 }).send('confirmation', mail)).toMatchObject({
        code,
      })
    }
  })
})

describe('a signal', () => {
  test('ends a call that has not begun, one that waits for its answer and one that waits for its next try', async () => {
    const silent = await impostor(() => undefined)
    const busy = await impostor(refuse(503, 'store_unavailable'))
    const aborted = { ok: false, code: 'aborted', retryable: false }
    const send = (url: string, signal: AbortSignal) =>
      createMailer({ url, secret, retries: 50 }).send('confirmation', mail, { signal })
    expect(await send(silent.url, AbortSignal.abort())).toEqual(aborted)
    expect(silent.asked()).toBe(0)
    expect(await send(silent.url, AbortSignal.timeout(50))).toEqual(aborted)
    const during = new AbortController()
    const sending = send(busy.url, during.signal)
    await expect.poll(busy.asked).toBeGreaterThan(0)
    await pause(20)
    during.abort()
    expect(await sending).toEqual(aborted)
  })
})

describe('what only a programmer can mend is thrown', () => {
  test.each<[string, Partial<MailerOptions>]>([
    ['no URL', { url: 'mailer.example.com' }],
    ['a URL of another kind', { url: 'ftp://mailer.example.com' }],
    ['a URL with a query', { url: 'https://mailer.example.com/?a=b' }],
    ['no secret', { secret: '' }],
    ['no time', { timeoutMs: 0 }],
    ['more time than a timer can hold', { timeoutMs: 2 ** 31 }],
    ['half a retry', { retries: 0.5 }],
  ])('%s', (_what, wrong) => {
    expect(() => createMailer({ url: 'https://mailer.example.com', secret, ...wrong })).toThrow(TypeError)
  })

  test('no recipient, or a key without measure', async () => {
    const mailer = createMailer({ url: 'https://mailer.example.com', secret })
    await expect(mailer.send('confirmation', { to: '' })).rejects.toThrow(TypeError)
    await expect(
      mailer.send('confirmation', { to: 'ada@example.com', idempotencyKey: 'x'.repeat(201) }),
    ).rejects.toThrow(TypeError)
  })
})

test('further claims never take the place of those the contract knows', async () => {
  let token = ''
  const { url } = await impostor(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    ;({ token } = JSON.parse(body) as { token: string })
    response.end('{"error":0,"msg":"Ok","code":"sent","id":"abc"}')
  })
  const data = {
    user_email: 'eve@evil.example',
    jti: 'fixed',
    exp: 1,
    iat: 1,
    email_link_url: 'https://evil.example/',
    email_link: 'https://evil.example/',
    user_aut_key_or_otp: 'evil',
    number: 7,
  }
  await createMailer({ url, secret }).send('confirmation', {
    to: 'ada@example.com',
    accessKey: '7hK2pQ',
    data,
  })
  const claims = jwt.verify(token, secret) as Record<string, unknown>
  expect(claims).toMatchObject({ user_email: 'ada@example.com', user_aut_key: '7hK2pQ', number: 7 })
  expect(claims).not.toHaveProperty('user_aut_key_or_otp')
  expect(claims['jti']).not.toBe('fixed')
  expect(claims).not.toHaveProperty('email_link')
  expect(claims).not.toHaveProperty('email_link_url')
  expect(Number(claims['exp']) - Number(claims['iat'])).toBe(86_400)
})
