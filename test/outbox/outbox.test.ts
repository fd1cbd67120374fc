import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { windowMs } from '../../src/outbox/mail-id.ts'
import type { Outbox } from '../../src/outbox/api.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import {
  countAll,
  mail,
  open,
  type OpenOptions,
  own,
  sent,
  type Store,
  stores,
  token,
  query,
} from './stores.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`the outbox on ${name}`, () => {
    let server: Store
    let store: Store
    let outbox: Outbox
    let now: number
    const opened: Outbox[] = []

    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())
    beforeEach(async () => {
      now = 1_800_000_000_000
      store = await server.another()
      outbox = await replica()
    })
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((one) => one.close()))
    })

    const leaseIds = async (limit: number) => (await outbox.leaseDue(limit)).map(({ id }) => id)

    /** Another process of the service on the same store, as far as the store can tell. */
    async function replica({ engine, ...options }: OpenOptions & { engine?: Engine } = {}): Promise<Outbox> {
      const place = engine === undefined ? store : { engine: () => engine }
      const opening = await open(place, { clock: () => now, random: () => 1, ...options })
      opened.push(opening)
      return opening
    }
    const at = (id: string, over = {}) => mail(id, over, now)

    describe('accepting', () => {
      test('a new mail is stored and leased to the request that brought it', async () => {
        const accepted = await outbox.accept(at('a'))
        expect(accepted).toMatchObject({
          state: 'owner',
          lease: { id: 'a', attempts: 1, expires: now + dayMs },
        })
        expect(await outbox.find('a')).toMatchObject({
          state: 'sending',
          attempts: 1,
          due: now + minuteMs,
          created: now,
        })
      })

      test('the same mail accepted twenty times at once, by two replicas, has one owner', async () => {
        const other = await replica()
        const accepted = await Promise.all(
          Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? outbox : other).accept(at('a'))),
        )
        expect(accepted.filter(({ state }) => state === 'owner')).toHaveLength(1)
        expect(
          accepted.filter((one) => one.state === 'existing' && one.mail.state === 'sending'),
        ).toHaveLength(19)
      })

      test('a repeat after it was sent finds it sent, until its window is over', async () => {
        await outbox.settle(await own(outbox, at('a', { windowMs: 5 * minuteMs })), sent)
        now += 5 * minuteMs - 1
        expect(await outbox.accept(at('a'))).toMatchObject({
          state: 'existing',
          mail: { state: 'sent', relay: 'smtp' },
        })
        now += 1
        expect(await outbox.accept(at('a'))).toMatchObject({ state: 'owner', lease: { attempts: 1 } })
        expect(await outbox.find('a')).toMatchObject({ state: 'sending', done: null, created: now })
      })

      test('a repeat while it waits for its next try finds it queued, however long that takes', async () => {
        const lease = await own(outbox, at('a', { windowMs: 5 * minuteMs }))
        await outbox.settle(lease, { state: 'queued', detail: 'connect' })
        now += hourMs
        expect(await outbox.accept(at('a'))).toMatchObject({ state: 'existing', mail: { state: 'queued' } })
      })

      test('a mail that was refused for good is tried afresh when it comes again', async () => {
        await outbox.settle(await own(outbox, at('a')), { state: 'dead', detail: '550' })
        const repeats = await Promise.all([outbox.accept(at('a')), outbox.accept(at('a'))])
        expect(repeats.map(({ state }) => state)).toEqual(['owner', 'existing'])
        expect(await outbox.find('a')).toMatchObject({
          state: 'sending',
          attempts: 1,
          detail: null,
          done: null,
        })
      })

      test('twenty repeats of a dead mail on two replicas have one owner', async () => {
        const other = await replica()
        await outbox.settle(await own(outbox, at('a')), { state: 'dead', detail: '550' })
        const accepted = await Promise.all(
          Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? outbox : other).accept(at('a'))),
        )
        expect(accepted.filter(({ state }) => state === 'owner')).toHaveLength(1)
      })

      test('three hundred different mails at once are all accepted', async () => {
        const accepted = await Promise.all(Array.from({ length: 300 }, (_, n) => outbox.accept(at(`m${n}`))))
        expect(accepted.every(({ state }) => state === 'owner')).toBe(true)
        expect(await countAll(outbox)).toEqual({ sending: 300, queued: 0, sent: 0, dead: 0, oldest: now })
      })

      test('three replicas that repeat and settle the same mails all at once never lock each other out', async () => {
        const limits = {
          app: { max: 1_000_000, windowMs: hourMs },
          recipient: { max: 1_000_000, windowMs: hourMs },
        }
        const replicas = await Promise.all([1, 2, 3].map(() => replica({ limits, clock: Date.now })))
        const ends = [
          sent,
          { state: 'dead', detail: '550' },
          { state: 'queued', detail: '451', waitMs: 5 },
        ] as const
        const settled: Promise<unknown>[] = []
        const work = async (one: Outbox, from: number) => {
          for (let n = from; n < from + 40; n += 1) {
            const accepted = await one.accept(
              mail(`m${(n * 7) % 60}`, { windowMs: 20, recipient: `r${n % 3}@example.org` }),
            )
            if (accepted.state === 'owner') settled.push(one.settle(accepted.lease, ends[n % 3] ?? sent))
            if (n % 10 === 0) for (const due of await one.leaseDue(10)) settled.push(one.settle(due, sent))
          }
        }
        await Promise.all(replicas.flatMap((one) => Array.from({ length: 16 }, (_, n) => work(one, n))))
        await Promise.all(settled)
        expect(replicas.map((one) => one.trouble())).toEqual([undefined, undefined, undefined])
        expect(await deadlocks(store)).toBe(0)
      })

      test('a mail the store cannot take fails alone, those beside it are stored', async () => {
        const accepted = await Promise.allSettled(
          ['a', 'b', 'c'].map((id) => outbox.accept(at(id, id === 'b' ? { windowMs: Number.NaN } : {}))),
        )
        expect(accepted.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
        expect(await countAll(outbox)).toMatchObject({ sending: 2 })
        expect(outbox.trouble()).toBeUndefined()
      })

      describe('when the mail that has the id is deleted meanwhile', () => {
        test('the mail is accepted in a second turn', async () => {
          const replacing = await replica({ engine: goneFor(1, store.engine()) })
          expect(await replacing.accept(at('a'))).toMatchObject({ state: 'owner' })
        })

        test('the mail is refused when that happens in every turn', async () => {
          const unlucky = await replica({ engine: goneFor(Infinity, store.engine()) })
          await expect(unlucky.accept(at('a'))).rejects.toMatchObject({
            code: 'store_unavailable',
            reason: 'gone',
          })
        })
      })
    })

    describe('limits', () => {
      const limits = { recipient: { max: 5, windowMs: hourMs } }

      test('exactly as many pass as allowed when thirty-two come at once from two replicas', async () => {
        const [one, two] = [await replica({ limits }), await replica({ limits })]
        const accepted = await Promise.all(
          Array.from({ length: 32 }, (_, n) => (n % 2 === 0 ? one : two).accept(at(`m${n}`))),
        )
        expect(accepted.filter(({ state }) => state === 'owner')).toHaveLength(5)
        expect(await countAll(outbox)).toMatchObject({ sending: 5 })
      })

      test('a refused mail leaves nothing behind and says when to come back', async () => {
        const limited = await replica({ limits })
        now = Math.floor(now / hourMs) * hourMs + 50 * minuteMs
        for (let n = 0; n < 5; n += 1) await own(limited, at(`m${n}`))
        expect(await limited.accept(at('late'))).toEqual({ state: 'limited', retryAfterS: 600 })
        expect(await limited.find('late')).toBeUndefined()
        now += 10 * minuteMs
        expect(await limited.accept(at('late'))).toMatchObject({ state: 'owner' })
      })

      test('a repeat of an unfinished mail does not count', async () => {
        const limited = await replica({ limits })
        for (let n = 0; n < 4; n += 1) await own(limited, at(`m${n}`))
        for (let n = 0; n < 10; n += 1) await limited.accept(at('m0'))
        expect(await limited.accept(at('fifth'))).toMatchObject({ state: 'owner' })
        expect(await limited.accept(at('sixth'))).toMatchObject({ state: 'limited' })
        expect(await limited.accept(at('m0'))).toMatchObject({ state: 'existing' })
      })

      test('a dead mail that is tried afresh counts again, and stays dead when the limit refuses it', async () => {
        const limited = await replica({ limits: { recipient: { max: 2, windowMs: hourMs } } })
        for (let n = 0; n < 2; n += 1)
          await limited.settle(await own(limited, at('a')), { state: 'dead', detail: '550' })
        expect(await limited.accept(at('a'))).toMatchObject({ state: 'limited' })
        expect(await limited.find('a')).toMatchObject({ state: 'dead' })
      })

      test('a mail that the limit of its app refuses does not count for its recipient', async () => {
        const limited = await replica({
          limits: { recipient: { max: 2, windowMs: hourMs }, app: { max: 1, windowMs: hourMs } },
        })
        const accepted = await Promise.all(['a', 'b', 'c'].map((id) => limited.accept(at(id))))
        expect(accepted.map(({ state }) => state)).toEqual(['owner', 'limited', 'limited'])
        expect(await limited.accept(at('d', { app: 'shop' }))).toMatchObject({ state: 'owner' })
      })

      test('recipients do not share a limit, spellings of one recipient do', async () => {
        const limited = await replica({ limits: { recipient: { max: 1, windowMs: hourMs } } })
        expect(await limited.accept(at('a', { recipient: 'ada@example.org' }))).toMatchObject({
          state: 'owner',
        })
        expect(await limited.accept(at('b', { recipient: 'bob@example.org' }))).toMatchObject({
          state: 'owner',
        })
        expect(await limited.accept(at('c', { recipient: 'Ada@EXAMPLE.org' }))).toMatchObject({
          state: 'limited',
        })
      })

      test('without a limit nothing is refused', async () => {
        for (let n = 0; n < 40; n += 1)
          expect(await outbox.accept(at(`m${n}`))).toMatchObject({ state: 'owner' })
      })
    })

    describe('settling', () => {
      test('a transient failure waits longer each time, up to an hour', async () => {
        let lease = await own(outbox, at('a'))
        const waits: number[] = []
        for (let n = 0; n < 11; n += 1) {
          expect(await outbox.settle(lease, { state: 'queued', detail: 'connect' })).toMatchObject({
            state: 'queued',
          })
          const { due } = (await outbox.find('a')) ?? { due: 0 }
          waits.push((due - now) / 1000)
          now = due
          lease = (await outbox.leaseDue(1))[0] ?? lease
        }
        expect(waits).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600])
      })

      test('a wait is shortened at random, by up to a half', async () => {
        const lucky = await replica({ random: () => 0 })
        await lucky.settle(await own(lucky, at('a')), { state: 'queued', detail: 'connect' })
        expect(await lucky.find('a')).toMatchObject({ due: now + 5000 })
      })

      test('a try that reached no relay does not count', async () => {
        await outbox.settle(await own(outbox, at('a')), {
          state: 'queued',
          detail: 'breaker_open',
          uncounted: true,
        })
        expect(await outbox.find('a')).toMatchObject({ attempts: 0, due: now + 5000 })
      })

      test('the next try is not later than the time the mail expires', async () => {
        await outbox.settle(await own(outbox, at('a', { expires: now + 3000 })), {
          state: 'queued',
          detail: 'connect',
        })
        expect(await outbox.find('a')).toMatchObject({ due: now + 3000 })
        now += 3000
        expect(await outbox.leaseDue(10)).toEqual([])
        expect(await outbox.find('a')).toMatchObject({ state: 'dead', detail: 'expired', done: now })
      })

      test('an attempt that fails after the mail expired leaves it dead', async () => {
        const lease = await own(outbox, at('a', { expires: now + 3000 }))
        now += 3000
        expect(await outbox.settle(lease, { state: 'queued', detail: 'connect' })).toEqual({
          state: 'dead',
          detail: 'expired',
        })
      })

      test('a lost lease can neither put the mail back into the queue nor end it', async () => {
        const late = await own(outbox, at('a'))
        now += minuteMs
        const [lease] = await outbox.leaseDue(1)
        expect(lease).toMatchObject({ id: 'a', attempts: 2 })
        expect(await outbox.settle(late, { state: 'queued', detail: 'connect' })).toMatchObject({
          state: 'sending',
        })
        expect(await outbox.settle(late, { state: 'dead', detail: '550' })).toMatchObject({
          state: 'sending',
        })
        expect(await outbox.find('a')).toMatchObject({ state: 'sending', attempts: 2 })
      })

      test('sent wins over every other state that is settled at the same time, and all settlements are answered with it', async () => {
        const lease = await own(outbox, at('a'))
        const [handedBack, settled] = await Promise.all([outbox.handBack(lease), outbox.settle(lease, sent)])
        expect([handedBack.state, settled.state]).toEqual(['sent', 'sent'])
        expect(await outbox.find('a')).toMatchObject({ state: 'sent' })
      })

      test('sent wins, also when the lease was lost, and stays', async () => {
        const late = await own(outbox, at('a'))
        now += minuteMs
        const [lease] = await outbox.leaseDue(1)
        expect(await outbox.settle(late, sent)).toEqual({ state: 'sent', detail: 'accepted' })
        expect(await outbox.settle(lease ?? late, { state: 'dead', detail: '550' })).toMatchObject({
          state: 'sent',
        })
        expect(await outbox.find('a')).toMatchObject({ state: 'sent', done: now })
      })

      test('a lease of the mail that was replaced is ignored', async () => {
        const former = await own(outbox, at('a'))
        await outbox.settle(former, { state: 'dead', detail: '550' })
        await own(outbox, at('a'))
        expect(await outbox.settle(former, { state: 'queued', detail: 'connect' })).toMatchObject({
          state: 'sending',
        })
      })

      test('a mail whose outcome is unknown stays with its relay for a quarter of an hour', async () => {
        const unknown = {
          state: 'queued',
          detail: 'timeout',
          stayWith: 'smtp',
          waitMs: 5 * minuteMs,
        } as const
        await outbox.settle(await own(outbox, at('a')), unknown)
        now += 5 * minuteMs
        const [second] = await outbox.leaseDue(1)
        expect(second).toMatchObject({ stayWith: 'smtp' })
        // Neither a second unknown outcome nor a plain failure moves the end of the quarter.
        await outbox.settle(second ?? raise(), unknown)
        now += 5 * minuteMs
        const [third] = await outbox.leaseDue(1)
        await outbox.settle(third ?? raise(), {
          state: 'queued',
          detail: 'connect',
          waitMs: 5 * minuteMs - 1,
        })
        now += 5 * minuteMs - 1
        const [fourth] = await outbox.leaseDue(1)
        expect(fourth).toMatchObject({ stayWith: 'smtp' })
        await outbox.settle(fourth ?? raise(), { state: 'queued', detail: 'connect', waitMs: 1 })
        now += 1
        expect((await outbox.leaseDue(1))[0]?.stayWith).toBeUndefined()
      })

      test('a detail that is more than a word is not written down', async () => {
        await outbox.settle(await own(outbox, at('a')), {
          state: 'dead',
          detail: '550 <ADA@EXAMPLE.ORG> UNKNOWN',
        })
        expect(await outbox.find('a')).toMatchObject({ detail: 'other' })
      })

      test('a lease handed back is due at once, and the try does not count', async () => {
        await outbox.handBack(await own(outbox, at('a')))
        expect(await outbox.leaseDue(1)).toMatchObject([{ id: 'a', attempts: 1 }])
      })
    })

    describe('leasing what is due', () => {
      test('a mail whose owner died is leased when its lease ends, with its token, and once', async () => {
        const other = await replica()
        await own(outbox, at('a'))
        now += minuteMs - 1
        expect(await outbox.leaseDue(10)).toEqual([])
        now += 1
        const leased = (await Promise.all([outbox.leaseDue(10), other.leaseDue(10)])).flat()
        expect(leased).toMatchObject([{ id: 'a', app: 'default', kind: 'confirmation', token, attempts: 2 }])
      })

      test('two replicas share a backlog and no mail goes to both', async () => {
        const other = await replica()
        for (let n = 0; n < 60; n += 1) await outbox.handBack(await own(outbox, at(`m${n}`)))
        const leases = await Promise.all(
          Array.from({ length: 8 }, (_, n) => (n % 2 ? outbox : other).leaseDue(10)),
        )
        const ids = leases.flat().map(({ id }) => id)
        expect(ids).toHaveLength(60)
        expect(new Set(ids).size).toBe(60)
      })

      test('no more are leased than asked for, those whose links die soonest first', async () => {
        for (const [id, livesMs] of [
          ['a', 3 * minuteMs],
          ['b', minuteMs],
          ['c', 2 * minuteMs],
        ] as const) {
          await outbox.handBack(await own(outbox, at(id, { expires: now + livesMs })))
          now += 1
        }
        expect(await leaseIds(2)).toEqual(['b', 'c'])
        expect(await leaseIds(2)).toEqual(['a'])
      })

      test('mails that wait for their next try hide none that is due, however many die sooner', async () => {
        await outbox.handBack(await own(outbox, at('a')))
        await query(
          store.address,
          `insert into outbox_mail
            (id, app, kind, recipient, body, state, lease, attempts, due, expires, window_ms, created)
            with recursive s(n) as (select 1 union all select n + 1 from s where n < 1500)
            select 'wait' || n, app, kind, recipient, body, state, 0, 1, due + 60000, expires - 60000 - n, 1, created
            from outbox_mail, s`,
        )
        expect(await leaseIds(10)).toEqual(['a'])
      })

      test('a mail that dies while it waits is told so at once: no lease is needed, and no other mail held up', async () => {
        await outbox.settle(await own(outbox, at('late', { expires: now + 10 })), {
          state: 'queued',
          detail: 'too_many',
          waitMs: minuteMs,
        })
        await query(store.address, `update outbox_mail set due = due + 60000`)
        await outbox.handBack(await own(outbox, at('a')))
        now += 10
        expect(await outbox.leaseDue(0)).toEqual([])
        expect(await outbox.find('late')).toMatchObject({ state: 'dead', detail: 'expired', done: now })
        await outbox.settle(await own(outbox, at('next', { expires: now + 10 })), {
          state: 'queued',
          detail: 'connect',
        })
        now += 10
        expect(await leaseIds(1)).toEqual(['a'])
        expect(await outbox.find('next')).toMatchObject({ state: 'dead' })
      })

      test('a mail that no secret opens stays in the queue', async () => {
        await outbox.handBack(await own(outbox, at('a')))
        const other = await replica({ secrets: ['another secret'] })
        expect(await other.leaseDue(10)).toEqual([])
        await expect.poll(() => outbox.find('a')).toMatchObject({ state: 'queued', detail: 'unreadable' })
      })

      test('a rotated secret still opens what it sealed', async () => {
        await outbox.handBack(await own(outbox, at('a')))
        const rotated = await replica({ secrets: ['the new secret', 'the secret of the tests'] })
        expect(await rotated.leaseDue(10)).toMatchObject([{ id: 'a', token }])
      })
    })

    describe('waiting for the owner', () => {
      test('a waiter in the same process is notified at once', async () => {
        const lease = await own(outbox, at('a'))
        const existing = await outbox.accept(at('a'))
        const waiting = outbox.waitFor(existing.state === 'existing' ? existing.mail : raise(), 5000)
        await outbox.settle(lease, { state: 'dead', detail: '550' })
        expect(await waiting).toEqual({ state: 'dead', detail: '550' })
      })

      test('a waiter in another replica is notified soon', async () => {
        const other = await replica()
        const lease = await own(outbox, at('a'))
        const existing = await other.accept(at('a'))
        // not at the end of its time, which is longer than a test
        const waiting = other.waitFor(existing.state === 'existing' ? existing.mail : raise(), 60_000)
        await outbox.settle(lease, { state: 'queued', detail: 'connect' })
        expect(await waiting).toEqual({ state: 'queued', detail: 'connect' })
      })

      test('a waiter whose time is over is answered that the mail is still being sent', async () => {
        await own(outbox, at('a'))
        const existing = await outbox.accept(at('a'))
        const from = performance.now()
        const status = await outbox.waitFor(existing.state === 'existing' ? existing.mail : raise(), 300)
        expect(status).toEqual({ state: 'sending', detail: null })
        expect(performance.now() - from).toBeGreaterThan(290)
      })

      test('a mail that is not being sent is answered without waiting', async () => {
        await outbox.settle(await own(outbox, at('a')), sent)
        const existing = await outbox.accept(at('a'))
        expect(await outbox.waitFor(existing.state === 'existing' ? existing.mail : raise(), 0)).toEqual({
          state: 'sent',
          detail: 'accepted',
        })
      })
    })

    describe('operating it', () => {
      test('mails are counted and listed by state, without anything that names the recipient', async () => {
        await outbox.settle(await own(outbox, at('gone')), sent)
        await outbox.settle(await own(outbox, at('refused')), { state: 'dead', detail: '550' })
        now += 1000
        await outbox.settle(await own(outbox, at('later')), { state: 'queued', detail: 'connect' })
        expect(await countAll(outbox)).toEqual({ sending: 0, queued: 1, sent: 1, dead: 1, oldest: now })
        expect(await outbox.list('dead', 10)).toEqual([
          {
            id: 'refused',
            app: 'default',
            kind: 'confirmation',
            state: 'dead',
            attempts: 1,
            due: now - 1000 + 7 * dayMs,
            expires: now - 1000 + dayMs,
            created: now - 1000,
            done: now - 1000,
            detail: '550',
            relay: null,
            feedback: null,
          },
        ])
      })

      test('a dead mail can be put back into the queue and then expires in a day', async () => {
        await outbox.settle(await own(outbox, at('a', { expires: now + 1000 })), {
          state: 'dead',
          detail: '550',
        })
        now += 6 * dayMs
        expect(await outbox.requeue('a')).toBe(true)
        expect(await outbox.leaseDue(1)).toMatchObject([
          { id: 'a', token, attempts: 1, expires: now + dayMs },
        ])
        expect(await outbox.requeue('a')).toBe(false)
        expect(await outbox.requeue('nobody')).toBe(false)
      })

      test('all dead mails can be put back into the queue', async () => {
        await Promise.all(
          Array.from({ length: 620 }, async (_, n) =>
            outbox.settle(await own(outbox, at(`m${n}`)), n < 610 ? { state: 'dead', detail: '550' } : sent),
          ),
        )
        const first = await outbox.requeueSome({ most: 500 })
        expect(first).toEqual({ count: 500, next: now })
        const diedSince = await own(outbox, at('later'))
        now += 1
        await outbox.settle(diedSince, { state: 'dead', detail: '550' })
        expect(await outbox.requeueSome({ diedBy: first.next! })).toEqual({ count: 110, next: null })
        expect(await outbox.requeueDead()).toBe(1)
        expect(await countAll(outbox)).toMatchObject({ queued: 611, sent: 10, dead: 0 })
      })

      test('sent mails are purged when their window is over, dead ones after a week, queued ones never', async () => {
        await outbox.settle(await own(outbox, at('short', { windowMs: 5 * minuteMs })), sent)
        await outbox.settle(await own(outbox, at('long')), sent)
        await outbox.settle(await own(outbox, at('dead')), { state: 'dead', detail: '550' })
        await outbox.settle(await own(outbox, at('waiting')), { state: 'queued', detail: 'connect' })
        expect(await outbox.purge()).toBe(0)
        now += 5 * minuteMs
        expect(await outbox.purge()).toBe(1)
        expect(await outbox.find('short')).toBeUndefined()
        now += dayMs
        expect(await outbox.purge()).toBe(1)
        now += 6 * dayMs
        expect(await outbox.purge()).toBe(1)
        expect(await countAll(outbox)).toMatchObject({ sent: 0, dead: 0, queued: 1 })
      })

      test('a purge deletes more than one page', async () => {
        await Promise.all(
          Array.from({ length: 1100 }, async (_, n) =>
            outbox.settle(await own(outbox, at(`m${n}`, { windowMs: minuteMs })), sent),
          ),
        )
        now += minuteMs
        expect(await outbox.purge()).toBe(1100)
      })

      test('quotas that have ended are purged as well, and not counted as mails', async () => {
        const limited = await replica({ limits: { recipient: { max: 3, windowMs: minuteMs } } })
        await limited.settle(await own(limited, at('one', { windowMs: minuteMs })), sent)
        now += dayMs
        expect(await limited.purge()).toBe(1)
      })

      test('a row that cannot be read fails the request for it and no other', async () => {
        await outbox.settle(await own(outbox, at('odd', { windowMs: 2 ** 60 })), sent)
        const [, other] = await Promise.allSettled([outbox.accept(at('odd')), outbox.accept(at('other'))])
        expect(other).toMatchObject({ value: { state: 'owner' } })
        expect(outbox.trouble()).toBeUndefined()
      })

      test('a token that never expires gives a window that both databases take', async () => {
        const window = windowMs({ jti: '1', exp: Number.MAX_SAFE_INTEGER, carriesSecret: true, now })
        await outbox.settle(await own(outbox, at('eternal', { windowMs: window })), sent)
        expect(await outbox.accept(at('eternal', { windowMs: window }))).toMatchObject({ state: 'existing' })
        expect(await outbox.list('sent', 10)).toHaveLength(1)
        expect(outbox.trouble()).toBeUndefined()
      })
    })
  })

function raise(): never {
  throw new Error('nothing there')
}

/** An engine whose first `times` transactions find that the mail which has the id was deleted between two statements. */
function goneFor(times: number, engine: Engine): Engine {
  let left = times
  return {
    ...engine,
    run: (operations) =>
      left-- > 0
        ? Promise.resolve(operations.map(() => ({ outcome: 'gone', rows: [] })))
        : engine.run(operations),
  }
}

/** How many deadlocks Postgres has broken; it may take a second to report one. */
async function deadlocks({ address }: Store): Promise<number> {
  if (!address.startsWith('postgres:')) return 0
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const [row] = await query(
    address,
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  return Number(row?.['deadlocks'])
}
