/** What every source of feedback promises, whatever relay reports. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Feedback, feedbackFacts, feedbackWords } from '../../src/feedback.ts'
import { MailerError } from '../../src/errors.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { type TestApp, type TestAppOptions, testApp } from '../support/app.ts'
import { type ReportingSystem, reportingSystems, type SignedReport } from '../support/reports.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const systems = reportingSystems.map((system) => ({ ...system, relay: system.settings.relay }))

async function serviceFor({ settings, source }: ReportingSystem, options: TestAppOptions = {}) {
  const service = await testApp({
    ...options,
    routes: { feedback: [settings] },
    feedback: source && { sources: { [settings.relay]: source } },
  })
  const post = async ({ headers, body }: SignedReport) => {
    const url = `/feedback/${settings.relay}`
    const answer = await service.app.inject({ method: 'POST', url, headers, payload: body })
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: answer.json<Record<string, unknown>>(),
    }
  }
  return { ...service, post, ...mailsOf(service) }
}

function mailsOf({ app, relay }: TestApp) {
  let count = 0
  /** Sends a mail. Its `messageId` is what travelled with it. */
  async function send(): Promise<{ id: string; messageId: string }> {
    const token = signToken(sampleClaims({ jti: `mail ${(count += 1)}` }))
    const { id } = (await app.inject({ url: `/emailservice/${token}` })).json<{ id: string }>()
    const [, messageId = ''] = /^Message-ID: <([^@]+)@/im.exec(relay.mails.at(-1)?.source ?? '') ?? []
    return { id, messageId }
  }
  async function statusOf(id: string) {
    const headers = { authorization: `Bearer ${signToken()}` }
    const { state, feedback, bounce } = (await app.inject({ url: `/deliveries/${id}`, headers })).json<
      Record<string, unknown>
    >()
    return { state, feedback, bounce }
  }
  return { send, statusOf }
}

