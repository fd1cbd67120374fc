import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hourCounts } from '../../src/hour-counts.ts'
import type { Outbox } from '../../src/outbox/api.ts'
import { hourWriter } from '../../src/outbox/hour-writer.ts'
import { mail, open, own, query, sent, silent, type Store, stores } from './stores.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const hour = 1_800_000_000_000 - (1_800_000_000_000 % hourMs)

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`counters by the hour on ${name}`, () => {
    let first: Store
    let store: Store
    let now = hour
    const outboxes: Outbox[] = []
    const openAt = async (count?: Parameters<typeof open>[1]) => {
      const outbox = await open(store, { clock: () => now, ...count })
      outboxes.push(outbox)
      return outbox
    }
    beforeAll(async () => {
      first = await start()
      store = await first.another()
    })
    afterAll(async () => {
      await Promise.all(outboxes.map((outbox) => outbox.close()))
      await first.close()
    })

    test('of two replicas add up, and of their depths the greater one stands', async () => {
      const [one, other] = [await openAt(), await openAt()]
      const at = (n: number, ms: number) => [
        { hour, name: 'sent', n, at: ms },
        { hour, name: 'waiting', n, at: ms },
      ]
      await Promise.all([one.addHours(at(3, hour + 5)), other.addHours(at(4, hour + 2))])
      expect(await one.readHours(hour, hour)).toEqual([
        { hour, name: 'sent', n: 7, at: hour + 5 },
        { hour, name: 'waiting', n: 4, at: hour + 5 },
      ])
      expect(await one.readHours(hour + 1, hour + dayMs)).toEqual([])
    })

    test('that another hand has spoilt are left out, or begin anew', async () => {
      const outbox = await openAt()
      await query(store.address, `update outbox_hour set n = -5 where name = 'sent'`)
      await query(
        store.address,
        `update outbox_hour set n = ${name === 'SQLite' ? "'many'" : '9223372036854775807'} where name = 'waiting'`,
      )
      expect(await outbox.readHours(hour, hour)).toEqual([])
      await outbox.addHours(['sent', 'waiting'].map((word) => ({ hour, name: word, n: 2, at: hour })))
      expect((await outbox.readHours(hour, hour)).map(({ n }) => n)).toEqual([2, 2])
    })

    test('are forgotten after eight days', async () => {
      const outbox = await openAt()
      now = hour + 8 * dayMs
      await outbox.purge()
      expect(await outbox.readHours(hour, hour)).toHaveLength(2)
      now += 1
      await outbox.purge()
      expect(await outbox.readHours(hour, hour)).toEqual([])
      now = hour
    })

    test('tell what was accepted, sent, and died: refused, expired while it waited, or given up', async () => {
      const counted: string[] = []
      const outbox = await openAt({ count: (what) => void counted.push(what) })
      await outbox.settle(await own(outbox, mail('a', {}, now)), sent)
      expect(await outbox.accept(mail('a', {}, now))).toMatchObject({ state: 'existing' })
      await outbox.settle(await own(outbox, mail('b', {}, now)), { state: 'dead', detail: 'recipient' })
      for (const id of ['c', 'd']) {
        const lease = await own(outbox, mail(id, { expires: now + 60_000 }, now))
        await outbox.settle(lease, { state: 'queued', detail: 'connect', waitMs: 1000 })
      }
      expect(await outbox.giveUp('c')).toBe(true)
      now += 61_000
      await outbox.leaseDue(10)
      const of = (what: string) => counted.filter((each) => each === what).length
      expect([of('accepted'), of('sent'), of('dead')]).toEqual([4, 1, 3])
      now = hour
    })

    test('are kept while the store is away, and written when it is back', async () => {
      const counts = hourCounts(() => now)
      let outbox = await open(store)
      const writer = hourWriter({
        counts,
        log: silent,
        outbox: { addHours: (...given) => outbox.addHours(...given), stats: (most) => outbox.stats(most) },
      })
      await outbox.close()
      counts.add('complained')
      await writer.refresh()
      outbox = await openAt()
      counts.add('complained')
      await writer.start().stop()
      expect(await outbox.readHours(hour, hour)).toContainEqual({ hour, name: 'complained', n: 2, at: now })
    })

    describe('a mail that an operator gives up', () => {
      test('is dead with a word of its own, tells its app, and can be requeued', async () => {
        const outbox = await openAt({ calledApps: () => 'all' })
        const lease = await own(outbox, mail('give', {}, now))
        // it may be with a relay just now
        expect(await outbox.giveUp('give')).toBe(false)
        await outbox.settle(lease, { state: 'queued', detail: 'connect', waitMs: 1000 })
        expect(await outbox.giveUp('give')).toBe(true)
        expect(await outbox.giveUp('give')).toBe(false)
        expect(await outbox.giveUp('none')).toBe(false)
        expect(await outbox.find('give')).toMatchObject({ state: 'dead', detail: 'given_up', done: now })
        const events = await outbox.leaseEvents([{ app: 'default', limit: 9 }])
        expect(events).toMatchObject([{ mail: 'give', type: 'mail.dead', detail: 'given_up' }])
        expect(await outbox.requeue('give')).toBe(true)
        expect(await outbox.find('give')).toMatchObject({ state: 'queued' })
      })
    })
  })
