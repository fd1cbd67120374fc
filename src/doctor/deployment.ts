/** Owns which checks there are for this environment, and in which order their findings are shown. */
import type { OauthLogin, RelayConfig } from '../relay-config.ts'
import type { Config } from '../config/config.ts'
import type { Catalogue, loadCatalogue } from '../mails/catalogue.ts'
import { mimeBuilder } from '../mime/mime.ts'
import type { Mailbox } from '../message.ts'
import { OauthError, tokenSource, xoauth2 } from '../transport/oauth-token.ts'
import { relayTransport } from '../transport/relays.ts'
import { examineAdapters } from './adapters.ts'
import { examinePublicKeys, keySetChecks } from './app-keys.ts'
import { examineFeedback } from './feedback.ts'
import { examineClock } from './clock.ts'
import { examineConfig, examineMails, examineNode, examineSecrets } from './environment.ts'
import { about, type Check, type Finding } from './finding.ts'
import { examineLinks } from './links.ts'
import { nameServer } from './dns/name-server.ts'
import { type Provider, providerOf } from './dns/provider.ts'
import { redactor } from './redact.ts'
import { runChecks, type RunOptions } from './run.ts'
import { examineSenderDomain } from './dns/sender-domain.ts'
import { tokenTrouble } from './relay/explain.ts'
import { examineHttpsRelay } from './relay/https-relay.ts'
import { apiClock } from './relay/relay-api.ts'
import { examineSmtpRelay } from './relay/smtp-relay.ts'
import { examineWebhooks } from './webhooks.ts'
import { examineStore, postgresClock } from './store.ts'
import { sendTestMail } from './relay/test-mail.ts'

/** More domains or senders than this are a sample, so that no relay gets too many questions. */
const maxSenders = 5

export interface DeploymentOptions extends RunOptions {
  readonly env: NodeJS.ProcessEnv
  readonly nodeVersion?: string
  /** Compiles the mails; tests do so once. */
  readonly loadMails?: typeof loadCatalogue
  /** The longest wait for one answer of a relay. */
  readonly stageMs?: number
  /** DNS server to ask, `address` or `address:port`. */
  readonly dns?: string | undefined
  /** The longest wait for its first answer; 1.5 s. */
  readonly dnsMs?: number
  readonly selectors?: readonly string[]
  /** Sends one real mail there through every relay. */
  readonly sendTo?: string | undefined
  /** The longest a relay may take over that mail; 10 s. */
  readonly sendMs?: number | undefined
}

/** All findings about the deployment that this environment describes. They hold no secret. */
export async function examineDeployment(options: DeploymentOptions): Promise<Finding[]> {
  const { env, nodeVersion = process.versions.node } = options
  const { config, findings } = examineConfig(env)
  const first = [examineNode(nodeVersion), ...findings, ...examineSecrets(env)]
  const rest = config ? await examineParts(config, options) : [notExamined()]
  return [...first, ...rest].map(redactor(env))
}

function notExamined(): Finding {
  return about('relays').warn(
    'relays, DNS, links, store and clock are not examined yet',
    'Mend the configuration, then run doctor again.',
  )
}

async function examineParts(config: Config, options: DeploymentOptions): Promise<Finding[]> {
  const { catalogue, findings } = examineMails(config, options.loadMails)
  if (catalogue) {
    findings.push(...examineAdapters(config.adapters, catalogue))
    const apps = new Set(catalogue.mails.map(({ app }) => app))
    findings.push(...examineWebhooks(config.webhooks, [...apps]))
  }
  findings.push(...examineFeedback(config))
  findings.push(...examinePublicKeys(config))
  const senders = sendersOf(config, catalogue)
  const checks = [
    ...keySetChecks(config),
    ...relayChecks(config, senders, options),
    ...domainChecks(config, senders, options),
    ...linkChecks(config, catalogue, options),
    storeCheck(config),
    clockCheck(config),
  ]
  return [...findings, ...(await runChecks(checks, options))]
}

