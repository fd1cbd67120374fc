/** Times and rows that others wrote: relays, tokens, clocks that were wrong, dumps, hands on the database. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/api.ts'
import { mail, open, own, query, type Store, stores } from './stores.ts'

const yearMs = 365 * 86_400_000
const hourMs = 3_600_000

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`on ${name}`, () => {
    let first: Store
    let store: Store
    const outboxes: Outbox[] = []
    const lines: Record<string, unknown>[] = []
    const note = (fields: object, msg?: string) => void lines.push({ ...fields, msg })
    const log = { info: note, warn: note, error: note }

    async function openOn(clock?: () => number, limits = {}): Promise<Outbox> {
      const outbox = await open(store, { log, limits, ...(clock && { clock }) })
      outboxes.push(outbox)
      return outbox
    }
    const write = (sql: string) => query(store.address, sql)

    beforeAll(async () => {
      first = await start()
    })
    afterAll(() => first.close())
    beforeEach(async () => {
      store = await first.another()
      lines.length = 0
    })
    afterEach(async () => {
      await Promise.all(outboxes.splice(0).map((outbox) => outbox.close()))
    })

    describe('a time', () => {
      test.each([0.25, 19_999.37, 1e300, -5])(
        'that a relay asks for as %d ms is a whole one, within an hour',
        async (waitMs) => {
          const outbox = await openOn()
          const lease = await own(outbox, mail('a'))
          await outbox.settle(lease, { state: 'queued', detail: 'resting', uncounted: true, waitMs })
          const found = await outbox.find('a')
          expect(found).toMatchObject({ state: 'queued' })
          expect(Number.isInteger(found?.due)).toBe(true)
          expect((found?.due ?? Infinity) - Date.now()).toBeLessThanOrEqual(hourMs)
          expect(lines).toEqual([])
        },
      )

      test('at which a mail expires may be a fraction, and lies within a month', async () => {
        const outbox = await openOn()
        await own(outbox, mail('fraction', { expires: Date.now() + 1000.5 }))
        const lease = await own(outbox, mail('far', { expires: 1.8e15 }))
        const found = await outbox.find('far')
        expect((found?.expires ?? Infinity) - Date.now()).toBeLessThan(31 * 86_400_000)
        expect(lease.expires).toBe(found?.expires)
      })

      test('that a clock a year ahead began a window at locks nobody out', async () => {
        const limits = { recipient: { max: 3, windowMs: 60_000 } }
        // in the middle of a window
        const now = Math.floor(Date.now() / 60_000) * 60_000 + 30_000
        const ahead = await openOn(() => now + yearMs, limits)
        for (const id of ['x', 'y', 'z']) await own(ahead, mail(id))
        const right = await openOn(() => now, limits)
        for (const id of ['a', 'b', 'c']) await own(right, mail(id))
        const limited = await right.accept(mail('d'))
        expect(limited).toMatchObject({ state: 'limited' })
        expect(limited.state === 'limited' && limited.retryAfterS).toBeLessThanOrEqual(60)
      })

      test('that a clock a year ahead gave a mail is corrected, so that the mail is tried today', async () => {
        const ahead = await openOn(() => Date.now() + yearMs)
        const lease = await own(ahead, mail('queued', {}, Date.now() + yearMs))
        await ahead.settle(lease, { state: 'queued', detail: 'connect' })
        await own(ahead, mail('sending', {}, Date.now() + yearMs))
        const right = await openOn()
        expect(await right.leaseDue(10)).toEqual([])
        await right.purge()
        expect((await right.leaseDue(10)).map(({ id }) => id).toSorted()).toEqual(['queued', 'sending'])
      })
    })

    describe('a row that cannot be read', () => {
      const faults = [
        ['expires', `expires = ${name === 'SQLite' ? "'never'" : '-9000000000000000000'}`],
        ['created', `created = ${name === 'SQLite' ? "'once'" : '9000000000000000000'}`],
        ['attempts', `attempts = ${name === 'SQLite' ? "'many'" : '2147483647'}`],
        ['lease', 'lease = -1'],
        [
          'relay and stay_until',
          `relay = ${name === 'SQLite' ? "x'00ff'" : "''"}, stay_until = 9000000000000000`,
        ],
        ['body', 'body = null'],
        ['detail', `detail = ${name === 'SQLite' ? "x'00ff'" : "'\u0001'"}`],
        ['due', `due = ${name === 'SQLite' ? "'soon'" : '9000000000000000000'}`],
      ] as const

      test.each(faults)('for its %s holds up nothing behind it, and can be looked at', async (_, fault) => {
        const outbox = await openOn()
        for (const id of ['bad', 'b', 'c', 'd'])
          await outbox.settle(await own(outbox, mail(id)), { state: 'queued', detail: 'connect', waitMs: 0 })
        await write(`update outbox_mail set due = 1 where id = 'bad'`)
        await write(`update outbox_mail set ${fault} where id = 'bad'`)
        const leased = await outbox.leaseDue(10)
        expect(
          leased
            .map(({ id }) => id)
            .filter((id) => id !== 'bad')
            .toSorted(),
        ).toEqual(['b', 'c', 'd'])
        for (const lease of leased) await outbox.settle(lease, { state: 'queued', detail: 'connect' })
        await outbox.purge()
        expect(await outbox.find('bad')).toMatchObject({ id: 'bad' })
        const all = await Promise.all(
          (['queued', 'sending', 'dead'] as const).map((state) => outbox.list(state, 10)),
        )
        expect(all.flat().map(({ id }) => id)).toContain('bad')
        expect(() =>
          all
            .flat()
            .map(({ created, expires, due }) =>
              [created, expires, due].map((ms) => new Date(ms).toISOString()),
            ),
        ).not.toThrow()
        expect(await outbox.stats()).toMatchObject({ sending: 0 })
      })

      test('is dead, with a line in the log that has its id', async () => {
        const outbox = await openOn()
        await outbox.settle(await own(outbox, mail('bad')), { state: 'queued', detail: 'connect', waitMs: 0 })
        await write(`update outbox_mail set created = -1 where id = 'bad'`)
        expect(await outbox.leaseDue(10)).toEqual([])
        await expect.poll(() => outbox.find('bad')).toMatchObject({ state: 'dead', detail: 'bad_row' })
        expect(lines).toMatchObject([{ id: 'bad', reason: 'bad_row' }])
      })
    })

    test('mails are listed by the time of their acceptance, the newest first', async () => {
      let now = Date.now()
      const outbox = await openOn(() => now)
      for (const [id, waitMs] of [
        ['one', 3000],
        ['two', 1000],
        ['three', 2000],
      ] as const) {
        now += 10
        await outbox.settle(await own(outbox, mail(id)), { state: 'queued', detail: 'connect', waitMs })
      }
      expect((await outbox.list('queued', 10)).map(({ id }) => id)).toEqual(['three', 'two', 'one'])
    })
  })
