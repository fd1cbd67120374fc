import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/api.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { mail, open, own, query, sent, type Store, stores } from './stores.ts'

const now = 1_800_000_000_000
const secrets = ['a new secret of the tests', 'the secret of the tests']

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`erasing on ${name}`, () => {
    let store: Store
    let outbox: Outbox
    let before: Outbox
    beforeAll(async () => {
      store = await start()
      const options = { clock: () => now, limits: { recipient: { max: 30, windowMs: 3_600_000 } } }
      before = await open(store, options)
      outbox = await open(store, { ...options, secrets })
    })
    afterAll(async () => {
      await Promise.all([outbox.close(), before.close()])
      await store.close()
    })

    test('takes out what is stored about an address, also under the secret before, and nothing else', async () => {
      const to = (id: string, recipient: string) => mail(id, { recipient }, now)
      const queued = { state: 'queued', detail: 'connect' } as const
      await before.settle(await own(before, to('a-old', 'eve@example.org')), sent)
      await outbox.settle(await own(outbox, to('b-waiting', 'Eve@example.org')), queued)
      const sending = await own(outbox, to('c-sending', 'eve@example.org'))
      await outbox.settle(await own(outbox, to('d-dead', 'eve@example.org')), {
        state: 'dead',
        detail: 'recipient',
      })
      await outbox.settle(await own(outbox, to('e-other', 'ada@example.org')), queued)
      await outbox.suppress([{ address: 'eve@example.org', reason: 'added' }])

      expect(await outbox.erase('EVE@example.org')).toEqual({
        waiting: 2,
        done: 2,
        quotas: 2,
        suppressions: 1,
      })

      const rows = await query(
        store.address,
        `select id, state, detail, body is null as empty, recipient = '' as nameless from outbox_mail
          where kind <> 'probe' order by id`,
      )
      expect(
        rows.map(({ id, state, detail, empty, nameless }) => [
          id,
          state,
          detail,
          Boolean(empty),
          Boolean(nameless),
        ]),
      ).toEqual([
        ['a-old', 'sent', 'accepted', true, true],
        ['b-waiting', 'dead', 'erased', true, true],
        ['c-sending', 'dead', 'erased', true, true],
        ['d-dead', 'dead', 'recipient', true, true],
        ['e-other', 'queued', 'connect', false, false],
      ])
      expect(
        await query(store.address, `select key from outbox_quota where key like 'recipient:%'`),
      ).toHaveLength(1)
      expect(await outbox.requeue('b-waiting')).toBe(false)
      // the mail that was on its way when its address was erased is remembered as sent
      await outbox.settle(sending, sent)
      expect(await outbox.find('c-sending')).toMatchObject({ state: 'sent' })
      expect(await outbox.erase('eve@example.org')).toEqual({
        waiting: 0,
        done: 0,
        quotas: 0,
        suppressions: 0,
      })
      expect(await outbox.accept(to('a-old', 'eve@example.org'))).toMatchObject({ state: 'existing' })
    })

    test('leaves a mail of somebody else that has taken the place of one between its look and its stroke', async () => {
      const engine = store.engine()
      await engine.open()
      const window = 1000
      const first = await own(
        before,
        mail('f-replaced', { recipient: 'kim@example.org', windowMs: window }, now),
      )
      await before.settle(first, sent)
      let later = now
      const replacing = await open(store, { clock: () => later })
      const racing: Engine = {
        ...engine,
        async run(operations) {
          if (operations.some(({ op }) => op === 'erase')) {
            later = now + 2 * window
            await own(replacing, mail('f-replaced', { recipient: 'lea@example.org' }, later))
          }
          return engine.run(operations)
        },
      }
      const eraser = await open({ engine: () => racing }, { clock: () => now })
      expect(await eraser.erase('kim@example.org')).toMatchObject({ waiting: 0, done: 0 })
      expect(await before.find('f-replaced')).toMatchObject({ state: 'sending', detail: null })
      await Promise.all([eraser.close(), replacing.close()])
    })
  })
