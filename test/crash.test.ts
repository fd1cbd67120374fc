/**
 * The crash matrix: real processes on a real store, killed or cut off at a chosen point, before a relay that pauses there.
 * Most of them run with time twenty times faster, so that a lease is over after 3 s; one pair waits the whole minute.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import PostalMime from 'postal-mime'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Act, type Script, scriptedRelay, type ScriptedRelay, type Stage } from './support/relay.ts'
import { type ReplicaOptions, startReplica } from './support/replica.ts'
import type { Service } from './support/service.ts'
import { engines, type ServiceStore, type ServiceStores } from './support/store.ts'
import { signToken } from './support/tokens.ts'

const speed = 20
const leaseMs = 60_000 / speed
const patience = { timeout: 15_000, interval: 100 }

interface Answer {
  readonly status: number
  readonly code: string
  readonly ms: number
}

/** `undefined` when the service died before it answered. */
async function ask({ url }: Pick<Service, 'url'>, token = signToken()): Promise<Answer | undefined> {
  const started = performance.now()
  const response = await fetch(`${url}/emailservice/${token}`).catch(() => undefined)
  if (!response) return undefined
  const { code } = (await response.json()) as { code: string }
  return { status: response.status, code, ms: performance.now() - started }
}

/** Pauses the relay the first time it comes to `stage`, until `go`. */
function pauseAt(stage: Stage, usual: Act) {
  const reached = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<Act>()
  const script: Script = {
    [stage]: (count: number) => {
      if (count > 1) return usual
      reached.resolve()
      return answer.promise
    },
  }
  return { script, reached: reached.promise, go: (act: Act = usual) => answer.resolve(act) }
}

async function relayWith(script: Script = {}): Promise<ScriptedRelay> {
  const relay = await scriptedRelay(script)
  onTestFinished(() => relay.close())
  return relay
}

async function replica(options: ReplicaOptions): Promise<Service> {
  const service = await startReplica(options)
  onTestFinished(() => service.kill())
  return service
}

const messageIds = ({ mails }: ScriptedRelay) =>
  Promise.all(mails.map(async ({ source }) => (await PostalMime.parse(source)).messageId))

