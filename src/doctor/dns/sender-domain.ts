/** Owns the examination of one sending domain in DNS: SPF, DKIM, DMARC, and where bounces go. */
import { examineDkim } from './dkim.ts'
import { examineDmarc } from './dmarc.ts'
import { about, type Finding, untilStopped } from '../finding.ts'
import type { NameServer } from './name-server.ts'
import type { Provider } from './provider.ts'
import { examineSpf, type SpfResult } from './spf.ts'

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
  yield* dkim.findings
  yield* await examineDmarc(domain, providers, { spf, dkim }, dns)
  yield mx
}

function* judgeInclusions(
  domain: string,
  providers: readonly Provider[],
  spf: SpfResult,
  signedDomain: string | undefined,
): Generator<Finding> {
  const { ok, warn, bad } = about(`domain ${domain}`)
  for (const provider of providers) {
    const allowed = spf.allows(provider)
    const todo = `Add include:${provider.spf[0]} to the SPF record of ${domain}.`
    if (allowed) yield ok(`SPF includes ${provider.title}`)
    else if (allowed === undefined)
      yield ok(`whether SPF names the servers of ${provider.title} cannot be told from here`)
    else if (provider.ownReturnPath && signedDomain !== undefined)
      yield warn(
        `SPF does not include ${provider.title} (${provider.spf[0]})`,
        `Nothing, when ${provider.title} returns bounces to a subdomain of its own (em….${domain}). Else: ${todo}`,
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
