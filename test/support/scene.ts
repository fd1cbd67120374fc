/** Owns the scene of a crash: replicas of the service, with time running faster, on one store, before a relay that pauses where it is told to. */
import { setTimeout as sleep } from 'node:timers/promises'
import PostalMime from 'postal-mime'
import type { TestContext } from 'vitest'
import { askTimed } from './caller.ts'
import { type Act, type Script, scriptedRelay, type ScriptedRelay, type Stage } from './relay.ts'
import { startReplica } from './replica.ts'
import type { Service } from './service.ts'
import type { ServiceStore, ServiceStores } from './service-store.ts'

const hurry = 10
const leaseMs = 60_000 / hurry
export const patience = { timeout: 20_000, interval: 100 }

/** `undefined` when the service died before it answered. */
export const ask = (service: Service, token?: string) => askTimed(service, token).catch(() => undefined)

/** Pauses the relay the first time it comes to `stage`, until `go`. */
export function pauseAt(stage: Stage, usual: Act) {
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

export interface Scene {
  readonly store: ServiceStore
  readonly relay: ScriptedRelay
  /** A process more on this store. */
  replica(speed?: number): Promise<Service>
  states(): Promise<unknown[]>
  /** By the end there are `count` mails, all with one Message-ID, and a repeat hears 0 from another replica. */
  untilSent(count: number): Promise<void>
}

export async function scene(
  stores: ServiceStores,
  { onTestFinished, expect: expects }: TestContext,
  script: Script = {},
): Promise<Scene> {
  const store = await stores.fresh()
  const relay = await scriptedRelay(script)
  onTestFinished(() => relay.close())

  async function replica(speed = hurry): Promise<Service> {
    const service = await startReplica({ store, relay, speed })
    onTestFinished(() => service.kill())
    return service
  }
  const states = async () => (await store.rows('select state from outbox_mail')).map(({ state }) => state)

  async function untilSent(count: number): Promise<void> {
    const other = await replica()
    await expects.poll(states, patience).toEqual(['sent'])
    expects(await ask(other)).toMatchObject({ status: 200, code: 'sent' })
    await sleep(leaseMs + 500)
    expects(relay.mails).toHaveLength(count)
    const ids = await Promise.all(
      relay.mails.map(async ({ source }) => (await PostalMime.parse(source)).messageId),
    )
    expects(new Set(ids).size).toBe(1)
  }

  return { store, relay, replica, states, untilSent }
}
