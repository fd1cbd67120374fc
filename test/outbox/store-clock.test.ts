import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/api.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import { titled } from '../support/missing.ts'
import { postgresMissing, startPostgres, type TestPostgres } from '../support/postgres.ts'
import { engineAt, mail, open, own } from './stores.ts'

const missing = postgresMissing()

describe.skipIf(missing !== undefined)(titled("a replica's clock beside that of Postgres", missing), () => {
  let postgres: TestPostgres
  let outboxes: Outbox[]
  let warnings: object[]
  beforeEach(async () => {
    postgres = await startPostgres()
    outboxes = []
    warnings = []
  })
  afterEach(async () => {
    await Promise.all(outboxes.map((outbox) => outbox.close()))
    await postgres.close()
  })

  /** A replica whose own clock is so far ahead of the database's. */
  async function replicaAhead(aheadMs: number): Promise<Outbox> {
    const engine = (): Engine => ({
      ...engineAt(postgres.url),
      clockMs: async () => Date.now() - aheadMs,
    })
    const log = { info() {}, warn: (fields: object) => void warnings.push(fields), error() {} }
    const outbox = await open({ engine }, { log })
    outboxes.push(outbox)
    return outbox
  }

  test('that is right is not warned of', async () => {
    const skewMs = ((await engineAt(postgres.url).clockMs?.()) ?? 0) - Date.now()
    expect(Math.abs(skewMs)).toBeLessThan(5000)
    await replicaAhead(0)
    expect(warnings).toEqual([])
  })

  test('that is 90 s ahead takes no mail that another replica is sending', async () => {
    // all replicas but this one, and the database, are 90 s behind the clock of this test
    const other = await open({ engine: () => engineAt(postgres.url) }, { clock: () => Date.now() - 90_000 })
    outboxes.push(other)
    const lease = await own(other, mail('under way'))
    const ahead = await replicaAhead(90_000)
    expect(await ahead.leaseDue(10)).toEqual([])
    expect(warnings).toMatchObject([{ aheadS: 90 }])
    await other.handBack(lease)
    expect(await ahead.leaseDue(10)).toHaveLength(1)
  })

  test('that is 90 s behind gives its own leases their whole minute', async () => {
    const behind = await replicaAhead(-90_000)
    await own(behind, mail('a'))
    const { due = 0 } = (await behind.find('a')) ?? {}
    expect(due - Date.now()).toBeGreaterThan(100_000)
    expect(warnings).toMatchObject([{ aheadS: -90 }])
  })
})
