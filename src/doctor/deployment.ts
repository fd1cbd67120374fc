/** Owns what a deployment consists of: which checks there are for this environment, and in which order they are told. */
import { fileURLToPath } from 'node:url'
import type { RelayConfig, SmtpRelayConfig } from '../config-relays.ts'
import type { Config } from '../config.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { mimeBuilder } from '../mails/mime.ts'
import type { Mailbox } from '../message.ts'
import { smtpTransport } from '../transport/smtp.ts'
import { examineClock } from './clock.ts'
import { examineConfig, examineMails, examineNode, examineSecrets } from './environment.ts'
import { about, type Check, type Finding } from './finding.ts'
import { examineLinks } from './links.ts'
import { nameServer } from './name-server.ts'
import { type Provider, providerOf } from './provider.ts'
import { redactor } from './redact.ts'
import { runChecks, type RunOptions } from './run.ts'
import { examineSenderDomain } from './sender-domain.ts'
import { examineSmtpRelay } from './smtp-relay.ts'
import { examineStore, postgresClock } from './store.ts'
import { sendTestMail } from './test-mail.ts'

const builtInMails = fileURLToPath(new URL('../../mails', import.meta.url))
/** More domains or senders than this are a sample, so that no relay is flooded with questions. */
const maxSenders = 5

export interface DeploymentOptions extends RunOptions {
  readonly env: NodeJS.ProcessEnv
  readonly nodeVersion?: string
  /** The longest wait for one answer of a relay. */
  readonly stageMs?: number
  /** DNS server to ask, `address` or `address:port`. */
  readonly dns?: string | undefined
  readonly selectors?: readonly string[]
  /** Sends one real mail there through every relay. */
  readonly sendTo?: string | undefined
}

/** All findings about the deployment this environment describes. Nothing in them is secret. */
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
  const { catalogue, findings } = examineMails(config, config.mailsDir ?? builtInMails)
  const checks = [
    ...relayChecks(config, catalogue, options),
    ...domainChecks(config, catalogue, options),
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

function relayChecks(
  config: Config,
  catalogue: Catalogue | undefined,
  { sendTo, stageMs = 5000 }: DeploymentOptions,
): Check[] {
  if (config.relays.length === 0) {
    const finding = about('relays').warn(
      'none is configured: mails go to the built-in inbox',
      'Set SMTP_URL=smtp://user:password@host:587 before this goes to production.',
    )
    return [{ area: 'relays', run: () => [finding] }]
  }
  const senders = sendersOf(config, catalogue)
  return config.relays.filter(isSmtp).map((relay) => ({
    area: `relay ${relay.name}`,
    async *run(signal) {
      const well = yield* examineSmtpRelay({ relay, senders, signal, stageMs })
      if (well && sendTo !== undefined) yield await sendBy(relay, config.sender, sendTo)
    },
  }))
}

const isSmtp = (relay: RelayConfig): relay is SmtpRelayConfig => relay.kind === 'smtp'

async function sendBy(relay: SmtpRelayConfig, from: Mailbox, to: string): Promise<Finding> {
  const transport = smtpTransport({
    ...relay,
    ehloName: domainOf(from.address),
    buildMime: await mimeBuilder(),
    attemptMs: 10_000,
  })
  return sendTestMail({ name: relay.name, transport, from, to })
}

const domainOf = (address: string) => address.slice(address.indexOf('@') + 1)

function domainChecks(
  config: Config,
  catalogue: Catalogue | undefined,
  { dns, selectors = [] }: DeploymentOptions,
): Check[] {
  const providers: Provider[] = config.relays.filter(isSmtp).map(providerOf)
  if (providers.length === 0) return []
  const domains = new Set(sendersOf(config, catalogue).map(domainOf))
  return [...domains].map((domain) => ({
    area: `domain ${domain}`,
    run: (signal) => examineSenderDomain({ domain, providers, selectors, dns: nameServer(dns, signal) }),
  }))
}

function linkChecks(
  { production }: Config,
  catalogue: Catalogue | undefined,
  { dns }: DeploymentOptions,
): Check[] {
  if (!catalogue) return []
  return [
    { area: 'links', run: (signal) => examineLinks({ catalogue, production, dns: nameServer(dns, signal) }) },
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

function clockCheck({ databaseUrl, heroku }: Config): Check {
  const sources = databaseUrl === undefined ? [] : [postgresClock(databaseUrl, heroku)]
  return {
    area: 'clock',
    async *run(signal) {
      yield await examineClock(sources, signal)
    },
  }
}
