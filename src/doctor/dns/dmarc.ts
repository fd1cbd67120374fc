/** Owns the examination of DMARC (RFC 7489): the policy for mails that fail, and whether the mails of each relay pass. */
import type { DkimResult } from './dkim.ts'
import { about, type Finding } from '../finding.ts'
import type { NameServer } from './name-server.ts'
import type { Provider } from './provider.ts'
import { parentsOf, tagsOf } from './record.ts'
import type { SpfResult } from './spf.ts'

const policies = new Set(['none', 'quarantine', 'reject'])

interface Policy {
  /** Where the record stands: the sending domain or one above. */
  readonly at: string
  readonly action: string
  readonly strictDkim: boolean
  readonly strictSpf: boolean
}

export async function examineDmarc(
  domain: string,
  providers: readonly Provider[],
  { spf, dkim }: { spf: SpfResult; dkim: DkimResult },
  dns: NameServer,
): Promise<Finding[]> {
  const { ok, warn, bad } = about(`domain ${domain}`)
  const { at, records } = await findRecords(domain, dns)
  const [record] = records
  if (record === undefined) {
    return [
      warn(
        'no DMARC record: Gmail and Yahoo ask for one, and anybody may write as this domain',
        `Add a TXT record at _dmarc.${domain}: "v=DMARC1; p=none; rua=mailto:dmarc@${domain}", and p=quarantine once the reports look right.`,
      ),
    ]
  }
  if (records.length > 1)
    return [bad(`${records.length} DMARC records at _dmarc.${at}, so receivers take none`, 'Leave one.')]
  const tags = tagsOf(record)
  const action = (at === domain ? undefined : tags.get('sp')) ?? tags.get('p') ?? ''
  if (!policies.has(action.toLowerCase()))
    return [
      bad(`the DMARC record at _dmarc.${at} has no valid policy`, 'Write p=none, p=quarantine or p=reject.'),
    ]
  const policy = {
    at,
    action: action.toLowerCase(),
    strictDkim: tags.get('adkim')?.toLowerCase() === 's',
    strictSpf: tags.get('aspf')?.toLowerCase() === 's',
  }
  const says = `DMARC at _dmarc.${at}: ${policy.action}`
  const first =
    policy.action === 'none'
      ? warn(says, 'Anybody may still write as this domain: when the reports look right, set p=quarantine.')
      : ok(says)
  return [first, ...providers.map((provider) => judgeAlignment(domain, provider, policy, { spf, dkim }))]
}

async function findRecords(domain: string, dns: NameServer): Promise<{ at: string; records: string[] }> {
  for (const at of parentsOf(domain)) {
    const records = (await dns.txt(`_dmarc.${at}`)).filter((text) => /^v=DMARC1\s*(?:;|$)/.test(text))
    if (records.length > 0) return { at, records }
  }
  return { at: domain, records: [] }
}

/** A mail passes when SPF or DKIM passes for a domain that fits the one in From (RFC 7489 3.1). */
function judgeAlignment(
  domain: string,
  provider: Provider,
  { action, strictDkim, strictSpf }: Policy,
  { spf, dkim }: { spf: SpfResult; dkim: DkimResult },
): Finding {
  const { ok, warn, bad } = about(`domain ${domain}`)
  const bySpf = spf.allows(provider) && !(strictSpf && provider.bounces !== 'ours')
  const byDkim = dkim.signedDomain === domain || (dkim.signedDomain !== undefined && !strictDkim)
  const passes = [...(bySpf ? ['SPF'] : []), ...(byDkim ? ['DKIM'] : [])]
  if (passes.length > 0) return ok(`mails by ${provider.title} pass DMARC by ${passes.join(' and ')}`)
  if (bySpf === undefined && dkim.signedDomain === undefined)
    return warn(
      `whether mails by ${provider.title} pass DMARC cannot be told from here`,
      'Send one with --send-to and look for dmarc=pass in its headers, or name the selector: --dkim-selector',
    )
  const strict =
    dkim.signedDomain !== undefined ? ` (adkim=s, and they are signed by ${dkim.signedDomain})` : ''
  const says = `mails by ${provider.title} fail DMARC${strict}`
  const todo = strict
    ? `Let the relay sign with ${domain}, or remove adkim=s.`
    : `Set up SPF or DKIM for ${provider.title} as said above.`
  return action === 'none' ? warn(says, todo) : bad(`${says}, and receivers ${action} them`, todo)
}
