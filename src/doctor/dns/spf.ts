/** Owns the examination of SPF (RFC 7208): whether the record allows the relays, and whether receivers can evaluate it. */
import { about, type Finding } from '../finding.ts'
import type { NameServer } from './name-server.ts'
import { bouncesToItself, type Provider } from './provider.ts'

/** RFC 7208 4.6.4. */
const maxLookups = 10
/** Counting ends here, so that a hostile record cannot make us ask without end. */
const stopCountingAt = 25
const finalAll = /(?:^| )([+?~-]?)all(?: |$)/i

interface Tally {
  lookups: number
  /** Every domain whose record is included, however deep. */
  readonly included: Set<string>
  /** What makes receivers give up (permerror). */
  readonly faults: string[]
}

export interface SpfResult {
  readonly findings: readonly Finding[]
  /** Does the record name the servers of this provider? `undefined`: that cannot be told. */
  readonly allows: (provider: Provider) => boolean | undefined
}

export async function examineSpf(
  domain: string,
  providers: readonly Provider[],
  dns: NameServer,
): Promise<SpfResult> {
  const { ok, warn, bad } = about(`domain ${domain}`)
  const records = (await dns.txt(domain)).filter(isSpf)
  const [record] = records
  const wanted = providers.flatMap(({ spf }) => spf.slice(0, 1))
  if (record === undefined && providers.length > 0 && providers.every(bouncesToItself)) {
    const finding = warn(
      'no SPF record: its relays need none, but nothing says that others may not send its mail',
      `Add a TXT record at ${domain}: "v=spf1 ~all"`,
    )
    return { findings: [finding], allows: () => undefined }
  }
  if (record === undefined) {
    const includes = wanted.map((name) => `include:${name} `).join('') || '(what your relay documents) '
    const finding = bad(
      'no SPF record: nothing says who may send its mail',
      `Add a TXT record at ${domain}: "v=spf1 ${includes}~all"`,
    )
    return { findings: [finding], allows: ({ spf }) => (spf.length > 0 ? false : undefined) }
  }
  const tally: Tally = { lookups: 0, included: new Set(), faults: [] }
  await countLookups(record, [domain], tally, dns)
  const findings = [...faultsOf(domain, records, record, tally)]
  const broken = findings.some(({ level }) => level === 'bad')
  const allows = ({ spf }: Provider) => {
    if (broken) return false
    return spf.length > 0 ? spf.some((name) => includesServers(name, tally)) : undefined
  }
  if (findings.length === 0) findings.push(ok(`SPF is sound (${tally.lookups} of ${maxLookups} lookups)`))
  return { findings, allows }
}

export function isSpf(record: string): boolean {
  return /^v=spf1(?: |$)/i.test(record)
}

/** `u123.wl.sendgrid.net` stands for SendGrid as `sendgrid.net` does; a leading underscore wants the exact name. */
function includesServers(name: string, { included }: Tally): boolean {
  return [...included].some(
    (found) => found === name || (!name.startsWith('_') && found.endsWith(`.${name}`)),
  )
}

function* faultsOf(
  domain: string,
  records: readonly string[],
  record: string,
  { lookups, faults }: Tally,
): Generator<Finding> {
  const { warn, bad } = about(`domain ${domain}`)
  if (records.length > 1) {
    yield bad(
      `${records.length} SPF records, so receivers take none (RFC 7208 4.5)`,
      'Merge them into one: all includes in one record, one "all" at its end.',
    )
  }
  if (lookups > maxLookups) {
    yield bad(
      `SPF needs ${lookups >= stopCountingAt ? `${stopCountingAt} or more` : lookups} DNS lookups and receivers give up after ${maxLookups} (RFC 7208 4.6.4)`,
      'Remove includes of services that send no mail for you any more.',
    )
  }
  for (const fault of faults)
    yield bad(`SPF: ${fault}`, 'Correct or remove it; receivers take it as no SPF at all.')
  const all = finalAll.exec(record)
  if (all && (all[1] === '' || all[1] === '+'))
    yield bad('SPF ends in +all: anybody may send its mail', 'End it in ~all or -all.')
  else if (all?.[1] === '?' || (!all && !/ redirect=/i.test(record)))
    yield warn('SPF forbids no other server to send its mail', 'End it in ~all or -all.')
}

/** `path` leads from the sending domain to the one whose record this is. */
async function countLookups(
  record: string,
  path: readonly string[],
  tally: Tally,
  dns: NameServer,
): Promise<void> {
  for (const term of record.split(/ +/).slice(1)) {
    const [, mechanism = '', separator = '', value = ''] =
      /^[+?~-]?([a-z0-9_.]+)([:=/]?)(.*)$/i.exec(term) ?? []
    const name = mechanism.toLowerCase()
    if (term === '' || ['ip4', 'ip6', 'all'].includes(name)) continue
    // other modifiers cost nothing, and "all" comes before a redirect (RFC 7208 6.1)
    if (separator === '=' && (name !== 'redirect' || finalAll.test(record))) continue
    if (!['include', 'a', 'mx', 'ptr', 'exists', 'redirect'].includes(name)) {
      tally.faults.push(`"${term.slice(0, 40)}" at ${path.at(-1)} is no known mechanism`)
      continue
    }
    tally.lookups++
    if (tally.lookups >= stopCountingAt) return
    if (name === 'include' || name === 'redirect') await followInclude(value.toLowerCase(), path, tally, dns)
  }
}

async function followInclude(
  target: string,
  path: readonly string[],
  tally: Tally,
  dns: NameServer,
): Promise<void> {
  if (path.includes(target)) {
    tally.faults.push(`${target} includes itself`)
    return
  }
  tally.included.add(target)
  // a macro has another value for every mail
  if (target.includes('%')) return
  const records = (await dns.txt(target)).filter(isSpf)
  if (records.length === 1) return countLookups(records[0] ?? '', [...path, target], tally, dns)
  tally.faults.push(`${target} is included and has ${records.length === 0 ? 'no SPF record' : 'several'}`)
}
