/** Owns the service's lifetime: environment → parts → listening, and everything closed in reverse order at the end. */
import { fileURLToPath } from 'node:url'
import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { deliverer } from './deliver.ts'
import { describeError, openLog } from './log.ts'
import { loadCatalogue } from './mails/catalogue.ts'
import { mimeBuilder } from './mails/mime.ts'
import { smtpTransport } from './transport/smtp.ts'

const builtInMails = fileURLToPath(new URL('../mails', import.meta.url))
/** Heroku kills 30 s after SIGTERM; a mail on its way takes 20 s at most. */
const graceMs = 24_000

async function start(config: Config): Promise<void> {
  const log = await openLog(config.logLevel)
  for (const warning of config.warnings) log.warn(warning)
  const catalogue = loadCatalogue({
    dir: config.mailsDir ?? builtInMails,
    appName: config.appName,
    senderName: config.sender.name,
    senderAddress: config.sender.address,
    allowHttpLinks: config.allowHttpLinks,
  })
  if (!config.relay) throw new Error('inbox missing')
  const transport = smtpTransport({
    ...config.relay,
    ehloName: config.sender.address.slice(config.sender.address.indexOf('@') + 1),
    buildMime: await mimeBuilder(),
  })
  const deliver = deliverer({ keysOf: config.keysOf, catalogue, transport })
  const app = await buildApp({
    deliver,
    transport,
    log,
    redirectHttp: config.heroku,
    trustedProxies: config.trustedProxies,
  })
  closeWithGrace({ delay: graceMs, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal({ bug: describeError(err) }, 'crash')
    else log.info({ signal }, 'stopping')
    await app.close()
    await transport.close()
    log.flush()
  })
  await app.listen({ host: config.host, port: config.port })
  log.info({ port: config.port }, 'listening')
}

try {
  await start(readConfig())
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
}
