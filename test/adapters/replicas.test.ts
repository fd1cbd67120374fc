/** What the adapters promise where several replicas share one database. */
import { afterAll, describe, expect, it } from 'vitest'
import { postgresEngine } from '../../src/outbox/store/postgres.ts'
import { testApp } from '../support/app.ts'
import { foreignSystems, mailsOfEveryKind } from '../support/foreign.ts'
import { postgresMissing, startPostgres } from '../support/postgres.ts'
import { scriptedRelay } from '../support/relay.ts'
import { titled } from '../support/missing.ts'

const missing = postgresMissing()

describe.skipIf(missing !== undefined)(titled('two replicas on one Postgres', missing), () => {
  let close = async () => {}
  afterAll(() => close())

  it('make one mail of a storm of each system, whichever of them is called', async () => {
    const postgres = await startPostgres()
    close = postgres.close
    const relay = await scriptedRelay()
    const shared = {
      relay,
      mailsDir: mailsOfEveryKind(),
      routes: { adapters: foreignSystems.map(({ settings }) => settings) },
    }
    const replicas = await Promise.all(
      [1, 2].map(() => testApp({ ...shared, engine: postgresEngine({ url: postgres.url }) })),
    )
    const storm = foreignSystems.flatMap(({ system, sample, sign, success }) =>
      Array.from({ length: 20 }, async (_, n) => {
        const { headers, body } = sign(JSON.stringify(sample), undefined, new Date(Date.now() - n * 1_000))
        const url = `/adapters/${system}`
        const answer = await replicas[n % 2]!.app.inject({ method: 'POST', url, headers, payload: body })
        expect({ status: answer.statusCode, body: answer.body }).toEqual(success)
      }),
    )
    await Promise.all(storm)
    await expect.poll(() => relay.mails.length).toBe(foreignSystems.length)
    const tries = replicas.flatMap(({ logLines }) => logLines().filter(({ msg }) => msg === 'mail queued'))
    expect(tries.filter(({ repeated }) => repeated === true)).toHaveLength(19 * foreignSystems.length)
    expect(relay.mails).toHaveLength(foreignSystems.length)
    await relay.close()
  })
})
