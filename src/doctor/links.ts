/** Owns the examination of the places confirmation links may lead to. */
import { isIP } from 'node:net'
import type { Catalogue } from '../mails/catalogue.ts'
import { about, Ailment, type Finding } from './finding.ts'
import type { NameServer } from './name-server.ts'

const { ok, warn, bad } = about('links')

export interface LinkOptions {
  readonly catalogue: Catalogue
  readonly production: boolean
  readonly dns: NameServer
}

export async function* examineLinks({ catalogue, production, dns }: LinkOptions): AsyncGenerator<Finding> {
  const mails = catalogue.mails.filter(({ showsLink }) => showsLink)
  const origins = new Set(mails.flatMap(({ linkRules }) => linkRules.origins ?? []))
  const free = new Set(mails.filter(({ linkRules }) => !linkRules.origins).map(({ app }) => app))
  if (free.size > 0) {
    yield ok(`links of ${[...free].join(', ')} may lead anywhere; link_origins in app.json narrows that`)
  }
  const found = await Promise.all([...origins].map((origin) => examineOrigin(origin, production, dns)))
  yield* found
}

async function examineOrigin(origin: string, production: boolean, dns: NameServer): Promise<Finding> {
  const { protocol, hostname } = new URL(origin)
  if (protocol !== 'https:' && production)
    return bad(
      `${origin} is not https: whoever is on the way reads the link`,
      'Write https:// into app.json.',
    )
  const local = hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) > 0
  if (local && production)
    return bad(`${origin} is no public name: nobody who gets the mail can open it`, 'Correct app.json.')
  if (local) return ok(`${origin} is this machine`)
  try {
    if ((await dns.addresses(hostname)).length === 0)
      return bad(
        `${hostname} does not exist in DNS, so its links lead nowhere`,
        'Correct app.json, or add the name.',
      )
  } catch (error) {
    if (!(error instanceof Ailment)) throw error
    return bad(error.message, error.todo)
  }
  return protocol === 'https:'
    ? ok(`${origin} resolves`)
    : warn(`${origin} is not https`, 'Use https before this goes to production.')
}
