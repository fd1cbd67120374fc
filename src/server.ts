/** Owns the service's start: environment → parts → one composition → listening. */
import type { CalledApps } from './event.ts'
import { checkLinkOrigins } from './config/adapters.ts'
import { ConfigError, problemLine } from './config/config-error.ts'
import type { RelayConfig } from './relay-config.ts'
import { type Config, readConfig } from './config/config.ts'
import { jwksOfApp } from './config/secret-names.ts'
import { strangeAppSecrets } from './config/secrets.ts'
import { keysWithSets, remoteKeySet } from './remote-key-set.ts'
import { strangeWebhooks } from './config/webhooks.ts'
import { shutDownInOrder } from './shutdown.ts'
import { describeError, type Log, openLog } from './log.ts'
import { type Catalogue, catalogueOptions, loadCatalogue } from './mails/catalogue.ts'
import { portOf } from './port.ts'
import { liveCatalogue } from './mails/live.ts'
import { CatalogueError, formatProblem } from './mails/problem.ts'
import { mimeBuilder } from './mime/mime.ts'
import { hourCounts } from './hour-counts.ts'
import { openMetrics } from './metrics.ts'
import { OutboxError } from './outbox/reconnect.ts'
import { openOutbox } from './outbox/outbox.ts'
import { reserveOutbox } from './outbox/use.ts'
import { engineOf, placeName } from './outbox/store/choose-engine.ts'
import type { Inbox } from './dev/inbox-server.ts'
import { relayTransport } from './transport/relays.ts'
import { banner, localUrl, sampleCommand } from './dev/banner.ts'
import { firstMail, sampleClaims } from './mails/sample.ts'
import { type Timings, composeService, appsOf } from './compose.ts'

/** Resolves when the service listens. From then on SIGTERM ends it, and the process with it. */
export async function start(config: Config, log: Log, timings: Timings = {}): Promise<void> {
  const { keysOf, adminToken, sender } = config
  for (const warning of config.warnings) log.warn(problemLine(warning))
  if (!config.production && config.relays.length > 0)
    log.warn(
      { relays: config.relays.map(({ name }) => name) },
      'NODE_ENV is not "production", but a relay is set: mails are sent to their recipients, and the inbox shows none',
    )
  const { webhooks } = config
  let calledApps: CalledApps | undefined
  const counts = adminToken === undefined ? undefined : hourCounts(timings.clock)
  // its thread starts while this one reads the mails
  const opening = openOutbox({
    engine: await engineOf(config),
    secrets: config.sealSecrets,
    suppression: config.suppression,
    // in development one reads one's own mails: their recipient is always the same
    limits: config.relays.length > 0 ? config.limits : { ...config.limits, recipient: undefined },
    log,
    clock: timings.clock,
    calledApps: () => calledApps,
    count: counts?.add,
  })
  // a rejection is handled where it is awaited, below
  opening.catch(() => undefined)
  const readCatalogue = config.production ? loadCatalogue : liveCatalogue
  const catalogue = readCatalogue(catalogueOptions(config))
  for (const { file, message } of catalogue.strays) log.warn({ file }, message)
  const apps = appsOf(catalogue)
  const strange = [
    ...strangeAppSecrets(config.appVariables, apps),
    ...strangeWebhooks(webhooks.variables, apps),
  ]
  // a developer may be about to write the app's first mail
  if (config.production && strange.length > 0) throw new ConfigError(...strange)
  for (const warning of strange) log.warn(problemLine(warning))
  checkLinkOrigins(
    config.adapters,
    apps,
    (app) => catalogue.mails.find((mail) => mail.app === app)?.linkRules.origins,
  )
  const keySets = new Map(
    [...config.keySets].map(([variable, url]) => [variable, remoteKeySet({ url, variable, log })]),
  )
  // what is wrong with one is in the log before the first mail
  for (const set of keySets.values()) void set.refresh()
  const called = webhooks.isShared ? 'all' : apps.filter((each) => webhooks.webhookOf(each))
  if (called.length > 0) calledApps = called
  const inbox = config.relays.length > 0 ? undefined : await openOwnInbox()
  const buildMime = await mimeBuilder()
  const onLimit = (relay: string, connections: number) =>
    log.warn(
      { relay, connections },
      `the relay allows no more connections at once: write connections=${connections} into its URL, or set RELAY_CONNECTIONS`,
    )
  const relays = inbox ? [inboxRelay(inbox.port)] : config.relays
  const stopping = new AbortController()
  const metrics = config.metrics ? await openMetrics() : undefined
  const outbox = await opening
  const use = config.production ? 'production' : 'inbox'
  const place = placeName(config)
  const variable = config.databaseUrl === undefined ? 'DATA_DIR' : 'DATABASE_URL'
  if (config.production || inbox) await reserveOutbox(outbox, use, { name: place, variable })
  let url = localUrl(config.host, config.port)
  const firstCommand = () => commandFor(url, catalogue, keysOf)
  const {
    app,
    transport,
    startPump: startRetries,
    startCallbacks: startCalls,
    startCounting,
  } = await composeService(
    {
      keysFor: keysWithSets(keysOf, keySets, jwksOfApp),
      audience: config.audience,
      catalogue,
      outbox,
      transports: relays.map((relay) =>
        relayTransport(relay, { buildMime, sender: sender.address, smtp: { ...timings.smtp, onLimit } }),
      ),
      log,
      stopping: stopping.signal,
      webhookOf: calledApps && webhooks.webhookOf,
      namesUndeclared: !config.production,
      admin:
        adminToken === undefined || !counts
          ? undefined
          : { token: adminToken, write: config.adminWrite, counts, suppression: config.suppression },
      routes: {
        adapters: config.adapters,
        feedback: config.feedback,
        docs: !config.production,
        devHost: config.production ? undefined : config.host,
        preview: config.preview ? { catalogue, buildMime, adminToken } : undefined,
        metrics: metrics && { metrics, adminToken },
        redirectHttp: config.heroku,
        trustedProxies: config.trustedProxies,
        inbox: inbox && { inbox, hint: firstCommand },
      },
    },
    timings,
  )
  const pump = startRetries()
  const delayMs = config.shutdownDelayMs
  const callbacks = startCalls()
  const counting = startCounting()
  shutDownInOrder({ app, pump, callbacks, counting, transport, outbox, inbox, log, stopping, delayMs })
  // for "localhost" Fastify would open a second server, which has none of the first one's limits
  const host = config.host === 'localhost' ? '127.0.0.1' : config.host
  await app.listen({ host, port: config.port })
  const port = portOf(app.server)
  url = localUrl(config.host, port)
  if (inbox) console.log(banner(url, firstCommand(), place))
  else log.info({ port, relay: transport.name, mails: catalogue.mails.length, outbox: place }, 'listening')
}

