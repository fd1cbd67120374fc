/** Owns the scene of a crash: replicas of the service on one store, before a relay that pauses where it is told to. */
import { Agent, get, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import PostalMime from 'postal-mime'
import type { TestContext } from 'vitest'
import { type TestApp, testApp } from './app.ts'
import { type AnyService, askMail } from './caller.ts'
import { type Act, type Script, scriptedRelay, type ScriptedRelay, type Stage } from './relay.ts'
import { startReplica } from './replica.ts'
import type { Service } from './service.ts'
import type { ServiceStore, ServiceStores } from './service-store.ts'
import { signToken } from './tokens.ts'

const pumpEveryMs = 50
export const patience = { timeout: 60_000, interval: 100 }

/** `undefined` when the service died before it answered. */
export const ask = (service: AnyService, token?: string) => askMail(service, token).catch(() => undefined)

/** The same by GET. `heard` resolves when the service has begun with the request. */
export function askHeard({ url }: Service, token = signToken()) {
  const heard = Promise.withResolvers<void>()
  const headers = { expect: '100-continue' }
  const answer = new Promise<unknown>((answered) => {
    get(`${url}/emailservice/${token}`, { headers }, (response) => void json(response).then(answered))
      .once('continue', heard.resolve)
      .once('error', () => answered(undefined))
  })
  return { heard: heard.promise, answer }
}

/** `closed` resolves when the service, which is stopping, lets nothing new begin: just before, it closes what is idle. */
export async function idleConnection({ url }: Service): Promise<{ readonly closed: Promise<void> }> {
  const closed = Promise.withResolvers<void>()
  const agent = new Agent({ keepAlive: true })
  const response = await new Promise<IncomingMessage>((answered, failed) => {
    get(`${url}/health/live`, { agent }, answered).once('error', failed)
  })
  response.socket.once('close', closed.resolve)
  response.resume()
  return { closed: closed.promise }
}

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
  /** A process more on this store; its time may run faster. */
  replica(speed?: number): Promise<Service>
  /** A replica that lives on in this process, whose callers wait a second at most. */
  survivor(): Promise<TestApp>
  states(): Promise<unknown[]>
  /** Nobody waits for a lease or for the next try any longer: as if their time were over. */
  endWaits(): Promise<void>
  /** By the end there are `count` mails, all with one Message-ID, and a repeat hears 0 from another replica. */
  untilSent(count: number): Promise<void>
}

export async function scene(
  stores: ServiceStores,
  context: Pick<TestContext, 'onTestFinished' | 'expect'>,
  script: Script = {},
): Promise<Scene> {
  const { onTestFinished, expect: expects } = context
  const store = await stores.fresh()
  const relay = await scriptedRelay(script)
  onTestFinished(() => relay.close())

  async function replica(speed = 1): Promise<Service> {
    const service = await startReplica({ store, relay, speed })
    onTestFinished(() => service.kill())
    return service
  }
  const survivor = () =>
    testApp({
      engine: store.engine(),
      relay,
      deliver: { inlineMs: 1_000 },
      pump: { everyMs: pumpEveryMs },
      context,
    })
  const states = async () => (await store.rows('select state from outbox_mail')).map(({ state }) => state)
  const endWaits = async () =>
    void (await store.rows(`update outbox_mail set due = 0 where state in ('sending', 'queued')`))

  async function untilSent(count: number): Promise<void> {
    await endWaits()
    const { app } = await survivor()
    await expects.poll(states, patience).toEqual(['sent'])
    expects(await ask(app)).toMatchObject({ status: 200, code: 'sent' })
    // nobody sends it again
    await sleep(10 * pumpEveryMs)
    expects(relay.mails).toHaveLength(count)
    const ids = await Promise.all(
      relay.mails.map(async ({ source }) => (await PostalMime.parse(source)).messageId),
    )
    expects(new Set(ids).size).toBe(1)
  }

  return { store, relay, replica, survivor, states, endWaits, untilSent }
}
