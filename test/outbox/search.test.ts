import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MailQuery, Outbox } from '../../src/outbox/api.ts'
import { mail, open, own, query, type Store, stores } from './stores.ts'

const secrets = ['the secret of the tests', 'the secret before it']
const minuteMs = 60_000

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`an operator looks for mails on ${name}`, () => {
    let store: Store
    let outbox: Outbox
    let now = 1_800_000_000_000
    beforeAll(async () => {
      store = await start()
      outbox = await open(store, { clock: () => now, secrets })
      const former = await open(store, { clock: () => now, secrets: secrets.slice(1) })
      const put = async (id: string, over: object, detail?: 'connect' | 'login', dead = false) => {
        now += 10
        const at = id.startsWith('former') ? former : outbox
        const lease = await own(at, mail(id, over, now))
        if (dead) await at.settle(lease, { state: 'dead', detail: 'recipient' })
        else if (detail) await at.settle(lease, { state: 'queued', detail, waitMs: minuteMs })
      }
      for (const id of ['s1', 's2']) await put(id, { recipient: 'Sending@example.org' })
      for (const id of ['q1', 'q2', 'q3', 'q4', 'q5']) await put(id, { app: 'shop' }, 'connect')
      await put('q6', { app: 'shop', kind: 'reset', recipient: 'bob@example.org' }, 'login')
      await put('former1', { recipient: 'bob@example.org' }, 'connect')
      await put('former2', { recipient: 'bob@example.org' }, undefined, true)
      for (const id of ['d1', 'd2']) await put(id, {}, undefined, true)
      await former.close()
    })
    afterAll(async () => {
      await outbox.close()
      await store.close()
    })

    /** All pages of a search. */
    async function pagesOf(wanted: Omit<MailQuery, 'limit'>, limit: number): Promise<string[][]> {
      const pages: string[][] = []
      let after: string | undefined
      do {
        const { mails, next } = await outbox.search({ ...wanted, limit, after })
        pages.push(mails.map(({ id }) => id))
        after = next ?? undefined
      } while (after !== undefined && pages.length < 50)
      return pages
    }

    test('page by page: what is being sent, then what is tried next; the dead of today first', async () => {
      const waiting = ['s1', 's2', 'q1', 'q2', 'q3', 'q4', 'q5', 'q6', 'former1']
      for (const limit of [1, 2, 3, 4, 9, 200]) {
        const pages = await pagesOf({ state: 'waiting' }, limit)
        expect(pages.flat()).toEqual(waiting)
        expect(pages).toHaveLength(Math.ceil(waiting.length / limit))
        expect((await pagesOf({ state: 'dead' }, limit)).flat()).toEqual(['d2', 'd1', 'former2'])
      }
    })

    test('that are due at the very same time, each of them once', async () => {
      await query(store.address, `update outbox_mail set due = ${now + 7}, created = 5 where app = 'shop'`)
      expect((await pagesOf({ state: 'waiting', app: 'shop' }, 2)).flat().toSorted()).toEqual([
        'q1',
        'q2',
        'q3',
        'q4',
        'q5',
        'q6',
      ])
    })

    test.each([
      [{ state: 'waiting', app: 'shop', kind: 'reset' }, ['q6']],
      [{ state: 'waiting', app: 'shop', detail: 'login' }, ['q6']],
      [{ state: 'waiting', app: 'none' }, []],
      [{ state: 'dead', detail: 'recipient', app: 'default' }, ['d2', 'd1', 'former2']],
      [{ state: 'waiting', id: 'q3' }, ['q3']],
      [{ state: 'waiting', id: 'd1' }, []],
      [{ state: 'dead', id: 'd1', detail: 'connect' }, []],
      [{ state: 'waiting', address: 'BOB@example.org' }, ['q6', 'former1']],
      [{ state: 'dead', address: 'bob@example.org' }, ['former2']],
      [{ state: 'waiting', address: 'sending@example.org' }, ['s1', 's2']],
      [{ state: 'waiting', address: 'bob@example.org', id: 'former1' }, ['former1']],
      [{ state: 'waiting', address: 'bob@example.org', id: 'q1' }, []],
      [{ state: 'waiting', address: 'nobody@example.org' }, []],
    ] as const)('by %o', async (wanted, found) => {
      for (const limit of [1, 50]) expect((await pagesOf(wanted, limit)).flat()).toEqual(found)
    })

    test('of which few fit, and each page looks at a thousand rows', async () => {
      const many = await store.another()
      const large = await open(many)
      const numbers =
        name === 'SQLite'
          ? '(with recursive s(n) as (select 1 union all select n + 1 from s where n < 2500) select n from s)'
          : 'generate_series(1, 2500) s(n)'
      await query(
        many.address,
        `insert into outbox_mail (id, app, kind, recipient, state, lease, attempts, due, expires, window_ms, created)
        select 'x' || n, case when n = 2400 then 'rare' else 'shop' end, 'reset', '', 'dead', 0, 1, n, 1, 1, n from ${numbers}`,
      )
      const first = await large.search({ state: 'dead', app: 'rare', limit: 50 })
      expect(first).toMatchObject({ mails: [{ id: 'x2400' }], next: expect.any(String) })
      const second = await large.search({ state: 'dead', app: 'rare', limit: 50, after: first.next! })
      expect(second).toEqual({ mails: [], next: expect.any(String) })
      expect(await large.search({ state: 'dead', app: 'rare', limit: 50, after: second.next! })).toEqual({
        mails: [],
        next: null,
      })
      expect(await large.stats(1000)).toMatchObject({ sending: 0, queued: 0, dead: 1000 })
      expect(await large.stats()).toMatchObject({ dead: 2500 })
      await query(many.address, `update outbox_mail set state = 'sent' where due > 1200`)
      expect(await large.countSent(1000)).toBe(1000)
      expect(await large.countSent()).toBe(1300)
      await large.close()
    })

    test.each(['', '!', 'W10', Buffer.from('[0,"x\'","1",7]').toString('base64url'), 'e30'])(
      'from a place that no page has named (%s), and is told so',
      async (after) => {
        await expect(outbox.search({ state: 'waiting', limit: 5, after })).rejects.toMatchObject({
          code: 'bad_request',
        })
      },
    )
  })