/** The addresses mails come from, the configured one first. */
function sendersOf(config: Config, catalogue: Catalogue | undefined): string[] {
  const own = catalogue?.mails.map(({ from }) => from.address) ?? []
  return [...new Set([config.sender.address, ...own])].slice(0, maxSenders)
}

/** The addresses that mails come from by this relay: it may have one of its own instead. */
function sendersFor(relay: RelayConfig, senders: readonly string[]): readonly string[] {
  return relay.kind === 'smtp' && relay.from !== undefined ? [relay.from] : senders
}

function relayChecks(config: Config, senders: readonly string[], options: DeploymentOptions): Check[] {
  const { sendTo, sendMs, stageMs = 5000 } = options
  if (config.relays.length === 0) {
    const finding = about('relays').warn(
      'none is configured: mails go to the built-in inbox',
      'Set SMTP_URL=smtp://user:password@host:587 before this goes to production.',
    )
    return [{ area: 'relays', run: () => [finding] }]
  }
  return config.relays.map((relay) => ({
    area: `relay ${relay.name}`,
    async *run(signal) {
      const own = sendersFor(relay, senders)
      const well =
        relay.kind === 'smtp'
          ? yield* examineSmtpRelay({ relay, senders: own, signal, stageMs, answerXoauth2 })
          : yield* examineHttpsRelay(relay, own, signal)
      if (well && sendTo !== undefined) yield await sendBy(relay, config.sender, sendTo, sendMs)
    },
  }))
}

async function answerXoauth2({ user, oauth }: OauthLogin): Promise<string> {
  try {
    return xoauth2(user, await tokenSource(oauth, user).current())
  } catch (error) {
    throw error instanceof OauthError ? tokenTrouble(error.responseCode, error.originalCode) : error
  }
}

async function sendBy(
  relay: RelayConfig,
  from: Mailbox,
  to: string,
  waitMs: number | undefined,
): Promise<Finding> {
  let sentence: string | undefined
  const onRefusal = (response: string) => void (sentence = response)
  const parts = { buildMime: await mimeBuilder(), sender: from.address, onRefusal }
  const transport = relayTransport(relay, parts)
  return sendTestMail({ name: relay.name, transport, from, to, waitMs, sentence: () => sentence })
}

function domainChecks(
  { relays }: Config,
  senders: readonly string[],
  { dns, dnsMs, selectors = [] }: DeploymentOptions,
): Check[] {
  const providers = new Map<string, Set<Provider>>()
  for (const relay of relays) {
    const host = relay.kind === 'smtp' ? relay.host : new URL(relay.baseUrl).host
    const provider = providerOf({ name: relay.name, host })
    for (const sender of sendersFor(relay, senders)) {
      const domain = sender.slice(sender.indexOf('@') + 1).toLowerCase()
      providers.set(domain, (providers.get(domain) ?? new Set()).add(provider))
    }
  }
  return [...providers].map(([domain, own]) => ({
    area: `domain ${domain}`,
    run: (signal) =>
      examineSenderDomain({ domain, providers: [...own], selectors, dns: nameServer(dns, signal, dnsMs) }),
  }))
}

function linkChecks(
  { production, allowHttpLinks: allowHttp }: Config,
  catalogue: Catalogue | undefined,
  { dns, dnsMs }: DeploymentOptions,
): Check[] {
  if (!catalogue) return []
  return [
    {
      area: 'links',
      run: (signal) =>
        examineLinks({ catalogue, production, allowHttp, dns: nameServer(dns, signal, dnsMs) }),
    },
  ]
}

function storeCheck(config: Config): Check {
  return {
    area: 'store',
    async *run(signal) {
      yield* await examineStore(config, signal)
    },
  }
}

function clockCheck({ databaseUrl, heroku, relays }: Config): Check {
  const sources = [
    ...(databaseUrl === undefined ? [] : [postgresClock(databaseUrl, heroku)]),
    ...relays.flatMap((relay) => (relay.kind === 'smtp' ? [] : [apiClock(relay)])),
  ]
  return {
    area: 'clock',
    async *run(signal) {
      yield await examineClock(sources, signal)
    },
  }
}