describe.each(engines)('with an outbox on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(missing, () => undefined)

  let stores: ServiceStores
  let store: ServiceStore
  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())
  beforeEach(async () => {
    store = await stores.fresh()
  })

  const states = async () => (await store.rows('select state from outbox_mail')).map(({ state }) => state)

  /** Another replica on the same store: one mail is there by the end, and a repeat hears so. */
  async function untilSent(relay: ScriptedRelay, count: number): Promise<void> {
    const other = await replica({ store, relay, speed })
    await expect.poll(states, patience).toEqual(['sent'])
    expect(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
    await sleep(leaseMs + 500)
    expect(relay.mails).toHaveLength(count)
    expect(new Set(await messageIds(relay)).size).toBe(1)
  }

  describe('kill -9', () => {
    it('before the insert commits: nothing was promised, and a repeat is one mail', async () => {
      const relay = await relayWith()
      const service = await replica({ store, relay, speed })
      const release = await store.hold()
      const asked = ask(service)
      await sleep(400)
      await service.kill()
      expect(await asked).toBeUndefined()
      await release()
      expect(await states()).toEqual([])
      const other = await replica({ store, relay, speed })
      expect(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
      await sleep(leaseMs + 500)
      expect(relay.mails).toHaveLength(1)
    })

    it.each([
      ['before the relay has greeted', 'connect', '220 relay'],
      ['before the sender is named', 'MAIL', '250 ok'],
      ['before the relay asks for the message', 'DATA', '354 go ahead'],
    ] as const)('after the insert, %s: one mail once the lease is over', async (_title, stage, usual) => {
      const { script, reached, go } = pauseAt(stage, usual)
      const relay = await relayWith(script)
      const service = await replica({ store, relay, speed })
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      expect(await states()).toEqual(['sending'])
      go()
      await untilSent(relay, 1)
    })

    it('while a caller asks again: queued, and one mail', async () => {
      const { script, reached } = pauseAt('connect', '220 relay')
      const relay = await relayWith(script)
      const [service, other] = [
        await replica({ store, relay, speed }),
        await replica({ store, relay, speed }),
      ]
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      expect(await ask(other)).toMatchObject({ status: 202, code: 'queued' })
      await untilSent(relay, 1)
    })

    it('after the message left, and the relay has dropped it: one mail', async () => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const relay = await relayWith(script)
      const service = await replica({ store, relay, speed })
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      go('451 you went away')
      await untilSent(relay, 1)
    })

    it('after the message left, and the relay has taken it: two with one Message-ID', async () => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const relay = await relayWith(script)
      const service = await replica({ store, relay, speed })
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      go()
      await untilSent(relay, 2)
    })

    it('after 250 and before it was written down: the caller heard 0, and it is two with one Message-ID', async () => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const relay = await relayWith(script)
      const service = await replica({ store, relay, speed })
      const asked = ask(service)
      await reached
      const release = await store.hold()
      go()
      expect(await asked).toMatchObject({ status: 200, code: 'sent' })
      await service.kill()
      await release()
      expect(await states()).toEqual(['sending'])
      await untilSent(relay, 2)
    })

    it('after it was written down: one mail, and a repeat hears 0', async () => {
      const relay = await relayWith()
      const service = await replica({ store, relay, speed })
      expect(await ask(service)).toMatchObject({ status: 200, code: 'sent' })
      await expect.poll(states, patience).toEqual(['sent'])
      await service.kill()
      await untilSent(relay, 1)
    })

    it('while it waits for its next try: one mail, by another replica', async () => {
      const relay = await relayWith({ RCPT: (count) => (count === 1 ? '450 later' : '250 ok') })
      const service = await replica({ store, relay, speed })
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await service.kill()
      await untilSent(relay, 1)
    })

    it('in the second try, by whoever makes it: one mail', async () => {
      const tries = { count: 0, reached: Promise.withResolvers<void>() }
      const relay = await relayWith({
        RCPT: () => {
          tries.count += 1
          if (tries.count === 1) return '450 later'
          if (tries.count > 2) return '250 ok'
          tries.reached.resolve()
          return 'hang'
        },
      })
      const service = await replica({ store, relay, speed })
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await tries.reached.promise
      await service.kill()
      await untilSent(relay, 1)
    })
  })

  describe('SIGTERM', () => {
    it('during a send that takes longer than callers wait: 202, exit 0, sent once', async () => {
      const relay = await relayWith({ dot: () => sleep(11_000, '250 ok') })
      const service = await replica({ store, relay })
      const asked = ask(service)
      await expect.poll(() => relay.commands.includes('DATA'), patience).toBe(true)
      const started = Date.now()
      const stopped = service.stop()
      expect(await asked).toMatchObject({ status: 202, code: 'queued' })
      expect(await stopped).toBe(0)
      expect(Date.now() - started).toBeLessThan(25_000)
      expect(await states()).toEqual(['sent'])
      expect(relay.mails).toHaveLength(1)
    })

    it('during a send that never ends: exit 0 within 25 s, and another replica sends it', async () => {
      const relay = await relayWith({ RCPT: (count) => (count === 1 ? 'hang' : '250 ok') })
      const service = await replica({ store, relay })
      const asked = ask(service)
      await expect.poll(() => relay.commands.join(), patience).toContain('RCPT')
      const started = Date.now()
      const stopped = service.stop()
      expect(await asked).toMatchObject({ status: 202, code: 'queued' })
      expect(await stopped).toBe(0)
      expect(Date.now() - started).toBeLessThan(25_000)
      expect(await states()).toEqual(['queued'])
      await untilSent(relay, 1)
    }, 60_000)

    it('while the pump tries a mail: exit 0, sent once', async () => {
      const relay = await relayWith({
        RCPT: (count) => (count === 1 ? '450 later' : '250 ok'),
        dot: () => sleep(500, '250 ok'),
      })
      const service = await replica({ store, relay, speed })
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await expect.poll(() => relay.commands.includes('DATA'), patience).toBe(true)
      expect(await service.stop()).toBe(0)
      expect(await states()).toEqual(['sent'])
      expect(relay.mails).toHaveLength(1)
    })

    it('with the store away: exit 0 within 25 s', async () => {
      const relay = await relayWith({ RCPT: () => 'hang' })
      const service = await replica({ store, relay })
      void ask(service)
      await expect.poll(() => relay.commands.join(), patience).toContain('RCPT')
      const release = await store.hold()
      const started = Date.now()
      expect(await service.stop()).toBe(0)
      expect(Date.now() - started).toBeLessThan(25_000)
      await release()
    }, 40_000)
  })

  it('a store that is away between 250 and the settling: the caller hears 0, and it is one mail', async () => {
    const { script, reached, go } = pauseAt('dot', '250 ok')
    const relay = await relayWith(script)
    const service = await replica({ store, relay })
    const asked = ask(service)
    await reached
    const restore = await takeAway(store, stores)
    go()
    expect(await asked).toMatchObject({ status: 200, code: 'sent' })
    await sleep(6_500)
    await restore()
    await expect.poll(states, patience).toEqual(['sent'])
    expect(await ask(service)).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
    expect(service.output()).toContain('the store is back')
  })

  it('a store that is away when a mail is to be accepted: refused, nothing sent, and well again by itself', async () => {
    const relay = await relayWith()
    const service = await replica({ store, relay })
    const restore = await takeAway(store, stores)
    expect(await ask(service)).toMatchObject({ status: 503, code: 'store_unavailable' })
    // from now on it is known, and nobody waits
    const second = await ask(service)
    expect(second).toMatchObject({ status: 503, code: 'store_unavailable' })
    expect(second?.ms).toBeLessThan(150)
    const ready = await fetch(`${service.url}/health/ready`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({
      error: 2,
      code: 'store_unavailable',
      store: expect.any(String),
    })
    expect(relay.commands.filter((line) => line.startsWith('MAIL'))).toEqual([])
    await restore()
    await expect.poll(() => ask(service), patience).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
    expect(await (await fetch(`${service.url}/health/ready`)).json()).toMatchObject({
      code: 'ready',
      store: 'ok',
    })
  })

  it('a store that is away at the start: the service listens, refuses at once, and is well again by itself', async () => {
    const relay = await relayWith()
    const restore = await takeAwayBeforeStart(store, stores)
    const service = await replica({ store, relay })
    const first = await ask(service)
    expect(first).toMatchObject({ status: 503, code: 'store_unavailable' })
    expect(first?.ms).toBeLessThan(150)
    await restore()
    await expect.poll(() => ask(service), patience).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
  })

  it('with the lease as long as it really is: another replica sends after a minute', async () => {
    const { script, reached } = pauseAt('connect', '220 relay')
    const relay = await relayWith(script)
    const [service, other] = [await replica({ store, relay }), await replica({ store, relay })]
    const asked = ask(service)
    await reached
    const started = Date.now()
    await service.kill()
    expect(await asked).toBeUndefined()
    await expect.poll(states, { timeout: 70_000, interval: 500 }).toEqual(['sent'])
    expect(Date.now() - started).toBeGreaterThan(57_000)
    expect(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
  }, 90_000)
})

/** Postgres is stopped. A file cannot be, so another program locks it for longer than anybody waits. */
async function takeAway(store: ServiceStore, { server }: ServiceStores): Promise<() => Promise<void>> {
  if (!server) return store.hold()
  await server.stop()
  return () => server.start()
}

async function takeAwayBeforeStart(
  store: ServiceStore,
  { server }: ServiceStores,
): Promise<() => Promise<void>> {
  const folder = store.env['DATA_DIR']
  if (folder === undefined) return takeAway(store, { server } as ServiceStores)
  await mkdir(dirname(folder), { recursive: true })
  await writeFile(folder, 'a file where the folder should be')
  return () => rm(folder)
}
