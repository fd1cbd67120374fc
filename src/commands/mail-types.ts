/** Owns what each mail needs from its caller, written as TypeScript for `createMailer`. */
import { formatProblem } from '../mails/problem.ts'
import { mailsFolder, readMails } from './mail-folder.ts'
import { CommandError, type ExitCode, type Terminal } from './terminal.ts'
import type { MailTemplate } from '../mails/catalogue.ts'
import type { ClaimRule } from '../mails/claims.ts'

/** 1 when the catalogue is broken: then the problems are printed instead. */
export function printMailTypes(given: string | undefined, terminal: Terminal): ExitCode {
  const dir = mailsFolder(given)
  const { catalogue, problems } = readMails({ dir })
  for (const problem of problems) terminal.err(formatProblem(problem))
  if (catalogue) terminal.out(typesOf(catalogue.mails))
  return catalogue ? 0 : 1
}

/** Reads one mail per app and kind: the catalogue refuses locales of one kind that need different claims. */
export function typesOf(mails: readonly MailTemplate[]): string {
  if (mails.length === 0) throw new CommandError('there are no mails in the folder')
  const apps = Map.groupBy(mails, ({ app }) => app)
  const lines = [...apps].map(([app, ofApp]) => {
    const kinds = Map.groupBy(ofApp, ({ kind }) => kind)
    return `  ${name(app)}: {\n${[...kinds].map(([kind, [mail]]) => `    ${name(kind)}: ${contentOf(mail!)}`).join('\n')}\n  }`
  })
  return `// Written by "jwt-mailer types": what each mail asks of its caller. Write it anew when a mail changes.
/** A whole URL (claim \`email_link\`), or its two halves (\`email_link_url\`, \`email_link_token\`). */
type Link = string | { readonly url: string; readonly token: string }

export interface Mails {
${lines.join('\n')}
}`
}

function contentOf({ contract, showsKey }: MailTemplate): string {
  const claims = contract.filter(({ name: claim }) => !ownOption.has(claim))
  const key = contract.find(({ name: claim }) => claim === 'user_aut_key_or_otp')
  const link = contract.find(({ name: claim }) => claim === 'email_link_url')
  const addressee = contract.find(({ name: claim }) => claim === 'user_name')
  const fields = [
    link ? `link${mark(link)}: Link` : 'link?: never',
    ...(link || (showsKey && key) ? ['linkExpires?: Date'] : []),
    showsKey && key ? `accessKey${mark(key)}: string` : 'accessKey?: never',
    addressee?.required ? 'name: string' : 'name?: string',
    'locale?: string',
    ...dataOf(claims),
  ]
  return `{ ${fields.join('; ')} }`
}

const ownOption = new Set([
  'user_email',
  'email_link_url',
  'email_link_token',
  'user_aut_key_or_otp',
  'user_name',
])

function dataOf(claims: readonly ClaimRule[]): string[] {
  if (claims.length === 0) return []
  const needed = claims.some(({ required }) => required)
  const fields = claims.map((claim) => `${name(claim.name)}${mark(claim)}: ${typeOf(claim)}`)
  return [`data${needed ? '' : '?'}: { ${fields.join('; ')} }`]
}

const mark = ({ required }: ClaimRule) => (required ? '' : '?')
const scalarTypes = {
  text: 'string | number',
  integer: 'number',
  cents: 'number',
  boolean: 'boolean',
  date: 'string',
}

function typeOf({ type, fields = [] }: ClaimRule): string {
  if (type !== 'list') return scalarTypes[type]
  const isTexts = fields[0]?.name === ''
  const item = isTexts
    ? scalarTypes.text
    : `{ ${fields.map((field) => `${name(field.name)}${mark(field)}: ${typeOf(field)}`).join('; ')} }`
  return `readonly (${item})[]`
}

const name = (text: string) => (/^[a-z_]\w*$/i.test(text) ? text : JSON.stringify(text))
