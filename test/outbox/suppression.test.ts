import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Feedback } from '../../src/feedback.ts'
import type { Lease, NewMail, Outbox } from '../../src/outbox/api.ts'
import { messageIdOf } from '../../src/outbox/mail-id.ts'
import { mail, open, own, sent, type Store, stores } from './stores.ts'

const dayMs = 86_400_000

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`suppression on ${name}`, () => {
    let store: Store
    let outbox: Outbox
    /** Other replicas: where a bounce counts in all apps, where it counts nowhere, and with a new secret. */
    let all: Outbox
    let off: Outbox
    let rotated: Outbox
    let now = 1_800_000_000_000
    let count = 0
    beforeAll(async () => {
      store = await start()
      const options = { clock: () => now, suppression: 'app', limits: {} } as const
      ;[outbox, all, off, rotated] = await Promise.all([
        open(store, options),
        open(store, { ...options, suppression: 'all' }),
        open(store, { ...options, suppression: undefined }),
        open(store, { ...options, secrets: ['a new secret of the tests', 'the secret of the tests'] }),
      ])
    })
    afterAll(async () => {
      await Promise.all([outbox, all, off, rotated].map((one) => one.close()))
      await store.close()
    })

    const mailTo = (recipient: string, over: Partial<NewMail> = {}) =>
      mail(`mail-${(count += 1)}`, { recipient, ...over }, now)
    const stateOf = async (recipient: string, over: Partial<NewMail> = {}, at = outbox) =>
      (await at.accept(mailTo(recipient, over))).state
    /** Sends a mail, of which the relay then reports. */
    async function report(recipient: string, feedback: Feedback, over: Partial<NewMail> = {}, at = outbox) {
      const lease = await own(at, mailTo(recipient, { retrySuppressed: true, ...over }))
      await at.settle(lease, sent)
      now += 1000
      await at.noteFeedback([{ messageId: messageIdOf(lease), feedback }])
      return lease
    }

    test('begins with a hard bounce and with nothing else, for this app, in any spelling', async () => {
      for (const word of [
        'delivered',
        'delayed',
        'bounced_soft',
        'suppressed_by_relay',
        'complained',
      ] as const) {
        await report(`${word}@example.org`, word)
        expect(await stateOf(`${word}@example.org`)).toBe('owner')
      }
      await report('hard@example.org', 'bounced_hard')
      expect(await stateOf('hard@example.org')).toBe('suppressed')
      expect(await stateOf('HARD@Example.org')).toBe('suppressed')
      expect(await stateOf('other@example.org')).toBe('owner')
      expect(await stateOf('hard@example.org', { app: 'shop' })).toBe('owner')
    })

    test('counts in all apps where it is told to, and nowhere where it is off', async () => {
      await report('scope@example.org', 'bounced_hard')
      expect(await stateOf('scope@example.org', { app: 'shop' }, all)).toBe('suppressed')
      expect(await stateOf('scope@example.org', {}, off)).toBe('owner')
      await report('off@example.org', 'bounced_hard', {}, off)
      expect(await stateOf('off@example.org')).toBe('owner')
    })

    test('stores nothing, counts in no limit, and leaves what was stored as it was', async () => {
      const limited = await open(store, {
        clock: () => now,
        suppression: 'app',
        limits: { recipient: { max: 2, windowMs: 3_600_000 } },
      })
      const first = mailTo('limit@example.org')
      await limited.settle(await own(limited, first), sent)
      await report('limit@example.org', 'bounced_hard')
      const refused = mailTo('limit@example.org')
      for (let n = 0; n < 5; n += 1) expect(await limited.accept(refused)).toEqual({ state: 'suppressed' })
      expect(await outbox.find(refused.id)).toBeUndefined()
      // the same token again has the answer of its mail
      expect(await limited.accept(first)).toMatchObject({ state: 'existing', mail: { state: 'sent' } })
      expect(await limited.accept({ ...refused, retrySuppressed: true })).toMatchObject({ state: 'owner' })
      await limited.close()
    })

    test('refuses its mails among others that come at once', async () => {
      await report('crowd@example.org', 'bounced_hard')
      const asked = Array.from({ length: 20 }, (_, n) =>
        mailTo(n % 2 ? 'crowd@example.org' : `crowd${n}@example.org`),
      )
      const states = (await Promise.all(asked.map((one) => outbox.accept(one)))).map(({ state }) => state)
      expect(states).toEqual(asked.map((_, n) => (n % 2 ? 'suppressed' : 'owner')))
    })

    test('refuses what would take the place of a dead mail, or of one whose window is over', async () => {
      const dead = mailTo('dead@example.org')
      await outbox.settle(await own(outbox, dead), { state: 'dead', detail: 'recipient' })
      await report('dead@example.org', 'bounced_hard')
      expect(await outbox.accept(dead)).toEqual({ state: 'suppressed' })
      expect(await outbox.find(dead.id)).toMatchObject({ state: 'dead' })
      expect(await outbox.accept({ ...dead, retrySuppressed: true })).toMatchObject({ state: 'owner' })
    })

    test('ends after 30 days, and later after each repetition', async () => {
      const recipient = 'again@example.org'
      for (const days of [30, 60, 120, 240, 240]) {
        await report(recipient, 'bounced_hard')
        now += (days - 1) * dayMs
        expect(await stateOf(recipient)).toBe('suppressed')
        now += dayMs + 1
        expect(await stateOf(recipient)).toBe('owner')
      }
      now += 91 * dayMs
      await outbox.purge()
      expect(await outbox.findSuppressed(recipient)).toEqual([])
    })

    test('lasts 30 days, however many mails were under way to the address when the first of them bounced', async () => {
      const recipient = 'four@example.org'
      const leases = []
      for (let n = 0; n < 4; n += 1) {
        const lease = await own(outbox, mailTo(recipient))
        await outbox.settle(lease, sent)
        leases.push(lease)
      }
      for (const lease of leases)
        await outbox.noteFeedback([{ messageId: messageIdOf(lease), feedback: 'bounced_hard' }])
      const [found] = await outbox.findSuppressed(recipient)
      expect(Number(found?.until) - Number(found?.since)).toBe(30 * dayMs)
    })

    test('keeps what an operator has added when a mail to it bounces', async () => {
      const recipient = 'added@example.org'
      const lease = await own(outbox, mailTo(recipient))
      await outbox.settle(lease, sent)
      await outbox.suppress([{ address: recipient, app: 'default', reason: 'added', ms: 365 * dayMs }])
      await outbox.noteFeedback([{ messageId: messageIdOf(lease), feedback: 'bounced_hard' }])
      expect(await outbox.findSuppressed(recipient)).toMatchObject([{ reason: 'added' }])
      await outbox.liftSuppression(recipient)
    })

    test('is no matter for a mail that tries all the same, also while the secret is replaced', async () => {
      await report('rotate@example.org', 'bounced_hard')
      const mails = [mailTo('rotate@example.org', { retrySuppressed: true }), mailTo('fine@example.org')]
      const states = await Promise.all(mails.map((one) => rotated.accept(one)))
      expect(states.map(({ state }) => state)).toEqual(['owner', 'owner'])
    })

    test('is lifted by a delivery, but not by one of a mail that is older than the bounce', async () => {
      const old = await own(outbox, mailTo('lift@example.org'))
      await outbox.settle(old, sent)
      await report('lift@example.org', 'bounced_hard')
      await outbox.noteFeedback([{ messageId: messageIdOf(old), feedback: 'delivered' }])
      expect(await stateOf('lift@example.org')).toBe('suppressed')
      await report('lift@example.org', 'delivered', { app: 'shop' })
      expect(await stateOf('lift@example.org')).toBe('suppressed')
      await report('lift@example.org', 'delivered')
      expect(await stateOf('lift@example.org')).toBe('owner')
    })

    test('ends equal whether a bounce and a delivery of one mail come in this order or the other', async () => {
      for (const order of [
        ['bounced_hard', 'delivered', 'complained'],
        ['complained', 'delivered', 'bounced_hard'],
      ] as const) {
        const recipient = `${order[0]}-first@example.org`
        const lease = await report(recipient, order[0])
        for (const feedback of [...order, ...order])
          await outbox.noteFeedback([{ messageId: messageIdOf(lease), feedback }])
        expect(await stateOf(recipient)).toBe('suppressed')
        expect(await outbox.findSuppressed(recipient)).toMatchObject([{ times: 1 }])
      }
    })

    test('ends equal in every order in which the relay reports of an address', async () => {
      for (const scope of [outbox, all]) {
        const ways = combinations<Feedback>(['bounced_hard', 'delivered'], 3).flatMap((words) =>
          permutations([0, 1, 2]).map((order) => ({
            words,
            order,
            recipient: `order-${(count += 1)}@example.org`,
          })),
        )
        const note = (reports: readonly (readonly [Lease, Feedback])[]) => {
          now += 1000
          return scope.noteFeedback(
            reports.map(([lease, feedback]) => ({ messageId: messageIdOf(lease), feedback })),
          )
        }
        const accept = (app: string) => {
          now += 1000
          const over = { app, retrySuppressed: true }
          return Promise.all(ways.map(({ recipient }) => own(scope, mailTo(recipient, over))))
        }
        // a first bounce is known, and then three mails were accepted all the same
        await note((await accept('default')).map((lease) => [lease, 'bounced_hard']))
        const leases = [await accept('default'), await accept('shop'), await accept('default')]
        for (const turn of [0, 1, 2])
          await note(ways.map(({ words, order }, way) => [leases[order[turn]!]![way]!, words[order[turn]!]!]))

        const ends = new Map<string, Set<string>>()
        for (const { words, recipient } of ways) {
          const end = await Promise.all(['default', 'shop'].map((app) => stateOf(recipient, { app }, scope)))
          if (words[2] === 'bounced_hard') expect(end[0]).toBe('suppressed')
          else if (scope === outbox || words[1] === 'delivered') expect(end[0]).toBe('owner')
          ends.set(words.join(), (ends.get(words.join()) ?? new Set()).add(end.join()))
        }
        for (const [words, different] of ends) expect([words, ...different]).toHaveLength(2)
      }
    })

    test('is not begun again by what bounced before the mail that lifted it', async () => {
      const recipient = 'belated@example.org'
      const old = await own(outbox, mailTo(recipient))
      await report(recipient, 'bounced_hard')
      now += 1000
      await report(recipient, 'delivered')
      expect(await outbox.findSuppressed(recipient)).toEqual([])
      await outbox.noteFeedback([{ messageId: messageIdOf(old), feedback: 'bounced_hard' }])
      expect(await stateOf(recipient)).toBe('owner')
      expect(await outbox.liftSuppression(recipient)).toEqual([])
    })

    test('holds while the secret is being replaced', async () => {
      await report('rotate-holds@example.org', 'bounced_hard')
      expect(await stateOf('rotate-holds@example.org', {}, rotated)).toBe('suppressed')
      expect(await rotated.findSuppressed('rotate-holds@example.org')).toMatchObject([{ reason: 'bounced' }])
    })

    test('is lifted by a delivery while the secret is being replaced, but for what an operator has added', async () => {
      const recipient = 'rotate-lift@example.org'
      await report(recipient, 'bounced_hard')
      await report(recipient, 'bounced_hard', { app: 'shop' })
      await report(recipient, 'delivered', { app: 'shop' }, rotated)
      expect(await stateOf(recipient, {}, rotated)).toBe('suppressed')
      await report(recipient, 'delivered', {}, rotated)
      expect(await stateOf(recipient, {}, rotated)).toBe('owner')
      // a replica that has not got the new secret yet
      await report(recipient, 'bounced_hard')
      expect(await stateOf(recipient, {}, rotated)).toBe('suppressed')
      await report(recipient, 'delivered', {}, rotated)
      expect(await stateOf(recipient, {}, rotated)).toBe('owner')
      await outbox.suppress([{ address: recipient, app: 'default', reason: 'added' }])
      await report(recipient, 'delivered', {}, rotated)
      expect(await stateOf(recipient, {}, rotated)).toBe('suppressed')
    })

    test('is seen, added and lifted by operators, who see no address', async () => {
      await outbox.suppress([
        { address: 'added@example.org', reason: 'added' },
        { address: 'shop@example.org', app: 'shop', reason: 'imported', ms: dayMs },
      ])
      expect(await stateOf('added@example.org', { app: 'any' })).toBe('suppressed')
      expect(await stateOf('shop@example.org')).toBe('owner')
      const [shop] = await outbox.findSuppressed('Shop@example.org')
      expect(shop).toMatchObject({
        app: 'shop',
        reason: 'imported',
        since: now,
        until: now + dayMs,
        times: 1,
      })
      const listed = await outbox.listSuppressed(1000)
      expect(listed).toContainEqual(shop)
      expect(JSON.stringify(listed)).not.toContain('@')
      // what an operator has added, no delivery lifts
      await report('added@example.org', 'delivered')
      expect(await stateOf('added@example.org')).toBe('suppressed')
      expect(await outbox.liftSuppression('added@example.org', 'shop')).toEqual([])
      expect(await outbox.liftSuppression('added@example.org')).toHaveLength(1)
      expect(await outbox.liftSuppression(shop!.recipient)).toHaveLength(1)
      expect(await outbox.liftSuppression(shop!.recipient)).toEqual([])
      expect(await stateOf('added@example.org')).toBe('owner')
    })
  })

/** Every list of so many of them. */
const combinations = <Item>(items: readonly Item[], length: number): Item[][] =>
  length === 0
    ? [[]]
    : items.flatMap((item) => combinations(items, length - 1).map((rest) => [item, ...rest]))

const permutations = (items: readonly number[]): number[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item) =>
        permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
      )
