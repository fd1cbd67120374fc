/** Owns the service in this process: composed as the real one is, in front of a scripted relay. */
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import PostalMime from 'postal-mime'
import { onTestFinished, type TestContext } from 'vitest'
import { hourCounts } from '../../src/hour-counts.ts'
import { builtInMails } from '../../src/mails/built-in.ts'
import { mimeBuilder } from '../../src/mime/mime.ts'
import { openMetrics } from '../../src/metrics.ts'
import type { Engine } from '../../src/outbox/store/engine.ts'
import type { Limits } from '../../src/outbox/store/quotas.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import { composeService, type ServiceParts, type Timings } from '../../src/compose.ts'
import { tokenKey } from '../../src/token-key.ts'
import type { Transport } from '../../src/message.ts'
import { type SmtpOptions, smtpTransport } from '../../src/transport/smtp.ts'
import { loadCatalogue } from './catalogue.ts'
import { lendEngine } from './kept-threads.ts'
import { type Script, scriptedRelay, type ScriptedRelay } from './relay.ts'
import { portOf } from './port.ts'
import { secret } from './tokens.ts'

export interface TestApp {
  readonly app: FastifyInstance
  readonly relay: ScriptedRelay
  /** Every line of the log so far, as text. */
  readonly log: () => string
  readonly logLines: () => Record<string, unknown>[]
  /** `http://127.0.0.1:port`, listening from the first call on. */
  readonly url: () => Promise<string>
  /** The mails the relay has taken, read back. */
  readonly mails: () => Promise<ReadMail[]>
}
export interface ReadMail {
  /** With its angle brackets. */
  readonly messageId: string
  readonly recipients: readonly string[]
  readonly subject: string
  readonly text: string
  readonly html: string
  readonly to: { name: string; address: string } | undefined
  readonly from: { name: string; address: string } | undefined
}

export interface TestAppOptions {
  readonly script?: Script
  readonly smtp?: Partial<SmtpOptions>
  /** Instead of the scripted relay: these, in their order. They are closed with the app. */
  readonly transports?: readonly Transport[]
  readonly failover?: Timings['relays']
  readonly routes?: ServiceParts['routes']
  /** Serves `/metrics`. */
  readonly metrics?: { readonly adminToken?: string }
  /** Serves `/admin`. */
  readonly admin?: { readonly token: string; readonly write?: boolean }
  /** By default callers wait so long for the relay, and adapters for the store, that a busy machine does not show. */
  readonly deliver?: Timings['deliver']
  readonly adapters?: Timings['adapters']
  readonly feedback?: Timings['feedback']
  readonly engine?: Engine
  readonly limits?: Limits
  readonly suppression?: 'app' | 'all' | undefined
  /** Tries what was stored again; without it nothing does. */
  readonly pump?: Timings['pump']
  /** Calls apps back; without it no event is written. */
  readonly webhookOf?: ServiceParts['webhookOf']
  readonly mailsDir?: string
  readonly allowHttpLinks?: boolean
  /** What opens and seals, the current one first. */
  readonly secrets?: readonly string[]
  /** Instead of the secrets: what opens an app. */
  readonly keysFor?: ServiceParts['keysFor']
  /** Secrets of apps that have one of their own. */
  readonly appSecrets?: Readonly<Record<string, string>>
  /** The clock of everything but the connections to the relay. */
  readonly now?: () => number
  /** A relay that several apps share; whoever started it closes it. */
  readonly relay?: ScriptedRelay
  /** Tests that run side by side give their own. */
  readonly context?: Pick<TestContext, 'onTestFinished'>
}

export async function testApp(options: TestAppOptions = {}): Promise<TestApp> {
  const relay = options.relay ?? (await scriptedRelay(options.script))
  const { secrets = [secret], appSecrets = {}, now = Date.now } = options
  let log = ''
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    },
  })
  const scripted = smtpTransport({
    name: 'test',
    host: '127.0.0.1',
    port: relay.port,
    tls: 'off',
    auth: { user: 'relay-user', pass: 'relay-password' },
    ehloName: 'mail.example.com',
    buildMime: await mimeBuilder(),
    ...options.smtp,
  })
  const metrics = options.metrics && (await openMetrics())
  const catalogue = loadCatalogue({
    dir: options.mailsDir ?? builtInMails,
    appName: 'Example',
    senderName: 'Example',
    senderAddress: 'noreply@mail.example.com',
    allowHttpLinks: options.allowHttpLinks ?? false,
  })
  const logger = pino({ base: null }, sink)
  const counts = options.admin && hourCounts(now)
  const lent = options.engine ? { engine: options.engine, giveBack: () => undefined } : lendEngine()
  const outbox = await openOutbox({
    engine: lent.engine,
    secrets,
    limits: options.limits ?? {},
    suppression: options.suppression,
    log: logger,
    clock: now,
    count: counts?.add,
    calledApps: () => (options.webhookOf ? 'all' : undefined),
  })
  const keysOf = (name?: string) => {
    const own = appSecrets[name ?? '']
    const all = name === undefined ? [...secrets, ...Object.values(appSecrets)] : secrets
    return (own === undefined ? all : [own]).map((one) => tokenKey(one))
  }
  const { app, transport, startPump, startCallbacks } = await composeService(
    {
      keysFor: options.keysFor ?? keysOf,
      catalogue,
      outbox,
      transports: options.transports ?? [scripted],
      log: logger,
      admin: options.admin &&
        counts && { write: false, counts, suppression: options.suppression, ...options.admin },
      webhookOf: options.webhookOf,
      routes: { metrics: metrics && { metrics, ...options.metrics }, ...options.routes },
    },
    {
      clock: now,
      deliver: { inlineMs: 20_000, ...options.deliver },
      adapters: { answerMs: 20_000, ...options.adapters },
      feedback: { answerMs: 20_000, ...options.feedback },
      relays: options.failover,
      pump: options.pump,
      callbacks: { everyMs: 20 },
    },
  )
  const pump = options.pump && startPump()
  const callbacks = startCallbacks()
  const { onTestFinished: atEnd } = options.context ?? { onTestFinished }
  atEnd(async () => {
    await app.close()
    await pump?.stop(1_000)
    await callbacks?.stop(1_000)
    await transport.close()
    if (options.transports) await scripted.close()
    await outbox.close()
    lent.giveBack()
    if (!options.relay) await relay.close()
  })
  return {
    app,
    relay,
    log: () => log,
    logLines: () =>
      log
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    url: async () => {
      if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
      return `http://127.0.0.1:${portOf(app.server)}`
    },
    mails: () =>
      Promise.all(
        relay.mails.map(async ({ recipients, source }) => ({ recipients, ...(await readSource(source)) })),
      ),
  }
}

async function readSource(source: string): Promise<Omit<ReadMail, 'recipients'>> {
  const mail = await PostalMime.parse(Buffer.from(source, 'latin1'))
  const box = (mailbox: { name?: string; address?: string | undefined } | undefined) =>
    mailbox && { name: mailbox.name ?? '', address: mailbox.address ?? '' }
  return {
    messageId: mail.messageId ?? '',
    subject: mail.subject ?? '',
    text: mail.text ?? '',
    html: mail.html ?? '',
    to: box(mail.to?.[0]),
    from: box(mail.from),
  }
}
