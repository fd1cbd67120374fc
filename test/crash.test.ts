/**
 * The crash matrix: real processes on a real store, killed or stopped at a chosen point, before a relay that pauses there.
 * One waits until the lease of the killed is over, with time ten times faster; the others end it themselves. Of those that
 * are stopped, an exit with 0 says that they had ended by themselves before the shutdown's own time was over.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { graceMs } from '../src/shutdown.ts'
import { titled } from './support/missing.ts'
import { type Script, scriptedRelay } from './support/relay.ts'
import { startReplica } from './support/replica.ts'
import { ask, askHeard, idleConnection, patience, pauseAt, scene } from './support/scene.ts'
import { engines, type ServiceStores } from './support/service-store.ts'

describe.concurrent.each(engines)(
  'a process on $engine',
  { timeout: 120_000 },
  ({ missing, startStores }) => {
    if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

    let stores: ServiceStores
    beforeAll(async () => {
      stores = await startStores()
    })
    afterAll(() => stores.close())

    it('killed: another sends once the lease is over, which is a minute long', async (context) => {
      const { script, reached } = pauseAt('connect', '220 relay')
      const { store, relay, replica, states } = await scene(stores, context, script)
      const [service, other] = [await replica(10), await replica(10)]
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      const [leased] = await store.rows('select created, due from outbox_mail')
      expect(Number(leased?.['due']) - Number(leased?.['created'])).toBe(60_000)
      await context.expect.poll(states, patience).toEqual(['sent'])
      const [row] = await store.rows('select done from outbox_mail')
      expect(Number(row?.['done'])).toBeGreaterThanOrEqual(Number(leased?.['due']))
      expect(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('killed before the insert commits: nothing was promised, and a repeat is one mail', async (context) => {
      const { store, replica, survivor, states, untilSent } = await scene(stores, context)
      const service = await replica()
      const release = await store.hold()
      const asked = ask(service)
      await sleep(400)
      await service.kill()
      expect(await asked).toBeUndefined()
      await release()
      expect(await states()).toEqual([])
      expect(await ask((await survivor()).app)).toMatchObject({ status: 200, code: 'sent' })
      await untilSent(1)
    })

    it.for([
      ['before the relay has greeted', 'connect', '220 relay'],
      ['before the sender is named', 'MAIL', '250 ok'],
      ['before the relay asks for the message', 'DATA', '354 go ahead'],
    ] as const)(
      'killed after the insert, %s: one mail once the lease is over',
      async ([_title, stage, usual], context) => {
        const { script, reached, go } = pauseAt(stage, usual)
        const { replica, states, untilSent } = await scene(stores, context, script)
        const service = await replica()
        const asked = ask(service)
        await reached
        await service.kill()
        expect(await asked).toBeUndefined()
        expect(await states()).toEqual(['sending'])
        go()
        await untilSent(1)
      },
    )

    it('killed while another caller asks for the same: that one hears queued, and it is one mail', async (context) => {
      const { script, reached } = pauseAt('connect', '220 relay')
      const { replica, survivor, untilSent } = await scene(stores, context, script)
      const service = await replica()
      const { app } = await survivor()
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      expect(await ask(app)).toMatchObject({ status: 202, code: 'queued' })
      await untilSent(1)
    })

    it.for([
      ['the relay has dropped it: one mail', '451 you went away', 1],
      ['the relay has taken it: two with one Message-ID', '250 ok', 2],
    ] as const)('killed after the message left, and %s', async ([_title, reply, count], context) => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const { replica, untilSent } = await scene(stores, context, script)
      const service = await replica()
      const asked = ask(service)
      await reached
      await service.kill()
      expect(await asked).toBeUndefined()
      go(reply)
      await untilSent(count)
    })

    it('killed after 250, before it was written down: the caller heard 0, and it is two with one Message-ID', async (context) => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const { store, replica, states, untilSent } = await scene(stores, context, script)
      const service = await replica()
      const asked = ask(service)
      await reached
      const release = await store.hold()
      go()
      expect(await asked).toMatchObject({ status: 200, code: 'sent' })
      await service.kill()
      await release()
      expect(await states()).toEqual(['sending'])
      await untilSent(2)
    })

    it('killed after it was written down: one mail, and a repeat hears 0', async (context) => {
      const { replica, states, untilSent } = await scene(stores, context)
      const service = await replica()
      expect(await ask(service)).toMatchObject({ status: 200, code: 'sent' })
      await context.expect.poll(states, patience).toEqual(['sent'])
      await service.kill()
      await untilSent(1)
    })

    it('killed while a mail waits for its next try: one mail, by another', async (context) => {
      const script: Script = { RCPT: (count) => (count === 1 ? '450 later' : '250 ok') }
      const { replica, untilSent } = await scene(stores, context, script)
      const service = await replica()
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await service.kill()
      await untilSent(1)
    })

    it('killed during that next try: one mail, by another', async (context) => {
      const again = Promise.withResolvers<void>()
      const script: Script = {
        RCPT: (count) => {
          if (count !== 2) return count === 1 ? '450 later' : '250 ok'
          again.resolve()
          return 'hang'
        },
      }
      const { replica, endWaits, untilSent } = await scene(stores, context, script)
      const service = await replica()
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await endWaits()
      await again.promise
      await service.kill()
      await untilSent(1)
    })

    it('stopped during a send that takes longer than callers wait: 202, exit 0, sent once', async (context) => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const { relay, replica, states } = await scene(stores, context, script)
      const service = await replica()
      const asked = ask(service)
      await reached
      const stopped = service.stop()
      expect(await asked).toMatchObject({ status: 202, code: 'queued' })
      go()
      expect(await stopped).toBe(0)
      expect(await states()).toEqual(['sent'])
      expect(relay.mails).toHaveLength(1)
    })

    it('stopped during a send that never ends: exit 0 in time, and another sends it', async (context) => {
      const { script, reached } = pauseAt('RCPT', '250 ok')
      const { replica, states, untilSent } = await scene(stores, context, script)
      const service = await replica()
      const asked = ask(service)
      await reached
      const stopped = service.stop()
      expect(await asked).toMatchObject({ status: 202, code: 'queued' })
      expect(await stopped).toBe(0)
      expect(await states()).toEqual(['queued'])
      await untilSent(1)
    })

    it('stopped before it asked the relay: 202, exit 0, and another sends it at once', async (context) => {
      const { store, relay, replica, survivor, states } = await scene(stores, context)
      const service = await replica()
      const { app: other } = await survivor()
      const release = await store.hold()
      const { closed } = await idleConnection(service)
      const { heard, answer } = askHeard(service)
      await heard
      const stopped = service.stop()
      await closed
      await release()
      expect(await answer).toMatchObject({ code: 'queued' })
      expect(await stopped).toBe(0)
      // a lease that nobody gave back would last longer than this patience
      await context.expect.poll(states, patience).toEqual(['sent'])
      expect(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
      expect(relay.mails).toHaveLength(1)
    })

    it('stopped while a mail is tried again: exit 0, sent once', async (context) => {
      const { script, reached, go } = pauseAt('dot', '250 ok')
      const { relay, replica, states, endWaits } = await scene(stores, context, {
        ...script,
        RCPT: (count) => (count === 1 ? '450 later' : '250 ok'),
      })
      const service = await replica()
      expect(await ask(service)).toMatchObject({ status: 202, code: 'queued' })
      await endWaits()
      await reached
      const stopped = service.stop()
      await sleep(200)
      go()
      expect(await stopped).toBe(0)
      expect(await states()).toEqual(['sent'])
      expect(relay.mails).toHaveLength(1)
    })

    it('stopped while relay and store hang both: exit 0 in time', async (context) => {
      const { script, reached } = pauseAt('RCPT', '250 ok')
      const { store, replica } = await scene(stores, context, script)
      const service = await replica()
      void ask(service)
      await reached
      const release = await store.hold()
      expect(await service.stop()).toBe(0)
      await release()
    })
  },
)

it('a shutdown ends by itself before a platform kills, 30 s after it asked', () => {
  expect(graceMs).toBeLessThan(25_000)
})

describe('a disk that is lost at every restart, as on Heroku', () => {
  const started = async (env: Record<string, string>, { onTestFinished }: TestContext) => {
    const relay = await scriptedRelay()
    onTestFinished(() => relay.close())
    const service = await startReplica({ store: { env: {} }, relay, env: { DYNO: 'web.1', ...env } })
    onTestFinished(() => service.kill())
    await expect.poll(service.output).toContain('listening')
    return service.output()
  }

  it('is warned of at the start', async (context) => {
    expect(await started({}, context)).toMatch(
      /"level":40.*DATABASE_URL: is not set, and a dyno loses its disk/,
    )
  })

  it('is no matter with Postgres', async (context) => {
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' }
    expect(await started(env, context)).not.toContain('loses its disk')
  })
})
