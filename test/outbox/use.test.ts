/** Which services may share an outbox, on both stores. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { reserveOutbox } from '../../src/outbox/use.ts'
import { open, stores, type Store } from './stores.ts'

const place = { name: '/data/outbox.sqlite', variable: 'DATA_DIR' } as const

describe.each(stores)('$name', ({ name, skipped, start }) => {
  let store: Store
  beforeAll(async () => void (skipped || (store = await start())))
  afterAll(async () => store?.close())

  it.skipIf(skipped)(`the outbox in ${name} is of one use, and stays so for the next start`, async () => {
    for (const [first, second, sentence] of [
      [
        'inbox',
        'production',
        /outbox \/data\/outbox.sqlite \(DATA_DIR\) holds mails of a development service/,
      ],
      ['production', 'inbox', /outbox.sqlite \(DATA_DIR\) belongs to a production service/],
    ] as const) {
      const another = await store.another()
      const outbox = await open(another)
      await reserveOutbox(outbox, first, place)
      await reserveOutbox(outbox, first, place)
      await outbox.close()
      const next = await open(another)
      onTestFinished(() => next.close())
      await expect(reserveOutbox(next, second, place)).rejects.toThrow(sentence)
    }
  })

  it.skipIf(skipped)(`the outbox in ${name} is not asked while it cannot be used`, async () => {
    const outbox = await open(await store.another())
    await outbox.close()
    await expect(reserveOutbox(outbox, 'production', place)).resolves.toBeUndefined()
  })
})
