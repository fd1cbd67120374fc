/** Owns the service's beginning: environment → parts → listening. */
import { buildApp } from './http/app.ts'
import { relayLog, retrier } from './delivery/retry.ts'
import { ConfigError, problemLine } from './config/config-error.ts'
import type { RelayConfig } from './relay-config.ts'
import { type Config, readConfig } from './config/config.ts'
import { type DeliverParts, deliverer } from './delivery/deliver.ts'
import { shutDownInOrder } from './shutdown.ts'
import { describeError, type Log, openLog } from './log.ts'
import { catalogueOptions, loadCatalogue } from './mails/catalogue.ts'
import { liveCatalogue } from './mails/live.ts'
import { CatalogueError, formatProblem } from './mails/problem.ts'
import { mimeBuilder } from './mime/mime.ts'
import { openMetrics } from './metrics.ts'
import { OutboxError } from './outbox/reconnect.ts'
import { openOutbox } from './outbox/outbox.ts'
import { type PumpOptions, startPump } from './outbox/pump.ts'
import { engineOf } from './outbox/store/choose-engine.ts'
import { failover, type FailoverOptions } from './transport/failover.ts'
import type { Inbox } from './dev/inbox-server.ts'
import { relayTransport } from './transport/relays.ts'
import type { SmtpOptions } from './transport/smtp.ts'
import { localUrl, sampleCommand, welcome } from './dev/banner.ts'

/** How fast time passes and how long things may take. A test hurries; the service itself never does. */
export interface Pace {
  readonly clock?: () => number
  readonly flow?: Pick<DeliverParts, 'inlineMs'>
  readonly pump?: Pick<PumpOptions, 'everyMs'>
  readonly relays?: Pick<FailoverOptions, 'totalMs' | 'handoverMs' | 'breaker'>
  readonly smtp?: Pick<SmtpOptions, 'connectMs'>
}

/** Resolves when the service listens; from then on it ends itself, and the process, on SIGTERM. */
export async function start(config: Config, log: Log, pace: Pace = {}): Promise<void> {
  const { clock = Date.now } = pace
  for (const warning of config.warnings) log.warn(problemLine(warning))
  // its thread starts while this one reads the mails
  const opening = openOutbox({
    engine: await engineOf(config),
    secrets: config.sealSecrets,
    limits: config.limits,
    log,
    clock,
  })
  // what it rejects with is heard below
  opening.catch(() => undefined)
  const readCatalogue = config.production ? loadCatalogue : liveCatalogue
  const catalogue = readCatalogue(catalogueOptions(config))
  const inbox = config.relays.length > 0 ? undefined : await openOwnInbox()
  const buildMime = await mimeBuilder()
  const relays = inbox ? [inboxRelay(inbox.port)] : config.relays
  const metrics = config.metrics ? await openMetrics() : undefined
  // the line of the request tells of a single relay
  const logTry = relays.length > 1 ? relayLog(log) : undefined
  const transport = failover(
    relays.map((relay) =>
      relayTransport(relay, { buildMime, sender: config.sender.address, smtp: pace.smtp }),
    ),
    {
      heard(...heard) {
        metrics?.tried(...heard)
        logTry?.(...heard)
      },
      ...pace.relays,
    },
  )
  const outbox = await opening
  metrics?.watch({ outbox, transport })
  const attempt = retrier({ catalogue, transport, log, now: clock })
  const pump = startPump({ outbox, attempt, ready: transport.ready, log, clock, ...pace.pump })
  const [key] = config.keysOf('default')
  let url = localUrl(config.host, config.port)
  const app = await buildApp({
    deliver: deliverer({
      keysOf: config.keysOf,
      catalogue,
      outbox,
      transport,
      log,
      meter: metrics,
      now: clock,
      ...pace.flow,
    }),
    keysOf: config.keysOf,
    outbox,
    transport,
    log,
    docs: !config.production,
    preview: config.preview
      ? { catalogue, buildMime, sendToInbox: inbox && transport.send, adminToken: config.adminToken }
      : undefined,
    metrics: metrics && { metrics, adminToken: config.adminToken },
    redirectHttp: config.heroku,
    trustedProxies: config.trustedProxies,
    inbox: inbox && key && { inbox, hint: () => sampleCommand(url, key) },
  })
  shutDownInOrder({ app, pump, transport, outbox, inbox, log })
  await app.listen({ host: config.host, port: config.port })
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : config.port
  url = localUrl(config.host, port)
  if (inbox && key) console.log(welcome(url, key))
  else log.info({ port, relay: transport.name, mails: catalogue.mails.length }, 'listening')
}

async function openOwnInbox(): Promise<Inbox> {
  const { openInbox } = await import('./dev/inbox-server.ts')
  return openInbox()
}

function inboxRelay(port: number): RelayConfig {
  const whole = { auth: undefined, connections: 4, rate: undefined, from: undefined }
  return { kind: 'smtp', name: 'inbox', host: '127.0.0.1', port, tls: 'off', ...whole }
}

/** Starts as the environment says; what stands in the way is told in a sentence, with exit code 1. */
export async function main(pace?: Pace): Promise<void> {
  try {
    const config = readConfig()
    await start(config, await openLog(config.logLevel), pace)
  } catch (error) {
    console.error(startFailure(error))
    process.exit(1)
  }
}

/** What a person can do something about is told in a sentence; the rest is a bug and shows where it is, not what it held. */
function startFailure(error: unknown): string {
  if (error instanceof CatalogueError) return error.problems.map(formatProblem).join('\n')
  const told = [ConfigError, OutboxError].some((kind) => error instanceof kind)
  if (error instanceof Error && told) return error.message
  const { code, port }: { code?: string; port?: number } = Object(error)
  if (code === 'EADDRINUSE') return `Cannot start: port ${port} is taken. Set PORT to a free one.`
  if (code === 'EADDRNOTAVAIL')
    return 'Cannot start: HOST is no address of this machine. Set HOST to one, or remove it.'
  if (code === 'EACCES') return `Cannot start: this user may not listen on port ${port}. Set PORT above 1023.`
  const { type, frames = [] } = describeError(error)
  const kind = code === undefined ? type : `${type} ${code}`
  return [`Cannot start, by a bug of ours: ${kind}. Please report it.`, ...frames].join('\n')
}
