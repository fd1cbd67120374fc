/** The operator's page, as its JSON: the service in front of each database. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { adviceOnStore } from '../../../src/advice.ts'
import { adminGate } from '../../../src/http/admin-gate.ts'
import type { Overview } from '../../../src/http/overview.ts'
import type { Outbox } from '../../../src/outbox/api.ts'
import { sqliteEngine } from '../../../src/outbox/store/sqlite.ts'
import { mail, open, own, query, type Store, stores } from '../../outbox/stores.ts'
import { testApp, type TestApp, type TestAppOptions } from '../../support/app.ts'
import { sampleClaims, secret, signToken } from '../../support/tokens.ts'

const token = 'an admin token nobody guesses'
const bearer = { authorization: `Bearer ${token}` }
const address = 'grace.hopper@example.org'
const hourMs = 3_600_000
/** In the middle of this hour, so that nothing is counted in the next one. */
const halfPast = (Math.floor(Date.now() / hourMs) + 0.5) * hourMs
const now = () => halfPast

const served = (options: TestAppOptions = {}, write = true) =>
  testApp({ admin: { token, write }, suppression: 'app', ...options })
const post = ({ app }: TestApp, path: string, payload: object, headers: Record<string, string> = bearer) =>
  app.inject({ method: 'POST', url: `/admin/${path}`, headers, payload })
const overviewOf = async ({ app }: TestApp) =>
  (await app.inject({ url: '/admin/overview', headers: bearer })).json<Overview & { write: boolean }>()