// few tests, because each of them starts a service
describe.each(systems)('feedback of $relay', (system) => {
  const { sign, event, others, settings } = system

  it('is noted at the mail whose id travelled along; the most severe stands, in any order, however often', async () => {
    const { post, send, statusOf, log } = await serviceFor(system)
    for (const word of feedbackWords) {
      const { id, messageId } = await send()
      expect((await statusOf(id)).feedback).toBeUndefined()
      const report = sign([event(word, messageId)])
      expect(await post(report)).toMatchObject({ status: 200, body: { error: 0, code: 'noted' } })
      expect(await post(report)).toMatchObject({ status: 200 })
      expect(await statusOf(id)).toEqual({ state: 'sent', bounce: undefined, ...feedbackFacts(word) })
    }
    const words: Feedback[] = ['bounced_hard', 'delivered', 'delayed', 'bounced_hard']
    for (const order of [words, words.toReversed()]) {
      const { id, messageId } = await send()
      for (const word of order) await post(sign([event(word, messageId)]))
      expect(await statusOf(id)).toMatchObject({ feedback: 'bounced', bounce: 'hard' })
    }
    for (const secret of ['ada@', ...settings.proofs]) expect(log()).not.toContain(secret)
    expect(log()).toContain('the relay reports trouble with a mail')
  })

  it('is answered 2xx where it is of no concern or cannot be read, and loses no neighbour', async () => {
    const { post, send, statusOf, logLines } = await serviceFor(system)
    const { id, messageId } = await send()
    const strange = [
      null,
      1,
      'Successfully validated SNS topic for Amazon SES event publishing.',
      [],
      {},
      [[{}]],
    ]
    const unknown = event('bounced_hard', `${'x'.repeat(32)}-mf1x2k3`)
    const bad = [...others, unknown, event('delivered', 'not ours'), ...strange]
    for (const item of bad) expect(await post(sign([item]))).toMatchObject({ status: 200 })
    expect(await statusOf(id)).toEqual({ state: 'sent', feedback: undefined, bounce: undefined })
    const batch = [...bad, event('complained', messageId), ...bad]
    expect(await post(sign(system.batches ? batch : [event('complained', messageId)]))).toMatchObject({
      status: 200,
    })
    expect(await statusOf(id)).toMatchObject({ feedback: 'complained' })
    expect(logLines().filter(({ bug }) => bug !== undefined)).toEqual([])
  })

  it('is refused when it is forged, altered, stale, of the future, or too large', async () => {
    const { post, send, statusOf } = await serviceFor(system)
    const { id, messageId } = await send()
    const bounce = [event('bounced_hard', messageId)]
    const report = sign(bounce)
    const at = (ms: number) => sign(bounce, false, new Date(Date.now() + ms))
    const spoiled: [string, SignedReport, boolean?][] = [
      ['forged', sign(bounce, true)],
      ['without headers', { ...report, headers: {} }, system.bound !== 'body'],
      ['with empty headers', mapped(report, () => ''), system.bound !== 'body'],
      ['with strange headers', mapped(report, () => 'v1,AAAA Basic é:'), system.bound !== 'body'],
      ['with long headers', mapped(report, () => 'AAAA'.repeat(1_000)), system.bound !== 'body'],
      ['cut short', { ...report, body: report.body.slice(0, -9) }, system.bound !== 'login'],
      ['without a body', { ...report, body: '' }, system.bound !== 'login'],
      ['written anew', reserialised(report), system.bound === 'bytes'],
      ['with another word', { ...report, body: report.body.replace(/ounce/, 'elive') }, system.coversWords],
      ['stale', at(-(system.goodForMs ?? 0) - 5_000), system.goodForMs !== undefined],
      ['of the future', at(310_000), system.goodForMs !== undefined],
    ]
    for (const [title, spoil, isBound = true] of spoiled)
      if (isBound)
        expect([title, await post(spoil)]).toMatchObject([
          title,
          { status: 401, body: { code: 'token_signature' } },
        ])
    const large = { ...report, body: report.body + ' '.repeat(1024 * 1024) }
    expect(await post(large)).toMatchObject({ status: 413 })
    expect((await statusOf(id)).feedback).toBeUndefined()
    expect(await post(at(-(system.goodForMs ?? 60_000) + 60_000))).toMatchObject({ status: 200 })
    expect((await statusOf(id)).feedback).toBe('bounced')
  })

  it('is answered 503 while the store is down, and taken when the relay repeats it', async () => {
    let down = false
    const { post, send, statusOf } = await serviceFor(system, { engine: breakable(() => down) })
    const { id, messageId } = await send()
    await expect.poll(async () => (await statusOf(id)).state).toBe('sent')
    const report = sign([event('bounced_soft', messageId)])
    down = true
    expect(await post(report)).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })
    down = false
    await expect.poll(async () => (await post(report)).status).toBe(200)
    expect(await statusOf(id)).toMatchObject({ feedback: 'bounced', bounce: 'soft' })
  })
})

it('has no route where no relay is configured', async () => {
  const { app } = await testApp()
  for (const { settings } of reportingSystems)
    expect(
      (await app.inject({ method: 'POST', url: `/feedback/${settings.relay}`, payload: '{}' })).statusCode,
    ).toBe(404)
})

function mapped({ headers, body }: SignedReport, change: (value: string) => string): SignedReport {
  return {
    body,
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, name === 'content-type' ? value : change(value)]),
    ),
  }
}

/** The same JSON, but not the same bytes. */
function reserialised({ headers, body }: SignedReport): SignedReport {
  return { headers, body: JSON.stringify(JSON.parse(body), null, 1) }
}

function breakable(isDown: () => boolean): Engine {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-feedback-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const engine = sqliteEngine({ path: join(folder, 'outbox.sqlite') })
  const check = () => {
    if (isDown()) throw new MailerError('store_unavailable', { reason: 'down' })
  }
  return {
    ...engine,
    probe: async () => {
      check()
      await engine.probe()
    },
    open: async () => {
      check()
      await engine.open()
    },
    run: async (operations) => {
      check()
      return engine.run(operations)
    },
  }
}
