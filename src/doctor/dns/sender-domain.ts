/** Owns the examination of one sending domain in DNS: SPF, DKIM, DMARC, and where bounces go. */
import { examineDkim } from './dkim.ts'
import { examineDmarc } from './dmarc.ts'
import { about, type Finding, untilStopped } from '../finding.ts'
import type { NameServer } from './name-server.ts'
import { bouncesToItself, type Provider } from './provider.ts'
import { examineSpf, isSpf, type SpfResult } from './spf.ts'

export interface SenderDomainOptions {
  readonly domain: string
  /** Of the relays that send for this domain. */
  readonly providers: readonly Provider[]
  /** Further DKIM selectors, named by the operator. */
  readonly selectors: readonly string[]
  readonly dns: NameServer
}

export function examineSenderDomain(options: SenderDomainOptions): AsyncGenerator<Finding> {
  return untilStopped(`domain ${options.domain}`, examineSteps(options))
}

async function* examineSteps(options: SenderDomainOptions): AsyncGenerator<Finding> {
  const { domain, providers, selectors, dns } = options
  const [mx, spf, dkim] = await Promise.all([
    examineMx(domain, dns),
    examineSpf(domain, providers, dns),
    examineDkim(domain, providers, selectors, dns),
  ])
  yield* spf.findings
  if (spf.findings.every(({ level }) => level !== 'bad'))
    yield* judgeInclusions(domain, providers, spf, dkim.signedDomain)
  const returnPaths = new Map<Provider, boolean | undefined>()
  for (const provider of providers.filter(bouncesToItself)) {
    const { finding, isOurs } = await examineReturnPath(domain, provider, dns)
    returnPaths.set(provider, isOurs)
    yield finding
  }
  yield* dkim.findings
  const allows: SpfResult['allows'] = (provider) =>
    returnPaths.has(provider) ? returnPaths.get(provider) : spf.allows(provider)
  yield* await examineDmarc(domain, providers, { spf: { ...spf, allows }, dkim }, dns)
  yield mx
}

/** SPF is asked of the domain that bounces go to, and counts for DMARC only when that is below ours. */
async function examineReturnPath(
  domain: string,
  { title, bounces }: Provider,
  dns: NameServer,
): Promise<{ finding: Finding; isOurs: boolean | undefined }> {
  const { ok, warn } = about(`domain ${domain}`)
  const label = bounces === 'ours' ? undefined : bounces.label
  if (label === undefined)
    return { finding: ok(`bounces of ${title} go to a domain of its own, with its SPF`), isOurs: undefined }
  const name = `${label}.${domain}`
  if ((await dns.txt(name)).some(isSpf))
    return { finding: ok(`bounces of ${title} go to ${name}, which has SPF`), isOurs: true }
  const finding = warn(
    `${name} has no SPF record, so bounces of ${title} go to a domain of its own, and only DKIM counts for DMARC`,
    `Add the records for ${name} that ${title} shows, unless it was given another name there.`,
  )
  return { finding, isOurs: false }
}

function* judgeInclusions(
  domain: string,
  providers: readonly Provider[],
  spf: SpfResult,
  signedDomain: string | undefined,
): Generator<Finding> {
  const { ok, warn, bad } = about(`domain ${domain}`)
  for (const provider of providers) {
    if (bouncesToItself(provider)) continue
    const allowed = spf.allows(provider)
    const todo = `Add include:${provider.spf[0]} to the SPF record of ${domain}.`
    if (allowed) yield ok(`SPF includes ${provider.title}`)
    else if (allowed === undefined)
      yield ok(`whether SPF names the servers of ${provider.title} cannot be told from here`)
    else if (provider.bounces !== 'ours' && signedDomain !== undefined)
      yield warn(
        `SPF does not include ${provider.title} (${provider.spf[0]})`,
        `Nothing, when ${provider.title} returns bounces to a subdomain of its own (${provider.bounces.label}.${domain}). Else: ${todo}`,
      )
    else yield bad(`SPF does not include ${provider.title} (${provider.spf[0]})`, todo)
  }
}

/** Many receivers refuse mail from a domain that cannot take a bounce. */
async function examineMx(domain: string, dns: NameServer): Promise<Finding> {
  const { ok, warn, bad } = about(`domain ${domain}`)
  const servers = await dns.mx(domain)
  if (servers.some(({ exchange }) => exchange === '' || exchange === '.')) {
    return bad(
      'null MX: it says that it takes no mail, so receivers refuse mail from it (RFC 7505 4.2)',
      'Remove the null MX, or send from a domain that can take the bounces.',
    )
  }
  if (servers.length > 0) {
    const [first] = servers.toSorted((a, b) => a.priority - b.priority)
    const host = first?.exchange ?? ''
    if ((await dns.addresses(host)).length > 0) return ok(`bounces go to ${host}`)
    return bad(
      `its MX ${host} has no address, so bounces and checks of receivers fail`,
      'Correct the MX record.',
    )
  }
  if ((await dns.addresses(domain)).length > 0) {
    return warn(
      'no MX record: bounces go to its web server',
      'Add an MX record of a server that takes the bounces.',
    )
  }
  return bad(
    'has neither MX nor address: receivers think that it does not exist and refuse its mail',
    `Is ${domain} spelt right and registered? Then add an MX record.`,
  )
}