const idsOf = (answer: Awaited<ReturnType<typeof post>>) =>
  answer.json<{ mails: { id: string }[] }>().mails.map(({ id }) => id)

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`on ${name}`, () => {
    let first: Store
    let store: Store
    beforeAll(async () => {
      first = await start()
    })
    afterAll(() => first.close())
    beforeEach(async () => {
      store = await first.another()
    })

    /** What another replica of the service has put there. */
    async function filled(work: (outbox: Outbox) => Promise<unknown>, clock = Date.now) {
      const outbox = await open(store, { secrets: [secret], suppression: 'app', clock })
      await work(outbox)
      await outbox.close()
    }
    async function fill(outbox: Outbox) {
      await own(outbox, mail('sending', { recipient: address }))
      const later = { state: 'queued', detail: 'connect', waitMs: 60_000 } as const
      await outbox.settle(await own(outbox, mail('queued', { recipient: address })), later)
      await outbox.settle(await own(outbox, mail('other', { app: 'shop' })), later)
      for (const id of ['dead1', 'dead2'])
        await outbox.settle(await own(outbox, mail(id)), { state: 'dead', detail: 'recipient' })
      await outbox.suppress([{ address, app: 'shop', reason: 'added' }])
    }

    test('mails are found by app, reason and address, with a sentence and what suppresses the address', async () => {
      await filled(fill)
      const service = await served({ engine: store.engine() })
      const waiting = await post(service, 'mails', { state: 'waiting', app: 'shop', reason: 'connect' })
      expect(waiting.json()).toMatchObject({
        mails: [
          {
            id: 'other',
            app: 'shop',
            state: 'queued',
            reason: 'connect',
            sentence: expect.stringContaining('cannot be reached'),
            attempts: 1,
            relay: null,
          },
        ],
        next: null,
      })
      expect(waiting.json()).not.toHaveProperty('suppressed')
      const ofAddress = await post(service, 'mails', {
        state: 'waiting',
        address: ` ${address.toUpperCase()}`,
      })
      expect(idsOf(ofAddress)).toEqual(['sending', 'queued'])
      const { suppressed } = ofAddress.json()
      expect(suppressed).toMatchObject([{ app: 'shop', reason: 'added', times: 1 }])
      expect((await service.app.inject({ url: '/admin/suppressed', headers: bearer })).json()).toEqual({
        entries: suppressed,
      })
      const firstDead = await post(service, 'mails', { state: 'dead', limit: 1 })
      const { next: after } = firstDead.json()
      const secondDead = await post(service, 'mails', { state: 'dead', limit: 1, after })
      expect([...idsOf(firstDead), ...idsOf(secondDead)].toSorted()).toEqual(['dead1', 'dead2'])
      expect(secondDead.json()).toMatchObject({ next: null })
      expect(await overviewOf(service)).toMatchObject({
        outbox: { sending: 1, queued: 2, dead: 2, oldest: expect.any(Number) },
        suppression: 'app',
        write: true,
      })
      for (const text of [service.log(), ofAddress.body]) expect(text.toLowerCase()).not.toContain('hopper')
    })

    test('changes are made, counted, and each is one line of the log', async () => {
      await filled(fill, now)
      const service = await served({ engine: store.engine(), now })
      const counts = async (path: string, payload: object) => (await post(service, path, payload)).json()
      expect(await counts('give-up', { id: 'queued' })).toEqual({ count: 1 })
      expect(await counts('give-up', { id: 'sending' })).toEqual({ count: 0 })
      const given = await post(service, 'mails', { state: 'dead', id: 'queued' })
      expect(given.json()).toMatchObject({
        mails: [{ reason: 'given_up', sentence: 'An operator has given it up.' }],
      })
      expect(await counts('requeue', { id: 'dead1' })).toEqual({ count: 1 })
      expect(await counts('requeue', { id: address })).toEqual({ count: 0 })
      expect(await counts('requeue', { all: true, diedBy: 1 })).toEqual({ count: 0, next: null })
      expect(await counts('requeue', { all: true })).toEqual({ count: 2, next: null })
      expect(idsOf(await post(service, 'mails', { state: 'dead' }))).toEqual([])
      const { entries } = (await service.app.inject({ url: '/admin/suppressed', headers: bearer })).json()
      const [{ name: hidden }] = entries
      expect(await counts('lift', { name: hidden, app: 'default' })).toEqual({ count: 0 })
      expect(await counts('lift', { name: hidden, app: 'shop' })).toEqual({ count: 1 })
      const lines = service.logLines().filter(({ msg }) => msg === 'changed by an operator')
      expect(lines.map(({ verb, count, id, app }) => [verb, count, id, app])).toEqual([
        ['give_up', 1, 'queued', undefined],
        ['give_up', 0, undefined, undefined],
        ['requeue', 1, 'dead1', undefined],
        ['requeue', 0, undefined, undefined],
        ['requeue_all', 0, undefined, undefined],
        ['requeue_all', 2, undefined, undefined],
        ['lift', 0, undefined, 'default'],
        ['lift', 1, undefined, 'shop'],
      ])
      expect(service.log()).not.toContain('hopper')
      expect((await overviewOf(service)).hours.at(-1)).toMatchObject({ dead: 1 })
    })

    test('counters of two replicas add up, with refusals by reason and what to do', async () => {
      const [one, other] = [
        await served({ engine: store.engine(), now }),
        await served({ engine: store.engine(), now, script: { RCPT: () => '550 5.1.1 no such user' } }),
      ]
      const send = ({ app }: TestApp, jti: string, key = secret) =>
        app.inject({
          method: 'POST',
          url: '/emailservice',
          payload: { token: signToken(sampleClaims({ jti }), key) },
        })
      for (const jti of ['a', 'b']) expect((await send(one, jti)).statusCode).toBe(200)
      expect((await send(other, 'c')).statusCode).toBe(502)
      for (const jti of ['d', 'e']) await send(other, jti, 'x'.repeat(32))
      await one.app.inject('/emailservice/none')
      await one.app.inject('/nowhere')
      await overviewOf(one)
      const { hours, refusals, relays } = await overviewOf(other)
      expect(hours).toHaveLength(24)
      expect(hours.map(({ hour }) => hour % hourMs)).toEqual(Array(24).fill(0))
      expect(hours.at(-1)).toMatchObject({ accepted: 3, sent: 2, dead: 1, refused: 4 })
      expect(refusals).toMatchObject(
        [
          { code: 'token_signature', reason: 'invalid signature', n: 2, sentence: /secret/ },
          { code: 'refused', reason: 'recipient', n: 1 },
          { code: 'token_malformed', n: 1 },
        ].map(({ sentence, ...refusal }) => ({
          ...refusal,
          at: expect.any(Number),
          sentence: sentence ? expect.stringMatching(sentence) : expect.any(String),
        })),
      )
      // a mistyped address is no trouble with the relay
      expect(relays).toEqual([{ name: 'test', state: 'closed', trouble: null, sentAt: null }])
      expect((await overviewOf(one)).relays).toMatchObject([{ trouble: null, sentAt: expect.any(Number) }])
    })

    test('rows that another hand has edited are shown as far as they can be read', async () => {
      await filled(fill)
      const text = `'<script>' || ${name === 'SQLite' ? "replace(hex(zeroblob(5000)), '00', 'x')" : "repeat('x', 5000)"}`
      await query(
        store.address,
        `update outbox_mail set app = ${text}, kind = '\u202e', detail = 'constructor', relay = ${text},
          created = -7, expires = 8999999999999999, attempts = -1 where id = 'dead1'`,
      )
      await query(store.address, `update outbox_mail set due = 8999999999999999 where id = 'dead2'`)
      await query(
        store.address,
        `insert into outbox_hour (hour, name, n, at) values
          (${Math.floor(Date.now() / hourMs) * hourMs}, 'refused:constructor:x', 1, 1),
          (${Math.floor(Date.now() / hourMs) * hourMs}, 'refused:expired:<b>', 1, 1)`,
      )
      const service = await served({ engine: store.engine() })
      const pages = []
      for (let after: string | null | undefined; after !== null && pages.length < 9; ) {
        const page = await post(service, 'mails', { state: 'dead', limit: 1, ...(after && { after }) })
        expect(page.statusCode).toBe(200)
        pages.push(...page.json().mails)
        after = page.json().next
      }
      expect(pages.map(({ id }) => id)).toEqual(['dead2', 'dead1'])
      expect(pages[1]).toMatchObject({
        reason: 'constructor',
        sentence: null,
        created: 0,
        attempts: 0,
        app: expect.stringMatching(/^<script>x{192}$/),
      })
      expect((await overviewOf(service)).refusals).toEqual([])
    })
  })