/** Where a link of this mail may lead to this machine, its link shows in the inbox that it works. */
function commandFor(url: string, catalogue: Catalogue, keysOf: Config['keysOf']): string {
  const mail = firstMail(catalogue)
  const [key] = mail ? keysOf(mail.app) : []
  if (!mail || key?.type !== 'secret') return ''
  const claims = sampleClaims(mail, Date.now())
  if (mail.showsLink && mail.linkRules.origins === undefined)
    claims.email_link_url = `${url}/inbox?confirmed=`
  return sampleCommand(url, { app: mail.app, kind: mail.kind, claims, key })
}

async function openOwnInbox(): Promise<Inbox> {
  const { openInbox } = await import('./dev/inbox-server.ts')
  return openInbox()
}

function inboxRelay(port: number): RelayConfig {
  const whole = { auth: undefined, connections: 4, rate: undefined, from: undefined }
  return { kind: 'smtp', name: 'inbox', host: '127.0.0.1', port, tls: 'off', ...whole }
}

/** Starts as the environment says. A failure ends the process with exit code 1 and a sentence. */
export async function main(): Promise<void> {
  try {
    const config = readConfig()
    await start(config, await openLog(config.logLevel))
  } catch (error) {
    console.error(startFailure(error))
    process.exit(1)
  }
}

/** A sentence for a failure that a person can mend. Any other is a bug, and shows its place but none of its values. */
function startFailure(error: unknown): string {
  if (error instanceof CatalogueError) return error.problems.map(formatProblem).join('\n')
  const isForPeople = [ConfigError, OutboxError].some((kind) => error instanceof kind)
  if (error instanceof Error && isForPeople) return error.message
  const { code, port }: { code?: string; port?: number } = Object(error)
  if (code === 'EADDRINUSE') return `Cannot start: port ${port} is taken. Set PORT to a free one.`
  if (code === 'EADDRNOTAVAIL')
    return 'Cannot start: HOST is no address of this machine. Set HOST to one, or remove it.'
  if (code === 'EACCES') return `Cannot start: this user may not listen on port ${port}. Set PORT above 1023.`
  const { type, frames = [] } = describeError(error)
  const kind = code === undefined ? type : `${type} ${code}`
  return [`Cannot start, by a bug of ours: ${kind}. Please report it.`, ...frames].join('\n')
}
