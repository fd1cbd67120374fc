/** Owns the sample claims of a mail, for previews, tests and documentation. */
import type { Claims } from '../contract.ts'
import type { Catalogue, MailTemplate } from './catalogue.ts'
import type { ClaimRule } from './claims.ts'

const dayS = 86_400
const quarterS = 900

/** Claims that fill the mail from the samples of its contract. A link works a day from `now` (epoch ms), a code alone a quarter of an hour. */
export function sampleClaims(mail: MailTemplate, now: number): Claims {
  const origin = mail.linkRules.origins?.[0] ?? 'https://app.example.com'
  const claims: Claims = { user_email: 'ada@example.com' }
  for (const rule of mail.contract) {
    if (rule.name === 'email_link_url') claims.email_link_url = `${origin}/confirm/`
    else if (rule.name === 'email_link_token') claims.email_link_token = sampleLinkToken(now)
    else claims[rule.name] = rule.sample ?? placeholderOf(rule)
  }
  if (!mail.showsLink && showsExpiry(mail)) claims.email_link_exp = Math.floor(now / 1000) + quarterS
  return claims
}

/** The mail with which somebody begins: the default one of `default` or of the first app, in its own language. */
export function firstMail(catalogue: Catalogue): MailTemplate | undefined {
  const { mails } = catalogue
  const apps = ['default', ...mails.map(({ app }) => app)]
  const app = apps.find((name) => mails.some((mail) => mail.app === name))
  return app === undefined ? undefined : catalogue.find(app, undefined, undefined)
}

function showsExpiry({ program }: MailTemplate): boolean {
  const expiry = program.sources.findIndex(({ kind }) => kind === 'expiry')
  return program.expressions.some(({ uses }) => uses.includes(expiry))
}

/** It looks like a caller's token, and no key has signed it. */
function sampleLinkToken(now: number): string {
  const issued = Math.floor(now / 1000)
  const header = base64url({ alg: 'HS256', typ: 'JWT' })
  const payload = base64url({ user_id: 42, iat: issued, exp: issued + dayS })
  return `${header}.${payload}.${'sample-signature'.repeat(3).slice(0, 43)}`
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function placeholderOf(rule: ClaimRule): unknown {
  switch (rule.type) {
    case 'text':
      if (rule.name === 'user_aut_key_or_otp') return '7hK2pQ'
      return rule.default || rule.name || 'text'
    case 'boolean':
      return true
    case 'date':
      return '2026-11-26'
    case 'list':
      return [placeholderItem(rule.fields ?? [])]
    default:
      return 1234
  }
}

function placeholderItem(fields: readonly ClaimRule[]): unknown {
  const values = fields.map((field) => [field.name, field.sample ?? placeholderOf(field)] as const)
  return values[0]?.[0] === '' ? values[0][1] : Object.fromEntries(values)
}