describe('without a right', () => {
  const paths = ['overview', 'suppressed'] as const
  const verbs = {
    mails: { state: 'dead' },
    requeue: { all: true },
    'give-up': { id: 'a' },
    lift: {},
  } as const

  test('to see anything, the page is the login and the rest is 401', async () => {
    const service = await served()
    const page = await service.app.inject('/admin')
    expect(page.statusCode).toBe(401)
    expect(page.body).toContain('data-login="admin/login"')
    expect(page.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
    })
    for (const path of paths) expect((await service.app.inject(`/admin/${path}`)).statusCode).toBe(401)
    for (const [path, payload] of Object.entries(verbs))
      expect((await post(service, path, payload, {})).statusCode).toBe(401)
    expect((await testApp().then(({ app }) => app.inject('/admin'))).statusCode).toBe(404)
  })

  test('a login opens it, as one at the previews would', async () => {
    const service = await served()
    const answer = await post(service, 'login', { token }, {})
    expect(answer.statusCode).toBe(204)
    const cookies = [answer.headers['set-cookie']].flat().map(String)
    expect(cookies.map((cookie) => /Path=(\S+);/.exec(cookie)?.[1])).toEqual(['/preview', '/admin'])
    const headers = { cookie: cookies[1]!.split(';')[0]! }
    const page = await service.app.inject({ url: '/admin', headers })
    expect(page.statusCode).toBe(200)
    expect(page.headers['content-security-policy']).toMatch(/default-src 'none'; script-src 'sha256-/)
    expect(adminGate(token).isOpen(Object.assign({}, { headers, ip: '' }) as never)).toBe(true)
  })

  test('to change anything, it says how to get it, and reading goes on', async () => {
    const service = await served({}, false)
    for (const path of ['requeue', 'give-up', 'lift'] as const) {
      const answer = await post(service, path, verbs[path])
      expect(answer.statusCode).toBe(403)
      expect(answer.json()).toEqual({
        error: 1,
        msg: 'Read only',
        code: 'read_only',
        hint: 'Set ADMIN_WRITE=on to allow changes here.',
      })
    }
    expect((await post(service, 'mails', verbs.mails)).statusCode).toBe(200)
    expect((await overviewOf(service)).write).toBe(false)
  })

  test('a page of another site changes nothing', async () => {
    const service = await served()
    for (const from of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ])
      for (const [path, payload] of Object.entries({ ...verbs, login: { token }, logout: {} })) {
        const answer = await post(service, path, payload, { ...bearer, ...from })
        expect(answer.statusCode).toBe(400)
        expect(answer.headers['set-cookie']).toBeUndefined()
      }
  })
})

test('what is asked for wrongly is refused, and no value of it is logged', async () => {
  const service = await served()
  const wrong = {
    mails: [
      {},
      { state: 'sent' },
      { state: 'dead', limit: 0 },
      { state: 'dead', limit: 201 },
      { state: 'dead', limit: '50' },
      { state: 'dead', app: 'x'.repeat(201) },
      { state: 'dead', address: 'hopper' },
      { state: 'dead', address: `hopper <${address}>` },
      { state: 'dead', after: 'hopper' },
      { state: 'dead', hopper: 1 },
    ],
    requeue: [
      {},
      { all: false },
      { all: true, diedBy: '1' },
      { id: 'a', diedBy: 1 },
      { id: 7 },
      { id: 'a', all: true },
    ],
    'give-up': [{}, { id: '' }, { all: true }],
    lift: [{ name: address, app: '*' }, { name: 'a' }, { name: 'a', app: 'Hopper!' }],
  }
  for (const [path, bodies] of Object.entries(wrong))
    for (const body of bodies) {
      const answer = await post(service, path, body)
      expect([path, body, answer.statusCode]).toEqual([path, body, 400])
      expect(answer.body).not.toMatch(/hopper/i)
    }
  expect((await post(service, 'mails', { state: 'dead', address: 'x'.repeat(20_000) })).statusCode).toBe(413)
  expect(service.log()).not.toMatch(/hopper/i)
})

test('while the store is away, the page says so and shows what is known without it', async () => {
  const service = await served({ engine: sqliteEngine({ path: '/dev/null/outbox.sqlite' }) })
  const overview = await overviewOf(service)
  expect(overview).toMatchObject({
    outbox: null,
    hours: [],
    refusals: [],
    relays: [{ name: 'test', state: 'closed' }],
    store: { engine: 'sqlite', trouble: { reason: expect.any(String), sentence: expect.any(String) } },
  })
  expect((await post(service, 'mails', { state: 'dead' })).json()).toMatchObject({
    code: 'store_unavailable',
  })
  expect((await post(service, 'requeue', { all: true })).statusCode).toBe(503)
  expect(adviceOnStore('ECONNREFUSED')).toMatch('is it running')
})
