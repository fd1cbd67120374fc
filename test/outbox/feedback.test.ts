import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Feedback, feedbackWords } from '../../src/feedback.ts'
import type { Lease, Outbox } from '../../src/outbox/api.ts'
import { messageIdOf } from '../../src/outbox/mail-id.ts'
import { mail, open, own, sent, type Store, stores } from './stores.ts'

const dayMs = 86_400_000

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`what relays report, on ${name}`, () => {
    let store: Store
    let outbox: Outbox
    /** Another replica. */
    let other: Outbox
    let now = 1_800_000_000_000
    beforeAll(async () => {
      store = await start()
      const options = { clock: () => now }
      outbox = await open(store, options)
      other = await open(store, options)
    })
    afterAll(async () => {
      await Promise.all([outbox.close(), other.close()])
      await store.close()
    })

    async function sentMail(id: string): Promise<Lease> {
      const lease = await own(outbox, mail(id, {}, now))
      await outbox.settle(lease, sent)
      return lease
    }
    const note = (lease: Lease, feedback: Feedback, at = other) =>
      at.noteFeedback([{ messageId: messageIdOf(lease), feedback }])

    test('stands in the row, on every replica, and says once that it is news', async () => {
      const lease = await sentMail('first')
      const report = { id: 'first', feedback: 'delivered', app: 'default', kind: 'confirmation' }
      expect(await note(lease, 'delivered')).toEqual([{ ...report, changed: true }])
      expect(await note(lease, 'delivered')).toEqual([{ id: 'first', feedback: 'delivered', changed: false }])
      expect(await outbox.find('first')).toMatchObject({ state: 'sent', feedback: 'delivered' })
    })

    test('ends equal in whatever order and however often it comes', async () => {
      const orders = [
        feedbackWords,
        feedbackWords.toReversed(),
        [...feedbackWords, ...feedbackWords],
        ['bounced_soft', 'bounced_hard', 'delivered', 'delayed', 'complained', 'suppressed_by_relay'],
      ] as const
      for (const [index, order] of orders.entries()) {
        const lease = await sentMail(`order-${index}`)
        let news = 0
        for (const word of order) news += (await note(lease, word)).filter(({ changed }) => changed).length
        expect(await outbox.find(lease.id)).toMatchObject({ feedback: 'bounced_hard' })
        expect(news).toBe(order[0] === 'bounced_hard' ? 1 : index === 3 ? 2 : feedbackWords.length)
      }
    })

    test('ends equal when reports of one mail come at once, in one call and at several replicas', async () => {
      const lease = await sentMail('at-once')
      const reports = feedbackWords.map((feedback) => ({ messageId: messageIdOf(lease), feedback }))
      const noted = await Promise.all([
        outbox.noteFeedback(reports),
        other.noteFeedback(reports.toReversed()),
      ])
      expect(await outbox.find('at-once')).toMatchObject({ feedback: 'bounced_hard' })
      expect(
        noted.flat().filter(({ changed, feedback }) => changed && feedback === 'bounced_hard'),
      ).toHaveLength(1)
    })

    test('may come before its mail is settled, and stays when it is', async () => {
      const lease = await own(outbox, mail('early', {}, now))
      await note(lease, 'bounced_hard')
      await outbox.settle(lease, sent)
      expect(await outbox.find('early')).toMatchObject({ state: 'sent', feedback: 'bounced_hard' })
    })

    test('of an earlier mail says nothing of the one that has its id now', async () => {
      const lease = await sentMail('again')
      await note(lease, 'complained')
      now += 2 * dayMs
      const later = await own(outbox, mail('again', {}, now))
      expect(await outbox.find('again')).toMatchObject({ feedback: null })
      expect(await note(lease, 'bounced_hard')).toMatchObject([{ changed: false }])
      expect(await note(later, 'delivered')).toMatchObject([{ changed: true }])
      expect(await outbox.find('again')).toMatchObject({ feedback: 'delivered' })
    })

    test('of mails that are not ours is no news, beside one that is', async () => {
      const lease = await sentMail('neighbour')
      const strange = [
        '',
        'x',
        `none-${now.toString(36)}`,
        `neighbour-${'z'.repeat(9)}`,
        "'; --",
        '\0',
        'é-1',
      ]
      const reports = [...strange, messageIdOf(lease)].map(
        (messageId) => ({ messageId, feedback: 'delivered' }) as const,
      )
      const noted = await outbox.noteFeedback(reports)
      expect(noted.map(({ changed }) => changed)).toEqual([...strange.map(() => false), true])
    })
  })
