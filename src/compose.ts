/** Owns the one composition of the parts: the running service and the app of the tests are joined here, and measured here. */
import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import type { AdapterSettings } from './adapter.ts'
import type { FeedbackSettings } from './feedback-source.ts'
import { type AppParts, buildApp } from './http/app.ts'
import type { FeedbackRoutesOptions } from './http/routes/feedback.ts'
import { type AdaptersRoutesOptions, foreignKey } from './http/routes/adapters.ts'
import { relayLog, retrier } from './delivery/retry.ts'
import { type DeliverParts, deliverer } from './delivery/deliver.ts'
import type { KeysFor } from './remote-key-set.ts'
import { type Callbacks, type CallbacksOptions, startCallbacks } from './callbacks/callbacks.ts'
import type { Log } from './log.ts'
import type { Catalogue } from './mails/catalogue.ts'
import { draftMail } from './mails/render.ts'
import { undeclaredClaims } from './mails/undeclared.ts'
import type { Transport } from './message.ts'
import { countedBy, type HourCounts } from './hour-counts.ts'
import { type OverviewParts, overviewReader } from './http/overview.ts'
import { silentMeter } from './meter.ts'
import { hourWriter } from './outbox/hour-writer.ts'
import type { NewMail, Outbox } from './outbox/api.ts'
import { verifyToken } from './token.ts'
import { type Pump, type PumpOptions, startPump } from './outbox/pump.ts'
import { failover, type FailoverOptions } from './transport/failover.ts'
import { recentTries, type RecentTries } from './transport/recent-tries.ts'
import type { SmtpOptions } from './transport/smtp.ts'

/** Other times than the service's own, and other sources of feedback, for tests. */
export interface Timings {
  readonly clock?: () => number
  readonly deliver?: Pick<DeliverParts, 'inlineMs'> | undefined
  readonly adapters?: Pick<AdaptersRoutesOptions, 'answerMs'> | undefined
  readonly feedback?: Pick<FeedbackRoutesOptions, 'answerMs' | 'sources'> | undefined
  readonly pump?: Pick<PumpOptions, 'everyMs'> | undefined
  readonly callbacks?: Pick<CallbacksOptions, 'everyMs' | 'callMs' | 'random' | 'resolve'> | undefined
  readonly relays?: Pick<FailoverOptions, 'totalMs' | 'handoverMs' | 'breaker'> | undefined
  readonly smtp?: Pick<SmtpOptions, 'connectMs'> | undefined
}

/** What a service is composed of. */
export interface ServiceParts {
  readonly keysFor: KeysFor
  readonly audience?: string | undefined
  readonly catalogue: Catalogue
  readonly outbox: Outbox
  /** In the order in which they are tried. */
  readonly transports: readonly Transport[]
  readonly log: Log
  /** Aborted when the shutdown begins. */
  readonly stopping?: AbortSignal | undefined
  /** Where apps are called back; without it none is. */
  readonly webhookOf?: CallbacksOptions['webhookOf'] | undefined
  /** Names in the log the claims that a mail does not declare: for development, since callers choose the names. */
  readonly namesUndeclared?: boolean
  /** The operator's page, and what it counts. */
  readonly admin?: AdminParts | undefined
  /** Without them: the mail routes, the deliveries, the health and the description of the API. */
  readonly routes?: Pick<
    AppParts,
    'inbox' | 'docs' | 'preview' | 'metrics' | 'devHost' | 'redirectHttp' | 'trustedProxies'
  > & {
    readonly adapters?: readonly AdapterSettings[] | undefined
    readonly feedback?: readonly FeedbackSettings[] | undefined
  }
}

export interface AdminParts {
  readonly token: string
  readonly write: boolean
  /** The outbox counts into the same. */
  readonly counts: HourCounts
  readonly suppression: 'app' | 'all' | undefined
}

export interface Service {
  readonly app: FastifyInstance
  readonly transport: Transport
  /** Begins to try again what waits in the outbox. */
  readonly startPump: () => Pump
  /** Begins to store what is counted for the operator's page, where there is one. */
  readonly startCounting: () => { stop(): Promise<void> } | undefined
  /** Begins to call apps back, where one has a webhook. */
  readonly startCallbacks: () => Callbacks | undefined
}

