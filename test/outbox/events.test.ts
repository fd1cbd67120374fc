import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { CalledApps } from '../../src/event.ts'
import type { DueEvent, Lease, Outbox } from '../../src/outbox/api.ts'
import { messageIdOf } from '../../src/outbox/mail-id.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import type { Operation } from '../../src/outbox/store/operation.ts'
import { mail, open, own, query, sent, silent, type Store, stores } from './stores.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
const dead = { state: 'dead', detail: 'recipient' } as const

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`events for apps, on ${name}`, () => {
    let store: Store
    let outbox: Outbox
    /** Another replica, and one of a deployment that calls no app. */
    let other: Outbox
    let quiet: Outbox
    let now = 1_800_000_000_000
    const warnings: object[] = []
    beforeAll(async () => {
      store = await start()
      const clock = () => now
      const calledApps = (): CalledApps => ['default', 'shop']
      const log = { ...silent, warn: (fields: object) => void warnings.push(fields) }
      outbox = await open(store, { clock, calledApps, log })
      other = await open(store, { clock, calledApps: () => 'all' })
      quiet = await open(store, { clock })
    })
    afterAll(async () => {
      await Promise.all([outbox.close(), other.close(), quiet.close()])
      await store.close()
    })

    const newMail = (id: string, app = 'default', at = outbox): Promise<Lease> =>
      own(at, mail(id, { app }, now))
    const leaseFrom = (at: Outbox, limit = 100, apps = ['default', 'shop', 'blog']) =>
      at.leaseEvents(apps.map((app) => ({ app, limit })))
    const told = (events: readonly DueEvent[]) =>
      events.map(({ mail: of, app, type, detail }) => [of, app, type, detail])
    const endAll = async (events: readonly DueEvent[]) => {
      for (const event of events) await outbox.endEvent(event)
      return events
    }
    const report = (
      lease: Lease,
      feedback: 'delivered' | 'delayed' | 'bounced_hard' | 'complained',
      at = other,
    ) => at.noteFeedback([{ messageId: messageIdOf(lease), feedback }])

    test('cost nothing where no app is called: no row, no sequence', async () => {
      const lease = await newMail('quiet', 'default', quiet)
      await quiet.settle(lease, sent)
      await report(lease, 'complained', quiet)
      await outbox.settle(await newMail('uncalled', 'blog'), sent)
      expect(await leaseFrom(outbox)).toEqual([])
      const counted = 'select count(*) as n, count(sequence) as s from outbox_mail'
      expect(await query(store.address, counted)).toMatchObject([{ s: name === 'SQLite' ? 0 : '0' }])
    })

    test('tell of a mail all that became of it, each later one with a larger sequence', async () => {
      const lease = await newMail('told')
      await outbox.settle(lease, sent)
      for (const word of ['delayed', 'delivered', 'delivered', 'complained', 'bounced_hard'] as const)
        await report(lease, word)
      const events = await endAll(await leaseFrom(outbox))
      expect(told(events)).toEqual([
        ['told', 'default', 'mail.sent', null],
        ['told', 'default', 'mail.delivered', null],
        ['told', 'default', 'mail.complained', null],
        ['told', 'default', 'mail.bounced', 'hard'],
      ])
      const sequences = events.map(({ sequence }) => sequence)
      expect(new Set(sequences).size).toBe(4)
      expect(events[0]).toMatchObject({ at: now, kind: 'confirmation', attempts: 1, ends: now + dayMs })
      expect(events.every(({ id }) => /^evt_[\w-]{1,80}$/.test(id))).toBe(true)
      expect(await leaseFrom(outbox)).toEqual([])
    })

    test('go on with larger sequences when the same id is another mail, also after it was forgotten', async () => {
      now += 2 * dayMs
      await outbox.settle(await newMail('told'), dead)
      const [again] = await endAll(await leaseFrom(outbox))
      expect(again?.type).toBe('mail.dead')
      expect(again?.sequence).toBeGreaterThan(now - dayMs)
    })

    test('are one for each end, whichever replica wrote it and however often', async () => {
      const lease = await newMail('once', 'shop')
      const lost = { ...lease, leaseId: lease.leaseId + 1 }
      await outbox.settle(lost, dead)
      await Promise.all([outbox.settle(lease, sent), other.settle(lease, sent), outbox.settle(lease, sent)])
      now += 1000
      await other.settle(lease, sent)
      await outbox.settle(lease, dead)
      expect(told(await endAll(await leaseFrom(outbox)))).toEqual([['once', 'shop', 'mail.sent', null]])
    })

    test('tell of a mail that expired while it waited, and of each death of one that was requeued', async () => {
      const lease = await newMail('late')
      await outbox.settle(lease, { state: 'queued', detail: 'connect', waitMs: 0 })
      now += 2 * dayMs
      await outbox.leaseDue(10)
      expect(told(await endAll(await leaseFrom(outbox)))).toEqual([
        ['late', 'default', 'mail.dead', 'expired'],
      ])
      await outbox.requeue('late')
      const [due] = await outbox.leaseDue(10)
      if (!due) throw new Error('nothing is due')
      await outbox.settle(due, dead)
      expect(told(await endAll(await leaseFrom(outbox)))).toEqual([
        ['late', 'default', 'mail.dead', 'recipient'],
      ])
    })

    test('are shared by replicas, some of each app, and go to another one when a lease runs out', async () => {
      for (let n = 0; n < 12; n += 1) await outbox.settle(await newMail(`many-${n}`), sent)
      await outbox.settle(await newMail('one', 'shop'), sent)
      const leased = (await Promise.all([leaseFrom(outbox, 4), leaseFrom(other, 4)])).flat()
      expect(leased).toHaveLength(9)
      expect(new Set(leased.map(({ id }) => id)).size).toBe(9)
      expect(leased.filter(({ app }) => app === 'shop')).toHaveLength(1)
      // the process that had them was killed
      now += minuteMs + 1
      const again = await leaseFrom(other)
      expect(again).toHaveLength(13)
      expect(again.filter(({ attempts }) => attempts === 2)).toHaveLength(9)
      // the end of a call counts, also without the lease; what was to be repeated does not
      const [first, second, ...rest] = leased
      if (!first || !second) throw new Error('nothing was leased')
      await outbox.endEvent(first)
      await outbox.endEvent(second, 5 * minuteMs)
      const third = again.find(({ id }) => id === second.id)
      if (!third) throw new Error('not leased again')
      await other.endEvent(third, 5000)
      for (const event of again) if (rest.some(({ id }) => id === event.id)) await other.endEvent(event)
      now += 5000
      expect((await leaseFrom(outbox)).map(({ id }) => id)).toEqual([second.id])
      now += minuteMs
      expect(await endAll(await leaseFrom(outbox))).toHaveLength(4 + 1)
    })

    test('are forgotten a day later, and counted in the log', async () => {
      await outbox.settle(await newMail('never'), sent)
      now += dayMs
      await outbox.purge()
      expect(await leaseFrom(outbox)).toHaveLength(1)
      now += dayMs / 2
      await outbox.purge()
      expect(await leaseFrom(outbox)).toEqual([])
      expect(warnings).toEqual([{ events: 1, reason: 'expired' }])
    })

    test('are written once, whatever is repeated after what: no second one, and no later sequence', async () => {
      const engine = store.engine()
      await engine.open()
      onTestFinished(() => engine.close())
      const written: Operation[] = []
      const recorder: Engine = {
        ...store.engine(),
        name: engine.name,
        async open() {},
        async probe() {},
        async close() {},
        run(operations) {
          written.push(...operations)
          return engine.run(operations)
        },
      }
      const repeated = await open({ engine: () => recorder }, { clock: () => now, calledApps: () => 'all' })
      const newOne = (id: string) =>
        own(repeated, mail(id, { app: 'repeats', recipient: 'eve@example.org', expires: now + 1000 }, now))
      // each way in which an event comes to be written, one after the other
      const reported = await newOne('r-reported')
      await repeated.settle(reported, sent)
      await report(reported, 'delivered', repeated)
      await report(reported, 'bounced_hard', repeated)
      await repeated.settle(await newOne('r-requeued'), dead)
      await repeated.requeue('r-requeued')
      const [due] = await repeated.leaseDue(10)
      await repeated.settle(due!, sent)
      await repeated.settle(await newOne('r-late'), { state: 'queued', detail: 'connect', waitMs: 0 })
      now += 2000
      await repeated.leaseDue(10)
      await repeated.settle(await newOne('r-waiting'), { state: 'queued', detail: 'connect', waitMs: 500 })
      await repeated.settle(await newOne('r-given-up'), { state: 'queued', detail: 'connect', waitMs: 500 })
      await repeated.giveUp('r-given-up')
      await repeated.erase('eve@example.org')
      await repeated.purge()
      const leaseAll = () => leaseFrom(repeated, 100, ['repeats'])
      const events = await leaseAll()
      expect(
        told(events)
          .map(([of, , type]) => `${of} ${type}`)
          .toSorted(),
      ).toEqual([
        'r-given-up mail.dead',
        'r-late mail.dead',
        'r-reported mail.bounced',
        'r-reported mail.delivered',
        'r-reported mail.sent',
        'r-requeued mail.dead',
        'r-requeued mail.sent',
      ])
      const sequences = () =>
        query(store.address, `select id, sequence from outbox_mail where app = 'repeats' order by id`)
      const before = await sequences()
      for (const event of events) await repeated.endEvent(event)
      const writers = written.filter(({ op }) => op !== 'accept' && op !== 'leaseEvents' && op !== 'endEvent')
      expect(new Set(writers.map(({ op }) => op))).toEqual(
        new Set([
          'settle',
          'feedback',
          'requeue',
          'giveUp',
          'lease',
          'findByRecipient',
          'erase',
          'eraseQuotas',
          'lift',
          'purge',
        ]),
      )
      for (const operation of writers) await engine.run([operation])
      await engine.run(writers)
      expect(await leaseAll()).toEqual([])
      expect(await sequences()).toEqual(before)
    })
  })
