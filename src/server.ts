/** Owns the service's lifetime: environment → parts → listening, and everything closed in reverse order at the end. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { retrier } from './attempt.ts'
import { type Config, ConfigError, type RelayConfig, readConfig } from './config.ts'
import { deliverer } from './deliver.ts'
import { describeError, type Log, openLog } from './log.ts'
import { CatalogueError, loadCatalogue } from './mails/catalogue.ts'
import { liveCatalogue } from './mails/live.ts'
import { mimeBuilder } from './mails/mime.ts'
import { openOutbox } from './outbox/outbox.ts'
import { postgresEngine } from './outbox/postgres.ts'
import { startPump } from './outbox/pump.ts'
import { sqliteEngine } from './outbox/sqlite.ts'
import { openInbox } from './transport/inbox.ts'
import { smtpTransport } from './transport/smtp.ts'
import { localUrl, sampleCommand, welcome } from './welcome.ts'

const builtInMails = fileURLToPath(new URL('../mails', import.meta.url))
/** Heroku kills 30 s after SIGTERM; a mail on its way takes 20 s at most. */
const graceMs = 24_000
const pumpGraceMs = 19_000

async function start(config: Config, log: Log): Promise<void> {
  for (const warning of config.warnings) log.warn(warning)
  const readCatalogue = config.production ? loadCatalogue : liveCatalogue
  const catalogue = readCatalogue({
    dir: config.mailsDir ?? builtInMails,
    appName: config.appName,
    senderName: config.sender.name,
    senderAddress: config.sender.address,
    allowHttpLinks: config.allowHttpLinks,
  })
  const inbox = config.relay ? undefined : await openInbox()
  const buildMime = await mimeBuilder()
  const transport = smtpTransport({
    ...(config.relay ?? inboxRelay(inbox?.port ?? 0)),
    ehloName: config.sender.address.slice(config.sender.address.indexOf('@') + 1),
    buildMime,
  })
  const outbox = await openOutbox({
    engine: config.databaseUrl
      ? postgresEngine({ url: config.databaseUrl, onHeroku: config.heroku })
      : sqliteEngine({ path: join(config.dataDir, 'outbox.sqlite') }),
    secrets: config.sealSecrets,
    limits: config.limits,
    log,
  })
  const pump = startPump({ outbox, attempt: retrier({ catalogue, transport, log }), log })
  const [key] = config.keysOf('default')
  let url = localUrl(config.host, config.port)
  const app = await buildApp({
    deliver: deliverer({ keysOf: config.keysOf, catalogue, outbox, transport, log }),
    keysOf: config.keysOf,
    outbox,
    transport,
    log,
    preview: config.preview
      ? { catalogue, buildMime, sendToInbox: inbox && transport.send, adminToken: config.adminToken }
      : undefined,
    redirectHttp: config.heroku,
    trustedProxies: config.trustedProxies,
    inbox: inbox && key && { inbox, hint: () => sampleCommand(url, key) },
  })
  const logger = { error: (bug: unknown) => log.error({ bug: describeError(bug) }, 'stopping failed') }
  closeWithGrace({ delay: graceMs, logger }, async ({ err, signal }) => {
    if (err) log.fatal({ bug: describeError(err) }, 'crash')
    else log.info({ signal }, 'stopping')
    // the pump stops claiming while requests are still being answered; what it cannot end goes to another replica
    await Promise.all([app.close(), pump.stop(pumpGraceMs)])
    await transport.close()
    await outbox.close()
    await inbox?.close()
    log.flush()
  })
  await app.listen({ host: config.host, port: config.port })
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : config.port
  url = localUrl(config.host, port)
  if (inbox && key) console.log(welcome(url, key))
  else log.info({ port, relay: transport.name, mails: catalogue.mails.length }, 'listening')
}

function inboxRelay(port: number): RelayConfig {
  return { name: 'inbox', host: '127.0.0.1', port, tls: 'off', auth: undefined, connections: 4 }
}

try {
  const config = readConfig()
  await start(config, await openLog(config.logLevel))
} catch (error) {
  console.error(startFailure(error))
  process.exit(1)
}

/** What a person can do something about is told in a sentence; the rest is a bug and shows its stack. */
function startFailure(error: unknown): unknown {
  if (error instanceof ConfigError || error instanceof CatalogueError) return error.message
  if (!(error instanceof Error)) return error
  const { code, port }: Error & { code?: string; port?: number } = error
  if (code === 'EADDRINUSE') return `Cannot start: port ${port} is taken. Set PORT to a free one.`
  if (code === 'EACCES') return `Cannot start: this user may not listen on port ${port}. Set PORT above 1023.`
  return error
}
