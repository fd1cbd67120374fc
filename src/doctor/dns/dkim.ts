/** Owns the reading of DKIM keys in DNS (RFC 6376 3.6.1, RFC 8463). */
import { createPublicKey } from 'node:crypto'
import { about, type Finding } from '../finding.ts'
import type { NameServer } from './name-server.ts'
import type { Provider } from './provider.ts'
import { parentsOf, tagsOf } from './record.ts'

export interface DkimResult {
  readonly findings: readonly Finding[]
  /** The domain that good keys were found at: the sending one, or one above it. `undefined` without good keys. */
  readonly signedDomain: string | undefined
}

/** `selectors` are those that the operator names; those known of the providers are looked up as well. */
export async function examineDkim(
  domain: string,
  providers: readonly Provider[],
  selectors: readonly string[],
  dns: NameServer,
): Promise<DkimResult> {
  const { warn, bad } = about(`domain ${domain}`)
  const given = await Promise.all(selectors.map((selector) => findKey(domain, selector, dns)))
  const missing = selectors.filter((_, index) => given[index] === undefined)
  const findings = missing.map((selector) =>
    bad(
      `no DKIM key at ${selector}._domainkey.${domain}`,
      `Add the record for ${selector} that your relay shows, or correct --dkim-selector.`,
    ),
  )
  const found = given.filter((key) => key !== undefined)
  for (const { title, selectors: usual } of providers) {
    if (usual.length === 0) continue
    const keys = (await Promise.all(usual.map((selector) => findKey(domain, selector, dns)))).filter(
      (key) => key !== undefined,
    )
    found.push(...keys)
    if (keys.length > 0 || given.some((key) => key !== undefined)) continue
    findings.push(
      bad(
        `no DKIM key of ${title} (${usual.map((selector) => `${selector}._domainkey.${domain}`).join(', ')})`,
        `Authenticate ${domain} at ${title} and add the records it shows, or name the selector: --dkim-selector`,
      ),
    )
  }
  if (selectors.length === 0 && providers.every(({ selectors: usual }) => usual.length === 0)) {
    const whose = providers.map(({ title }) => title).join(', ')
    findings.push(
      warn(
        `DKIM is not examined: the selectors of ${whose} are not known`,
        'Run doctor with --dkim-selector NAME: the part before ._domainkey in the record your relay shows, or s= in the DKIM-Signature of a received mail.',
      ),
    )
  }
  const judged = found.map((key) => ({ key, finding: judgeKey(key, domain) }))
  const good = judged.filter(({ finding }) => finding.level !== 'bad').map(({ key }) => key.domain)
  return {
    findings: [...findings, ...judged.map(({ finding }) => finding)],
    signedDomain: good.includes(domain) ? domain : good[0],
  }
}

interface FoundKey {
  readonly selector: string
  readonly domain: string
  readonly records: readonly string[]
}

/** The key of the sending domain, or of a domain above it: relays sign for either. */
async function findKey(domain: string, selector: string, dns: NameServer): Promise<FoundKey | undefined> {
  for (const candidate of parentsOf(domain)) {
    const records = (await dns.txt(`${selector}._domainkey.${candidate}`)).filter((text) =>
      /(?:^|;)\s*p\s*=/.test(text),
    )
    if (records.length > 0) return { selector, domain: candidate, records }
  }
  return undefined
}

function judgeKey({ selector, domain: at, records }: FoundKey, domain: string): Finding {
  const { ok, warn, bad } = about(`domain ${domain}`)
  const name = `DKIM key ${selector}._domainkey.${at}`
  const renew = 'Let the relay make a new key, and replace the record by the one it shows.'
  if (records.length > 1)
    return bad(
      `${name} has ${records.length} records; receivers may take any`,
      'Leave only the one your relay shows.',
    )
  const tags = tagsOf(records[0] ?? '')
  const key = (tags.get('p') ?? '').replace(/\s/g, '')
  if (key === '') return bad(`${name} is revoked (p= is empty)`, renew)
  const type = tags.get('k') ?? 'rsa'
  const bits = type === 'rsa' ? rsaBits(key) : Buffer.from(key, 'base64').length === 32 ? 256 : undefined
  if (bits === undefined)
    return bad(
      `${name} is cut off or garbled`,
      'Copy the record again; long ones must be split into strings of 255 characters.',
    )
  if (type === 'rsa' && bits < 1024)
    return bad(`${name} has only ${bits} bits; receivers ignore it (RFC 8301)`, renew)
  if (type === 'rsa' && bits < 2048)
    return warn(`${name} has ${bits} bits`, 'Ask the relay for a key of 2048 bits.')
  if (tags.get('t')?.split(':').includes('y'))
    return warn(`${name} is in test mode (t=y)`, 'Remove t=y from the record once mails pass.')
  return ok(`${name} is good (${type === 'rsa' ? `RSA, ${bits} bits` : type})`)
}

function rsaBits(base64: string): number | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyDetails?.modulusLength
  } catch {
    return undefined
  }
}
