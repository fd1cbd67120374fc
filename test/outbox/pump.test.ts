import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Due, Outbox, Settlement } from '../../src/outbox/api.ts'
import { type Pump, type PumpOptions, startPump } from '../../src/outbox/pump.ts'
import { countAll, mail, open, own, sent, silent, type Store, stores } from './stores.ts'

describe('the pump', () => {
  let store: Store
  let outbox: Outbox
  let pumps: Pump[]

  beforeEach(async () => {
    pumps = []
    store = await (stores[0] ?? raise()).start()
    outbox = await open(store)
  })
  afterEach(async () => {
    await Promise.all(pumps.map((pump) => pump.stop(0)))
    await outbox.close()
    await store.close()
  })

  function start(attempt: (due: Due) => Promise<Settlement>, over: Partial<PumpOptions> = {}): Pump {
    const pump = startPump({ outbox, attempt, log: silent, everyMs: 50, ...over })
    pumps.push(pump)
    return pump
  }
  const queue = async (count: number) => {
    for (let n = 0; n < count; n += 1) await outbox.handBack(await own(outbox, mail(`m${n}`)))
  }
  const stats = () => countAll(outbox)

  test('tries each mail that is due once and settles it', async () => {
    await queue(40)
    const tried: string[] = []
    start(async ({ id, token }) => {
      tried.push(id)
      expect(token).toBe(mail(id).token)
      return id === 'm7' ? { state: 'dead', detail: '550' } : sent
    })
    await expect.poll(stats).toMatchObject({ sent: 39, dead: 1, queued: 0 })
    expect(new Set(tried).size).toBe(40)
    expect(tried).toHaveLength(40)
  })

  test('leases more as soon as a few places are free, long before half of them are', async () => {
    await queue(60)
    const ends: (() => void)[] = []
    start(
      async () => {
        await new Promise<void>((resolve) => ends.push(resolve))
        return sent
      },
      { maxRunning: () => 20, everyMs: 60_000 },
    )
    await expect.poll(() => ends.length).toBe(20)
    for (const end of ends.slice(0, 4)) end()
    await expect.poll(() => ends.length).toBe(24)
    for (let next = 4; next < 60; next++) {
      await expect.poll(() => ends.length).toBeGreaterThan(next)
      ends[next]!()
    }
    await expect.poll(stats).toMatchObject({ sent: 60 })
  })

  test('two pumps on one store share the work', async () => {
    await queue(40)
    const tried: string[] = []
    const attempt = async ({ id }: Due) => {
      tried.push(id)
      await pause(5)
      return sent
    }
    const other = await open(store)
    start(attempt)
    start(attempt, { outbox: other })
    await expect.poll(stats).toMatchObject({ sent: 40 })
    expect(tried).toHaveLength(40)
    await Promise.all(pumps.map((pump) => pump.stop(1000)))
    await other.close()
  })

  test('never runs more tries at once than `maxRunning`, and leases at once while more mails are due', async () => {
    await queue(12)
    let running = 0
    let most = 0
    start(
      async () => {
        most = Math.max(most, (running += 1))
        await pause(20)
        running -= 1
        return sent
      },
      { maxRunning: () => 3, everyMs: 60_000 },
    )
    await expect.poll(stats).toMatchObject({ sent: 12 })
    expect(most).toBe(3)
  })

  test('a try that throws leaves its mail in the queue', async () => {
    await queue(1)
    start(async () => {
      throw new Error('a bug')
    })
    await expect
      .poll(() => outbox.find('m0'))
      .toMatchObject({ state: 'queued', detail: 'internal', attempts: 1 })
  })

  test('a stop waits for running tries and leases no more mails', async () => {
    await queue(5)
    const hold = Promise.withResolvers<typeof sent>()
    const pump = start(() => hold.promise, { maxRunning: () => 2 })
    await expect.poll(stats).toMatchObject({ sending: 2 })
    const stopped = pump.stop(60_000)
    await pause(50)
    expect(await stats()).toMatchObject({ sending: 2 })
    hold.resolve(sent)
    await stopped
    expect(await stats()).toMatchObject({ sent: 2, queued: 3, sending: 0 })
  })

  test('a stop hands back the mails that are not done in time, and a late success still counts', async () => {
    await queue(1)
    let finish: (settlement: Settlement) => void = raise
    const pump = start(() => new Promise<Settlement>((resolve) => (finish = resolve)))
    await expect.poll(stats).toMatchObject({ sending: 1 })
    await pump.stop(50)
    expect(await stats()).toMatchObject({ queued: 1, sending: 0 })
    finish(sent)
    await expect.poll(stats).toMatchObject({ sent: 1, queued: 0 })
  })

  test('rests while no relay can be tried, and has the mails that die meanwhile told so', async () => {
    await queue(1)
    let looks = 0
    const counting: PumpOptions['outbox'] = {
      ...outbox,
      leaseDue: (limit) => outbox.leaseDue((looks++, limit)),
    }
    start(async () => sent, { outbox: counting, ready: () => false, everyMs: 60_000 })
    await outbox.settle(await own(outbox, mail('late', { expires: Date.now() + 5 })), sentLater)
    await pause(10)
    expect(looks).toBe(1)
    start(async () => sent, { ready: () => false })
    await expect.poll(stats).toMatchObject({ dead: 1, queued: 1 })
  })

  test('goes on when the store was unavailable for a while', async () => {
    await queue(1)
    let failures = 3
    const flaky: PumpOptions['outbox'] = {
      ...outbox,
      leaseDue: (limit) =>
        failures-- > 0 ? Promise.reject(new Error('unavailable')) : outbox.leaseDue(limit),
    }
    start(async () => sent, { outbox: flaky })
    await expect.poll(stats).toMatchObject({ sent: 1 })
  })

  test('purges mails whose window is over', async () => {
    await outbox.settle(await own(outbox, mail('old', { windowMs: 1 })), sent)
    let now = Date.now()
    start(async () => sent, { clock: () => (now += 61_000) })
    await expect.poll(stats).toMatchObject({ sent: 0 })
  })
})

const sentLater: Settlement = { state: 'queued', detail: 'connect' }
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function raise(): never {
  throw new Error('nothing there')
}
