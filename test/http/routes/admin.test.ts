/** The operator's page, as its JSON: one service in front of each database. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Store, stores } from '../../outbox/stores.ts'
import { testApp } from '../../support/app.ts'

const token = 'an admin token nobody guesses'
const headers = { authorization: `Bearer ${token}` }

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`on ${name}`, () => {
    let store: Store
    beforeAll(async () => {
      store = await start()
    })
    afterAll(() => store.close())

    test('first', async () => {
      const { app, log } = await testApp({ engine: store.engine(), admin: { token } })
      const o = await app.inject({ url: '/admin/overview', headers })
      console.log(o.body)
      console.log(
        (
          await app.inject({
            url: '/admin/mails',
            method: 'POST',
            headers,
            payload: { state: 'waiting', address: 'ada@example.org' },
          })
        ).body,
      )
      console.log(
        (
          await app.inject({
            url: '/admin/mails',
            method: 'POST',
            headers,
            payload: { state: 'dead', app: 'x', id: '1', after: '4444' },
          })
        ).body,
      )
      console.log(
        (await app.inject({ url: '/admin/requeue', method: 'POST', headers, payload: { all: true } })).body,
      )
      console.log((await app.inject({ url: '/admin', headers })).statusCode)
      console.log(log())
      expect(o.statusCode).toBe(200)
    })
  })
