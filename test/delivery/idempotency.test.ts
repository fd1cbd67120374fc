/** The promise to callers: one token is one mail and one answer, however, how often and wherever it is repeated. */
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { testApp, type TestAppOptions } from '../support/app.ts'
import { askDelivery, askMail, type MailAnswer } from '../support/caller.ts'
import { centuryMs } from '../support/limits.ts'
import { scriptedRelay } from '../support/relay.ts'
import { type Service, startService } from '../support/service.ts'
import { engines, type ServiceStore, type ServiceStores } from '../support/service-store.ts'
import { sampleClaims, secret, signToken } from '../support/tokens.ts'
import { titled } from '../support/missing.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
/** Has apps of their own and kinds that carry neither link nor key. */
const variance = fileURLToPath(new URL('../../examples/variance/mails', import.meta.url))
const noSecretClaims = { user_email: 'ada@example.com', user_name: 'Ada', tkt_id: '1042' }

const times = <T>(count: number, what: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => what(n)))

/** All that was heard, each different answer once. */
const different = (heard: readonly MailAnswer[]) => [...new Set(heard.map((one) => JSON.stringify(one)))]

const to = (user_email: string, more: Record<string, unknown> = {}) =>
  signToken(sampleClaims({ user_email, ...more }))

describe.each(engines)('with an outbox on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  let store: ServiceStore
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())
  beforeEach(async () => {
    store = await stores.fresh()
  })

  const service = (options: TestAppOptions = {}) => testApp({ engine: store.engine(), ...options })

  describe('the same token is one mail and one answer', () => {
    it('twenty times at once', async () => {
      const { app, relay } = await service()
      const heard = await times(20, () => askMail(app, signToken()))
      expect(different(heard)).toHaveLength(1)
      expect(heard[0]).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('twenty times in a row', async () => {
      const { app, relay } = await service()
      const heard: MailAnswer[] = []
      for (let n = 0; n < 20; n++) heard.push(await askMail(app, signToken()))
      expect(different(heard)).toHaveLength(1)
      expect(heard[0]).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('on two replicas at once, while the relay takes its time', async () => {
      const relay = await scriptedRelay({ dot: () => new Promise((done) => setTimeout(done, 300, '250 ok')) })
      onTestFinished(() => relay.close())
      const replicas = [await service({ relay }), await service({ relay })]
      const heard = await times(20, (n) => askMail(replicas[n % 2]!.app, signToken()))
      expect(different(heard)).toHaveLength(1)
      expect(heard[0]).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('on three processes at once', async () => {
      // all find a store that is not set up, too
      store = await stores.untouched()
      const relay = await scriptedRelay()
      onTestFinished(() => relay.close())
      const env = {
        JWT_MAILER_SECRET: secret,
        MAIL_FROM: 'noreply@mail.example.com',
        SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
        ...store.env,
      }
      const processes = await times(3, () => startService({ mode: 'production', env }))
      onTestFinished(async () => void (await Promise.all(processes.map((one) => one.stop()))))
      // a busy machine may still be installing the schema
      const isReady = async ({ url }: Service) => (await fetch(`${url}/health/ready`)).status
      for (const one of processes) await expect.poll(() => isReady(one)).toBe(200)
      const answers = await times(20, async (n) => {
        const response = await fetch(`${processes[n % 3]!.url}/emailservice/${signToken()}`)
        return `${response.status} ${await response.text()}`
      })
      expectOneAnswer(answers)
      expect(answers[0]).toMatch(/^200 .*"sent"/)
      expect(relay.mails).toHaveLength(1)
    })

    it('with its signature spelled otherwise, unless that is refused', async () => {
      const { app, relay } = await service()
      const token = signToken()
      const first = await askMail(app, token)
      for (const one of otherSpellings(token)) {
        const heard = await askMail(app, one)
        expect(heard.status === 401 ? 'refused' : heard).toEqual(heard.status === 401 ? 'refused' : first)
      }
      expect(relay.mails).toHaveLength(1)
    })

    it('with another spelling of the URL, by POST, and with its default kind and app written out', async () => {
      const { app, relay } = await service()
      const token = signToken()
      const escaped = token.replaceAll('.', '%2E').replace('e', '%65')
      const urls = [
        `/emailservice/${token}`,
        `/emailservice/${token}?utm_source=mail`,
        `/emailservice/${escaped}`,
        `/emailservice/confirmation/${token}`,
        `/emailservice-default/${token}`,
        `/emailservice-default/confirmation/${escaped}?a=b`,
        `/%65mailservice/${token}`,
      ]
      const gets = await Promise.all(urls.map((url) => app.inject(url)))
      const posts = await Promise.all(
        ['/emailservice', '/emailservice/confirmation', '/emailservice-default/confirmation?a=b'].map((url) =>
          app.inject({ method: 'POST', url, payload: { token } }),
        ),
      )
      const answers = [...gets, ...posts].map(({ statusCode, body }) => `${statusCode} ${body}`)
      expectOneAnswer(answers)
      expect(answers[0]).toMatch(/^200/)
      expect(relay.mails).toHaveLength(1)
    })

    it('when it is signed anew with the same jti', async () => {
      const { app, relay } = await service()
      const heard = await times(5, (n) =>
        askMail(app, signToken(sampleClaims({ jti: 'order-7', iat: 1_700_000_000 + n }))),
      )
      expect(different(heard)).toHaveLength(1)
      expect(relay.mails).toHaveLength(1)
    })

    it('and another jti, kind or app is another mail', async () => {
      const { app, relay } = await service({ mailsDir: variance })
      const token = signToken(sampleClaims({ jti: 'order-7' }))
      const heard = [
        await askMail(app, token, '/emailservice-blog/signup'),
        await askMail(app, token, '/emailservice-cat/signup'),
        await askMail(app, token, '/emailservice-cat/change'),
        await askMail(app, signToken(sampleClaims({ jti: 'order-8' })), '/emailservice-cat/change'),
      ]
      expect(heard.map(({ code }) => code)).toEqual(['sent', 'sent', 'sent', 'sent'])
      expect(new Set(heard.map(({ id }) => id)).size).toBe(4)
      expect(relay.mails).toHaveLength(4)
    })

    it('also while the link it carries runs out in between', async () => {
      let now = Date.now()
      const { app, relay } = await service({ now: () => now })
      const token = linkEnding(now + hourMs)
      const first = await askMail(app, token)
      now += 2 * hourMs
      expect(await askMail(app, token)).toEqual(first)
      expect(relay.mails).toHaveLength(1)
    })
  })

  describe('it stays the same mail', () => {
    const start = Date.UTC(2031, 0, 1)
    const inSeconds = (ms: number) => Math.floor(ms / 1000)
    it.each([
      ['for 24 hours when the mail carries a link or a key', '/emailservice', sampleClaims(), dayMs],
      [
        'for 5 minutes when it carries neither',
        '/emailservice-ntsqr/answer_ready',
        noSecretClaims,
        5 * minuteMs,
      ],
      ['for 7 days with a jti', '/emailservice', sampleClaims({ jti: 'a' }), 7 * dayMs],
      [
        'for 7 days with a jti, link or not',
        '/emailservice-ntsqr/answer_ready',
        { ...noSecretClaims, jti: 'a' },
        7 * dayMs,
      ],
    ])('%s', async (_title, path, claims, windowMs) => {
      let now = start
      const { app, relay } = await service({
        ...(path.includes('-') && { mailsDir: variance }),
        now: () => now,
      })
      const token = signToken(claims)
      const first = await askMail(app, token, path)
      expect(first).toMatchObject({ status: 200, code: 'sent' })
      now = start + windowMs - 1
      expect(await askMail(app, token, path)).toEqual(first)
      expect(relay.mails).toHaveLength(1)
      now = start + windowMs
      expect(await askMail(app, token, path)).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(2)
    })

    it('for as long as the token is accepted, with a jti and an exp', async () => {
      let now = start
      const { app, relay } = await service({ now: () => now })
      const token = signToken(sampleClaims({ jti: 'a', exp: inSeconds(start + 30 * dayMs) }))
      const first = await askMail(app, token)
      now = start + 30 * dayMs + minuteMs - 1
      expect(await askMail(app, token)).toEqual(first)
      now = start + 30 * dayMs + minuteMs
      expect(await askMail(app, token)).toMatchObject({ status: 401, code: 'token_expired' })
      expect(relay.mails).toHaveLength(1)
    })

    it('and an intended repeat after that is a mail of its own for whoever sorts out duplicates', async () => {
      let now = start
      const { app, mails } = await service({ mailsDir: variance, now: () => now })
      const { id } = await askMail(app, signToken(noSecretClaims), '/emailservice-ntsqr/answer_ready')
      // its news reach the store a moment after the answer, and the clock here knows no moments
      await expect.poll(() => askDelivery(app, id)).toMatchObject({ state: 'sent' })
      now += 6 * minuteMs
      await askMail(app, signToken(noSecretClaims), '/emailservice-ntsqr/answer_ready')
      const [first, second] = await mails()
      expect(second?.messageId).toMatch(/^<[\w-]+@mail\.example\.com>$/)
      expect(second?.messageId).not.toBe(first?.messageId)
    })
  })

  it('the log tells which mails still come by the previous secret', async () => {
    const { app, logLines } = await service({ secrets: ['the new secret, long enough for anyone', secret] })
    await askMail(app, signToken())
    await askMail(app, signToken(sampleClaims(), 'the new secret, long enough for anyone'))
    expect(logLines().map((line) => line['secret'])).toEqual(['previous', undefined])
  })

  describe('a failure is never replayed', () => {
    it('the same token sent again after error 2 is tried again', async () => {
      const { app, relay } = await service({
        script: { RCPT: (count) => (count === 1 ? '550 unknown' : '250 ok') },
      })
      expect(await askMail(app, signToken())).toMatchObject({ status: 502, code: 'refused' })
      expect(await askMail(app, signToken())).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('but whoever asked at the same time hears what the first one heard', async () => {
      const refusal = Promise.withResolvers<string>()
      const relay = await scriptedRelay({ RCPT: () => refusal.promise })
      onTestFinished(() => relay.close())
      const accepts = countAccepts()
      const replica = () => service({ relay, engine: accepts.at(store.engine()) })
      const replicas = [await replica(), await replica()]
      const asked = times(20, (n) => askMail(replicas[n % 2]!.app, signToken()))
      await expect.poll(accepts.count).toBe(20)
      refusal.resolve('550 unknown')
      const heard = await asked
      expect(different(heard)).toHaveLength(1)
      expect(heard[0]).toMatchObject({ status: 502, code: 'refused' })
      expect(relay.commands.filter((line) => line.startsWith('RCPT'))).toHaveLength(1)
    })

    it('and whoever waits for a mail that is taken back hears that the store failed', async () => {
      const late = Promise.withResolvers<string>()
      const relay = await scriptedRelay({ RCPT: () => late.promise })
      onTestFinished(() => relay.close())
      const accepts = countAccepts()
      const replicas = [
        await service({ relay }),
        await service({ relay, engine: accepts.at(store.engine()) }),
      ]
      const first = askMail(replicas[0]!.app, signToken())
      await expect.poll(() => relay.commands.join()).toContain('RCPT')
      const second = askMail(replicas[1]!.app, signToken())
      await expect.poll(accepts.count).toBe(1)
      // what the first replica does when it learns too late that its accept was stored
      await store.rows(`delete from outbox_mail where state = 'sending'`)
      expect(await second).toMatchObject({ status: 503, code: 'store_unavailable' })
      late.resolve('450 later')
      await first
    })

    it('and a bug of ours on the way to the relay is the end of the mail', async () => {
      const { app, log } = await service({
        smtp: {
          buildMime: () => {
            throw new Error('MARKER')
          },
        },
        pump: { everyMs: 20 },
        now: () => Date.now() + 10 * minuteMs,
      })
      expect(await askMail(app, signToken())).toMatchObject({ status: 500, code: 'internal' })
      await expect
        .poll(() => store.rows('select state, detail from outbox_mail'))
        .toEqual([{ state: 'dead', detail: 'internal' }])
      expect(log()).not.toContain('MARKER')
    })

    it('and whoever asked while it was put off hears that it is queued', async () => {
      const relay = await scriptedRelay({
        RCPT: () => new Promise((done) => setTimeout(done, 400, '450 later')),
      })
      onTestFinished(() => relay.close())
      const replicas = [await service({ relay }), await service({ relay })]
      const heard = await times(20, (n) => askMail(replicas[n % 2]!.app, signToken()))
      expect(different(heard)).toHaveLength(1)
      expect(heard[0]).toMatchObject({ status: 202, code: 'queued' })
      expect(relay.commands.filter((line) => line.startsWith('RCPT'))).toHaveLength(1)
    })
  })

  describe('limits', () => {
    const codes = (heard: readonly MailAnswer[]) => heard.map(({ code }) => code).toSorted()
    const sentAndLimited = (sent: number, limited: number) => [
      ...Array.from({ length: limited }, () => 'rate_limited'),
      ...Array.from({ length: sent }, () => 'sent'),
    ]

    it('of five mails per recipient let exactly five of thirty-two through, and the others know when', async () => {
      let now = Date.UTC(2031, 0, 1, 12, 10)
      const limits = { recipient: { max: 5, windowMs: hourMs } }
      const relay = await scriptedRelay()
      onTestFinished(() => relay.close())
      const replicas = [
        await service({ relay, limits, now: () => now }),
        await service({ relay, limits, now: () => now }),
      ]
      const heard = await times(32, (n) =>
        askMail(replicas[n % 2]!.app, to('ada@example.com', { jti: `${n}` })),
      )
      expect(codes(heard)).toEqual(sentAndLimited(5, 27))
      const refused = heard.find(({ code }) => code === 'rate_limited')
      expect(refused).toMatchObject({ status: 429, retryAfter: 50 * 60 })
      expect(relay.mails).toHaveLength(5)
      // the address in another case is the same recipient; another recipient is not
      expect(await askMail(replicas[0]!.app, to('ADA@EXAMPLE.com'))).toMatchObject({ code: 'rate_limited' })
      expect(await askMail(replicas[0]!.app, to('bob@example.com'))).toMatchObject({ code: 'sent' })
      now += 50 * minuteMs
      expect(await askMail(replicas[1]!.app, to('ada@example.com', { jti: 'x' }))).toMatchObject({
        code: 'sent',
      })
    })

    it('per app are counted for each app and over all its recipients', async () => {
      const { app, relay } = await service({
        mailsDir: variance,
        limits: { app: { max: 5, windowMs: centuryMs } },
      })
      const heard = await times(32, (n) =>
        askMail(app, to(`user${n}@example.com`), '/emailservice-cat/signup'),
      )
      expect(codes(heard)).toEqual(sentAndLimited(5, 27))
      expect(await askMail(app, to('ada@example.com'), '/emailservice-blog/signup')).toMatchObject({
        code: 'sent',
      })
      expect(relay.mails).toHaveLength(6)
    })

    it('that are off let everything through', async () => {
      const { app, relay } = await service({ limits: {} })
      const heard = await times(60, (n) => askMail(app, to('ada@example.com', { jti: `${n}` })))
      expect(codes(heard)).toEqual(sentAndLimited(60, 0))
      expect(relay.mails).toHaveLength(60)
    })

    it('do not count a repeat, and do not hide what became of the mail', async () => {
      const { app } = await service({ limits: { recipient: { max: 2, windowMs: centuryMs } } })
      await times(10, () => askMail(app, to('ada@example.com')))
      expect(await askMail(app, to('ada@example.com', { jti: 'b' }))).toMatchObject({ code: 'sent' })
      expect(await askMail(app, to('ada@example.com', { jti: 'c' }))).toMatchObject({ code: 'rate_limited' })
      expect(await askMail(app, to('ada@example.com'))).toMatchObject({ status: 200, code: 'sent' })
    })
  })

  describe('a relay that is slow or away', () => {
    it('for longer than a caller waits: queued, while the same try goes on and no second one runs', async () => {
      const taken = Promise.withResolvers<string>()
      const { app, relay, logLines } = await service({
        script: { dot: () => taken.promise },
        deliver: { inlineMs: 200 },
        pump: { everyMs: 20 },
      })
      const first = await askMail(app, signToken())
      expect(first).toMatchObject({ status: 202, code: 'queued' })
      expect(await askMail(app, signToken())).toEqual(first)
      taken.resolve('250 ok')
      await expect.poll(() => relay.mails.length).toBe(1)
      await expect
        .poll(() => askMail(app, signToken()))
        .toMatchObject({ status: 200, code: 'sent', id: first.id })
      expect(relay.commands.filter((line) => line.startsWith('MAIL'))).toHaveLength(1)
      expect(logLines()).toContainEqual(
        expect.objectContaining({ msg: 'mail tried after its answer', outcome: 'sent', id: first.id }),
      )
    })

    it('a caller who hangs up cancels nothing', async () => {
      const taken = Promise.withResolvers<string>()
      const { url, relay } = await service({ script: { dot: () => taken.promise } })
      const caller = new AbortController()
      const asked = fetch(`${await url()}/emailservice/${signToken()}`, { signal: caller.signal })
      await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
      caller.abort()
      await expect(asked).rejects.toThrow('aborted')
      taken.resolve('250 ok')
      await expect.poll(() => relay.mails.length).toBe(1)
      await expect
        .poll(() => store.rows('select state from outbox_mail'))
        .toEqual([expect.objectContaining({ state: 'sent' })])
    })

    it.each([
      ['450', { RCPT: (count: number) => (count === 1 ? '450 later' : '250 ok') }],
      ['451 to the message', { dot: (count: number) => (count === 1 ? '451 later' : '250 ok') }],
      ['no connection', { connect: (count: number) => (count === 1 ? 'close' : '220 relay') }],
      ['no login', { AUTH: (count: number) => (count === 1 ? '454 later' : '235 ok') }],
    ])('%s: queued, and delivered later under the Message-ID it always had', async (_title, script) => {
      let now = Date.now()
      const { app, mails } = await service({ script, pump: { everyMs: 20 }, now: () => now })
      const first = await askMail(app, signToken())
      expect(first).toMatchObject({ status: 202, code: 'queued' })
      expect(await mails()).toEqual([])
      now += 11_000
      await expect.poll(async () => (await mails()).length).toBe(1)
      await expect
        .poll(() => askMail(app, signToken()))
        .toMatchObject({ status: 200, code: 'sent', id: first.id })
    })

    it('a mail of unknown fate comes again under the same Message-ID', async () => {
      let now = Date.now()
      const { app, relay, mails } = await service({
        script: {
          dot: (count) => (count === 1 ? '250-half an answer' : '250 ok'),
        },
        pump: { everyMs: 20 },
        now: () => now,
      })
      const asked = askMail(app, signToken())
      await expect.poll(() => relay.mails.length).toBe(1)
      relay.hangUp()
      expect(await asked).toMatchObject({ status: 202, code: 'queued' })
      now += 11_000
      await expect.poll(() => relay.mails.length).toBe(2)
      const [first, second] = await mails()
      expect(first?.messageId).toMatch(/^<[\w-]+@mail\.example\.com>$/)
      expect(second?.messageId).toBe(first?.messageId)
    })

    it('a link that is dead on arrival is no mail', async () => {
      const { app, relay } = await service()
      expect(await askMail(app, linkEnding(Date.now() - 1_000))).toMatchObject({
        status: 502,
        code: 'expired',
      })
      expect(relay.commands).toEqual([])
      expect(await store.rows('select id from outbox_mail')).toEqual([])
    })

    it('a mail whose link runs out while it waits is given up, and the caller can see that', async () => {
      let now = Date.now()
      const { app, relay } = await service({
        script: { RCPT: () => '450 later' },
        pump: { everyMs: 20 },
        now: () => now,
      })
      const { id } = await askMail(app, linkEnding(now + hourMs))
      const tries = relay.commands.filter((line) => line.startsWith('RCPT')).length
      now += hourMs
      await expect
        .poll(() => askDelivery(app, id))
        .toMatchObject({ state: 'dead', detail: 'expired', attempts: 1 })
      expect(relay.commands.filter((line) => line.startsWith('RCPT'))).toHaveLength(tries)
    })

    it('a mail without a link of its own is given up after a day', async () => {
      let now = Date.now()
      const { app } = await service({
        script: { RCPT: () => '450 later' },
        pump: { everyMs: 20 },
        now: () => now,
      })
      const { id } = await askMail(app, signToken())
      now += dayMs - 1_000
      await expect.poll(() => askDelivery(app, id)).toMatchObject({ state: 'queued', attempts: 2 })
      now += 1_000
      await expect.poll(() => askDelivery(app, id)).toMatchObject({ state: 'dead', detail: 'expired' })
      expect(await askMail(app, signToken())).toMatchObject({ status: 202, code: 'queued' })
    })
  })

  describe('what is written down', () => {
    it('is of no use to whoever reads the store', async () => {
      const claims = sampleClaims({ user_name: 'NAMEMARKER', user_email: 'eva.marker@example.com' })
      const waiting = signToken({ ...claims, jti: 'waiting' })
      const sent = signToken({ ...claims, jti: 'sent' })
      const { app } = await service({
        script: { RCPT: (count) => (count === 1 ? '450 eva.marker@example.com later' : '250 ok') },
        limits: { recipient: { max: 30, windowMs: hourMs } },
      })
      expect(await askMail(app, waiting)).toMatchObject({ code: 'queued' })
      expect(await askMail(app, sent)).toMatchObject({ code: 'sent' })
      const content = await store.content()
      expect(content).toContain('confirmation')
      const leaks = [...Object.values(claims), waiting, sent, ...waiting.split('.'), ...sent.split('.')].map(
        String,
      )
      for (const leak of [...leaks, 'eva.marker', 'app.example.com', secret]) {
        for (const spelling of [leak, leak.toLowerCase(), ...encoded(leak)])
          expect(content).not.toContain(spelling)
      }
    })

    it('holds the token only while the mail is unsent', async () => {
      const { app } = await service({ script: { RCPT: (count) => (count === 1 ? '450 later' : '250 ok') } })
      await askMail(app, signToken(sampleClaims({ jti: 'waiting' })))
      await askMail(app, signToken(sampleClaims({ jti: 'sent' })))
      await expect
        .poll(() => store.rows('select state, body is null as forgotten from outbox_mail order by state'))
        .toEqual([
          { state: 'queued', forgotten: expect.toSatisfy((value) => !value) },
          { state: 'sent', forgotten: expect.toSatisfy(Boolean) },
        ])
    })

    it('opens after the secret was rotated, and with the old secret only while that is configured', async () => {
      const [begun, minutes] = [Date.now(), (n: number) => () => begun + n * minuteMs]
      const [old, current] = [
        'the old secret, quite long enough for HMAC',
        'the new secret, quite long enough too',
      ]
      const before = await service({ secrets: [old], script: { RCPT: () => '450 later' } })
      const { id } = await askMail(before.app, signToken(sampleClaims(), old))
      const forgetful = await service({ secrets: [current], pump: { everyMs: 20 }, now: minutes(1) })
      await expect
        .poll(() => askDelivery(forgetful.app, id, signToken({}, current)))
        .toMatchObject({ state: 'queued', detail: 'unreadable' })
      await expect.poll(forgetful.log).toContain('none of the secrets opens a stored mail')
      const rotated = await service({ secrets: [current, old], pump: { everyMs: 20 }, now: minutes(2) })
      await expect
        .poll(() => askDelivery(rotated.app, id, signToken({}, current)))
        .toMatchObject({ state: 'sent' })
      expect(rotated.relay.mails).toHaveLength(1)
    })
  })

  describe('GET /deliveries/:id', () => {
    it('tells the app what became of its mail, and nothing that identifies the recipient', async () => {
      const { app } = await service({ script: { RCPT: (count) => (count === 1 ? '550 no' : '250 ok') } })
      const refused = signToken(sampleClaims({ jti: 'refused' }))
      expect(await askMail(app, refused)).toMatchObject({ code: 'refused' })
      const { id } = await askMail(app, signToken())
      await expect
        .poll(() => askDelivery(app, id))
        .toEqual({
          error: 0,
          msg: 'Ok',
          code: 'sent',
          id,
          app: 'default',
          kind: 'confirmation',
          state: 'sent',
          attempts: 1,
          detail: 'accepted',
          relay: 'test',
          created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          done: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
          expires: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        })
      const dead = await store.rows(`select id from outbox_mail where state = 'dead'`)
      expect(await askDelivery(app, String(dead[0]?.['id']))).toMatchObject({
        state: 'dead',
        detail: 'recipient',
      })
    })

    it('says sending while it is', async () => {
      const later = Promise.withResolvers<string>()
      const { app } = await service({ script: { dot: () => later.promise }, deliver: { inlineMs: 50 } })
      const { id } = await askMail(app, signToken())
      expect(await askDelivery(app, id)).toMatchObject({ state: 'sending', attempts: 1, done: null })
      later.resolve('451 later')
      await expect
        .poll(() => askDelivery(app, id))
        .toMatchObject({ state: 'queued', detail: 'message', attempts: 1 })
    })

    it.each([
      ['no token', {}, 401, 'token_malformed'],
      ['another scheme', { authorization: `Basic ${signToken({})}` }, 401, 'token_malformed'],
      ['garbage', { authorization: 'Bearer garbage' }, 401, 'token_malformed'],
      [
        'a stranger’s token',
        { authorization: `Bearer ${signToken({}, 'a stranger')}` },
        401,
        'token_signature',
      ],
      ['a token out of time', { authorization: `Bearer ${signToken({ exp: 1_000 })}` }, 401, 'token_expired'],
    ])('with %s is refused, whether there is such a mail or not', async (_title, headers, status, code) => {
      const { app } = await service()
      const { id } = await askMail(app, signToken())
      for (const url of [`/deliveries/${id}`, '/deliveries/none']) {
        const response = await app.inject({ url, headers })
        expect(response.statusCode).toBe(status)
        expect(response.json()).toMatchObject({ error: 1, code })
      }
    })

    it('knows nothing of other apps’ mails, of mails there are not, and of names that are none', async () => {
      const own = 'the own secret of one app, long enough'
      const { app } = await service({ mailsDir: variance, appSecrets: { blog: own } })
      const { id } = await askMail(app, signToken(sampleClaims(), own), '/emailservice-blog/signup')
      await expect
        .poll(() => askDelivery(app, id, signToken({}, own)))
        .toMatchObject({ state: 'sent', app: 'blog' })
      expect(await askDelivery(app, 'none', signToken({}, own))).toMatchObject({
        error: 1,
        code: 'not_found',
      })
      const shared = `Bearer ${signToken({})}`
      for (const other of [id, 'none', `${id}x`, '%00', 'a'.repeat(65), '..%2f']) {
        const response = await app.inject({ url: `/deliveries/${other}`, headers: { authorization: shared } })
        expect(response.statusCode).toBe(404)
        expect(response.json()).toEqual({ error: 1, msg: 'Not found', code: 'not_found' })
      }
    })
  })
})

/** Counts the accepts that the stores have answered. */
function countAccepts() {
  let count = 0
  const at = (engine: Engine): Engine => ({
    ...engine,
    async run(operations) {
      const results = await engine.run(operations)
      count += operations.filter(({ op }) => op === 'accept').length
      return results
    },
  })
  return { count: () => count, at }
}

/** Every spelling of the last signature character, and the alphabets and paddings some decoders let pass. */
function otherSpellings(token: string): string[] {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = token.at(-1) ?? ''
  const lastCharacters = alphabet
    .split('')
    .filter((one) => one !== last)
    .map((one) => token.slice(0, -1) + one)
  const [head = '', payload = '', signature = ''] = token.split('.')
  const plain = signature.replaceAll('-', '+').replaceAll('_', '/')
  return [
    ...lastCharacters,
    `${token}=`,
    `${token}==`,
    `${head}.${payload}.${plain}`,
    `${token}A`,
    `${token} `,
    `${token}\n`,
  ]
}

function linkEnding(at: number): string {
  const link = jwt.sign({ uid: 7, exp: Math.floor(at / 1000) }, 'known to the caller alone', {
    noTimestamp: true,
  })
  return signToken(sampleClaims({ email_link_token: link }))
}

/** The ways in which a text could still be read, or an address be guessed. */
function encoded(text: string): string[] {
  const bytes = Buffer.from(text)
  const hashes = (['md5', 'sha1', 'sha256'] as const).flatMap((name) => {
    const hash = createHash(name).update(bytes).digest()
    return [hash.toString('hex'), hash.toString('base64url')]
  })
  return [bytes.toString('hex'), bytes.toString('base64').slice(0, -4), ...hashes].filter(
    ({ length }) => length > 6,
  )
}

/** All are the same, but that every one except the first says that it repeats. */
function expectOneAnswer(answers: readonly string[]): void {
  const repeated = ',"repeated":true'
  expect([...new Set(answers.map((answer) => answer.replace(repeated, '')))]).toHaveLength(1)
  expect(answers.filter((answer) => !answer.includes(repeated))).toHaveLength(1)
}
