/** A store that goes away under a real process, and comes back. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { titled } from './support/missing.ts'
import { ask, patience, pauseAt, scene } from './support/scene.ts'
import type { Service } from './support/service.ts'
import { engines, type ServiceStore, type ServiceStores } from './support/service-store.ts'

/** One after the other: they stop the one server that all of them use. */
describe.each(engines)('a store on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  beforeAll(async () => {
    stores = await startStores({ own: true })
  })
  afterAll(() => stores.close())

  it('that is away between 250 and the settling: the caller hears 0, and it is one mail', async (context) => {
    const { script, reached, go } = pauseAt('dot', '250 ok')
    const { store, relay, replica, states } = await scene(stores, context, script)
    const service = await replica()
    const asked = ask(service)
    await reached
    const restore = await takeAway(store, stores)
    go()
    expect(await asked).toMatchObject({ status: 200, code: 'sent' })
    await expect.poll(service.output).toContain('the store is gone')
    await restore()
    await expect.poll(states, patience).toEqual(['sent'])
    expect(await ask(service)).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
    await expect.poll(service.output).toContain('the store is back')
  })

  it('that is away when a mail is to be accepted: refused, nothing sent, and well again by itself', async (context) => {
    const { store, relay, replica } = await scene(stores, context)
    const service = await replica()
    const restore = await takeAway(store, stores)
    expect(await ask(service)).toMatchObject({ status: 503, code: 'store_unavailable' })
    // from now on it is known
    await expectRefusalsAtOnce(service)
    const ready = await fetch(`${service.url}/health/ready`)
    expect(ready.status).toBe(503)
    expect(await ready.json()).toMatchObject({ error: 2, code: 'store_unavailable' })
    expect(relay.commands.filter((line) => line.startsWith('MAIL'))).toEqual([])
    await restore()
    await expect.poll(() => ask(service), patience).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
    const again = await fetch(`${service.url}/health/ready`)
    expect(await again.json()).toMatchObject({ code: 'ready', store: 'ok' })
  })

  it('that is away at the start: the service listens, refuses at once, and is well again by itself', async (context) => {
    const { store, relay, replica } = await scene({ ...stores, fresh: stores.untouched }, context)
    const restore = await takeAwayBeforeStart(store, stores)
    const service = await replica()
    await expectRefusalsAtOnce(service)
    await restore()
    await expect.poll(() => ask(service), patience).toMatchObject({ status: 200, code: 'sent' })
    expect(relay.mails).toHaveLength(1)
  })
})

/** So many that each waited for the store, which takes seconds, could not be refused while a test runs. */
async function expectRefusalsAtOnce(service: Service): Promise<void> {
  for (let n = 0; n < 30; n += 1)
    expect(await ask(service)).toMatchObject({ status: 503, code: 'store_unavailable' })
}

/** Postgres is stopped. A file cannot be, so another program locks it for longer than anybody waits. */
async function takeAway(
  store: ServiceStore,
  { server }: Pick<ServiceStores, 'server'>,
): Promise<() => Promise<void>> {
  if (!server) return store.hold()
  await server.stop()
  return () => server.start()
}

async function takeAwayBeforeStart(store: ServiceStore, stores: ServiceStores): Promise<() => Promise<void>> {
  const folder = store.env['DATA_DIR']
  if (folder === undefined) return takeAway(store, stores)
  await mkdir(dirname(folder), { recursive: true })
  await writeFile(folder, 'a file where the folder should be')
  return () => rm(folder)
}
