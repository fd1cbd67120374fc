/** Owns replicas of the service as processes on one store, in front of one relay, with time running faster in them. */
import { fileURLToPath } from 'node:url'
import type { ScriptedRelay } from './relay.ts'
import { type Service, startService } from './service.ts'
import type { ServiceStore } from './service-store.ts'
import { secret } from './tokens.ts'

const suiteBegan = Date.now()
const spedUpService = fileURLToPath(new URL('../fixtures/sped-up-service.ts', import.meta.url))

export interface ReplicaOptions {
  readonly store: Pick<ServiceStore, 'env'>
  readonly relay: Pick<ScriptedRelay, 'port'>
  /** How many times faster than the real clock: at 20 a lease lasts 3 s, an attempt 1 s, a caller waits 0.4 s. 1: as it is. */
  readonly speed?: number
  readonly port?: number
  readonly env?: Readonly<Record<string, string>>
}

let starting: Promise<unknown> = Promise.resolve()

/** One after the other: several that start at once take a small machine longer than all of them in a row. */
export function startReplica(options: ReplicaOptions): Promise<Service> {
  const started = starting.then(() => start(options))
  starting = started.catch(() => undefined)
  return started
}

function start({ store, relay, speed = 1, port, env }: ReplicaOptions): Promise<Service> {
  return startService({
    mode: 'production',
    env: {
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@mail.example.com',
      SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
      LIMIT_PER_RECIPIENT: 'off',
      ...store.env,
      ...env,
    },
    ...(speed !== 1 && { program: [spedUpService, String(suiteBegan), String(speed)] }),
    ...(port !== undefined && { port }),
  })
}
