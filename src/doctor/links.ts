/** Owns the examination of the origins that links in mails may lead to. */
import { isMailDomain } from '../address.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { about, CheckStopped, type Finding } from './finding.ts'
import type { NameServer } from './dns/name-server.ts'

const { ok, warn, bad } = about('links')

export interface LinkOptions {
  readonly catalogue: Catalogue
  readonly production: boolean
  readonly allowHttp: boolean
  readonly dns: NameServer
}

export async function* examineLinks(options: LinkOptions): AsyncGenerator<Finding> {
  const mails = options.catalogue.mails.filter(({ showsLink }) => showsLink)
  const origins = new Set(mails.flatMap(({ linkRules }) => linkRules.origins ?? []))
  const unrestricted = new Set(mails.filter(({ linkRules }) => !linkRules.origins).map(({ app }) => app))
  if (unrestricted.size > 0) {
    yield ok(
      `links of ${[...unrestricted].join(', ')} may lead anywhere; link_origins in app.json narrows that`,
    )
  }
  const found = await Promise.all([...origins].map((origin) => examineOrigin(origin, options)))
  yield* found
}

async function examineOrigin(
  origin: string,
  { production, allowHttp, dns }: Omit<LinkOptions, 'catalogue'>,
): Promise<Finding> {
  const { protocol, hostname } = new URL(origin)
  const correct = 'Correct link_origins in app.json.'
  if (!isMailDomain(hostname)) {
    if (!production) return ok(`${origin} is for development`)
    return bad(`${origin} is no public name: recipients of the mail cannot open it`, correct)
  }
  if (protocol !== 'https:' && !allowHttp)
    return bad(`${origin} is not https, so mails with such links are refused`, correct)
  try {
    if ((await dns.addresses(hostname)).length === 0)
      return bad(
        `${hostname} does not exist in DNS, so its links lead nowhere`,
        `${correct} Or add the name.`,
      )
  } catch (error) {
    if (!(error instanceof CheckStopped)) throw error
    return bad(error.says, error.todo)
  }
  if (protocol === 'https:') return ok(`${origin} resolves`)
  return warn(
    `${origin} is not https: anybody on the way can read the link and use it`,
    'Use https, and ALLOW_HTTP_LINKS=off.',
  )
}