/** Joins the parts. Both the running service and the app of the tests are joined here, and nowhere else. */
export async function composeService(parts: ServiceParts, timings: Timings = {}): Promise<Service> {
  const { keysFor, audience, catalogue, transports, log, webhookOf, routes } = parts
  const { clock: now = Date.now } = timings
  const metrics = routes?.metrics?.metrics
  const isMeasured = metrics !== undefined || parts.admin !== undefined
  const measuring = metrics ?? silentMeter
  const meter = parts.admin ? countedBy(parts.admin.counts, measuring) : measuring
  const tries = parts.admin && recentTries(now)
  // with a single relay, the line of the request says it all
  const logTry = transports.length > 1 ? relayLog(log) : undefined
  const transport = failover(transports, {
    onTry(...tried) {
      meter.tried(...tried)
      tries?.note(tried[0])
      logTry?.(...tried)
    },
    ...timings.relays,
  })
  const outbox = {
    ...parts.outbox,
    accept: meter.timing('store', (mail: NewMail) => parts.outbox.accept(mail)),
  }
  metrics?.watch({ outbox, transport })
  const draft = parts.namesUndeclared ? tellingDraft(log) : draftMail
  const story = { draft: meter.timing('render', draft), catalogue, outbox, transport, log, now }
  const deliver = deliverer({
    ...story,
    onRepeat: (id) => routes?.inbox?.inbox.noteRepeat(id),
    verify: meter.timing('verify', verifier(keysFor, audience, now)),
    ...timings.deliver,
  })
  const adapters = routes?.adapters && { ...foreignDelivery(routes.adapters, story), ...timings.adapters }
  const feedback = routes?.feedback?.length
    ? { settings: routes.feedback, outbox, meter, log, now, ...timings.feedback }
    : undefined
  const operator =
    parts.admin && tries && operatorPage(parts.admin, { catalogue, outbox, transport, log, now, tries })
  const attempt = retrier({ catalogue, transport, log, now })
  const preview = routes?.preview && { sendToInbox: routes.inbox && transport.send, ...routes.preview }
  return {
    app: await buildApp({
      stopping: parts.stopping,
      deliver,
      keysFor,
      audience,
      outbox,
      transport,
      log,
      ...routes,
      preview,
      adapters,
      feedback,
      admin: operator?.options,
      meter: isMeasured ? meter : undefined,
    }),
    transport,
    startPump: () =>
      startPump({
        outbox,
        attempt,
        ready: transport.ready,
        log,
        clock: now,
        maxRunning: () => Math.ceil(transport.capacity() * 1.3),
        ...timings.pump,
      }),
    startCounting: () => operator?.hours.start(),
    startCallbacks: () =>
      webhookOf &&
      startCallbacks({
        webhookOf,
        apps: () => appsOf(catalogue),
        outbox,
        meter,
        log,
        clock: now,
        ...timings.callbacks,
      }),
  }
}

interface OperatorParts {
  readonly catalogue: Pick<Catalogue, 'mails'>
  readonly outbox: Outbox
  readonly transport: OverviewParts['transport']
  readonly log: Log
  readonly now: () => number
  readonly tries: RecentTries
}

function operatorPage(admin: AdminParts, { catalogue, outbox, transport, log, now, tries }: OperatorParts) {
  const { token: adminToken, write, counts, suppression = 'off' } = admin
  const hours = hourWriter({ counts, outbox, log })
  const readOverview = overviewReader({
    outbox,
    transport,
    triesAt: tries.of,
    refreshHours: hours.refresh,
    mails: () => catalogue.mails,
    suppression,
    replica: `${hostname()} (${process.pid})`,
    now,
  })
  return { hours, options: { adminToken, write, readOverview, outbox, log, now } }
}

function verifier(keysFor: KeysFor, audience: string | undefined, now: () => number): DeliverParts['verify'] {
  return (app, token) => {
    const keys = keysFor(app, token)
    return keys instanceof Promise
      ? keys.then((fetched) => verifyToken(token, fetched, now(), audience))
      : verifyToken(token, keys, now(), audience)
  }
}
export const appsOf = ({ mails }: Pick<Catalogue, 'mails'>) => [...new Set(mails.map(({ app }) => app))]

/** The same story for requests of other systems: our own token, and an answer as soon as the mail is stored. */
function foreignDelivery(
  settings: readonly AdapterSettings[],
  story: Omit<DeliverParts, 'verify'>,
): AdaptersRoutesOptions {
  const { log, now = Date.now } = story
  const key = foreignKey()
  const deliver = deliverer({
    ...story,
    verify: (_app, token) => verifyToken(token, [key], now()),
    inlineMs: 0,
  })
  return { settings, deliver, key, log, now }
}

function tellingDraft(log: Log): typeof draftMail {
  return (mail, claims, known) => {
    const undeclared = undeclaredClaims(mail, claims)
    if (undeclared.length > 0) log.warn({ app: mail.app, kind: mail.kind, undeclared }, 'claims are ignored')
    return draftMail(mail, claims, known)
  }
}
