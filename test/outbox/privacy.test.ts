import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mail, open, own, query, sent, type Store, stores } from './stores.ts'

const recipient = 'grace.hopper@navy.example'
const token = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify({ user_email: recipient })).toString('base64url')}.c2ln`

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`what is written to ${name}`, () => {
    let store: Store
    beforeAll(async () => {
      store = await start()
    })
    afterAll(() => store.close())

    test('names no recipient and shows no token, and keeps a token only while it may be needed', async () => {
      const outbox = await open(store, { limits: { recipient: { max: 30, windowMs: 3_600_000 } } })
      const settled = {
        sent,
        dead: { state: 'dead', detail: '550' },
        queued: { state: 'queued', detail: '451' },
      } as const
      for (const [id, settlement] of Object.entries(settled))
        await outbox.settle(await own(outbox, mail(id, { recipient, token })), settlement)
      await own(outbox, mail('sending', { recipient, token }))
      const mails = await query(store.address, 'select * from outbox_mail')
      const rows = JSON.stringify([
        mails,
        await query(store.address, 'select * from outbox_quota'),
      ]).toLowerCase()
      expect(rows).toContain('confirmation')
      const [, payload = ''] = token.split('.')
      for (const secret of ['grace', 'hopper', 'navy', payload, payload.slice(10, 40), token])
        expect(rows).not.toContain(secret.toLowerCase())
      const kept = mails.filter(({ body }) => body !== null).map(({ id }) => String(id))
      expect(kept.toSorted()).toEqual(['dead', 'queued', 'sending'])
      await outbox.close()
    })
  })

test('the SQLite files are for their owner alone, and so is the folder made for them', async () => {
  const store = await (stores[0]?.start() ?? Promise.reject(new Error('no SQLite')))
  const inside = await store.another()
  const outbox = await open(inside)
  await own(outbox, mail('a'))
  const folder = dirname(inside.address)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  const modes = readdirSync(folder).map((file) => [file, statSync(join(folder, file)).mode & 0o777])
  expect(Object.fromEntries(modes)).toEqual({
    'outbox.db': 0o600,
    'outbox.db-wal': 0o600,
    'outbox.db-shm': 0o600,
  })
  await outbox.close()
  await store.close()
})
