/** Owns how the claims of one token fill a template. Nothing is parsed: values go into slots, made harmless for each part. */
import type { Claims } from '../contract.ts'
import { invalidClaim } from '../errors.ts'
import { escapeHtml } from '../escape-html.ts'
import type { Body, Message } from '../message.ts'
import type { MailTemplate } from './catalogue.ts'
import { claimedExpiry, readClaim, readKey, readLink, type Source } from './claims.ts'
import type { Expression } from './compile/names.ts'
import { fill, fillBody } from './compile/placeholders.ts'
import { fillText } from './compile/text.ts'
import { cleanText, defuseLinks, foldLines, formatMoney, isolate, readsAsAddress, shorten } from './values.ts'

/** Gmail clips a mail at 102 KiB, and a mail of that size is no notice any more. */
const maxHtml = 100_000
const maxSubject = 255
const maxName = 100

/** The part of a message that does not come from its claims. */
export interface MessageIdentity {
  readonly id: string
  readonly date: Date
}

/**
 * `claims.user_email` must have passed `checkAddress`. Throws `claims_invalid` naming the claim that is missing, of the
 * wrong type, too long, or holds a forbidden character.
 */
export function renderMail(mail: MailTemplate, claims: Claims, identity: MessageIdentity): Message {
  return draftMail(mail, claims)(identity)
}

/** As `renderMail`, in two steps: the claims are checked now, and the message is made when its identity is known. */
export function draftMail(mail: MailTemplate, claims: Claims): (identity: MessageIdentity) => Message {
  const { program } = mail
  const values = program.sources.map((source) => readSource(source, mail, claims))
  const plain = program.expressions.map((expression) => plainValue(expression, values))
  const textValues = program.expressions.map((expression, index) =>
    shownValue(mail, expression, plain[index]!),
  )
  const htmlValues = program.expressions.map((expression, index) => htmlValue(expression, textValues[index]!))
  const html = fillBody(program.html, htmlValues, plain)
  if (lengthOf(html) > maxHtml) throw invalidClaim(longest(mail, values, claims), 'size')
  const to = { name: headerText(fill(program.toName, plain, plain), maxName), address: claims.user_email }
  const subject = headerText(fill(program.subject, plain, plain), maxSubject)
  return ({ id, date }) => ({
    id,
    app: mail.app,
    kind: mail.kind,
    locale: mail.locale,
    from: mail.from,
    replyTo: mail.replyTo,
    to,
    subject,
    text: fillText(program.text, textValues, plain),
    html,
    date,
  })
}

function lengthOf(body: Body): number {
  let length = 0
  for (const piece of body) length += typeof piece === 'string' ? piece.length : piece.literal.length
  return length
}

function readSource(source: Source, mail: MailTemplate, claims: Claims): string {
  switch (source.kind) {
    case 'email':
      return claims.user_email
    case 'key':
      return mail.showsKey ? readKey(source.rule!, claims) : ''
    case 'link':
      return mail.showsLink ? readLink(claims, mail.linkRules, source.optional) : ''
    case 'expiry':
      return expiryText(mail, claims)
    default:
      return readClaim(source.rule!, claims)
  }
}

function expiryText(mail: MailTemplate, claims: Claims): string {
  const expiry = claimedExpiry(claims, mail)
  return expiry === undefined ? '' : mail.formatTime(expiry)
}

function plainValue({ source, currency }: Expression, values: readonly string[]): string {
  return currency < 0 ? values[source]! : formatMoney(values[source]!, values[currency]!)
}

function shownValue(mail: MailTemplate, { source, lines }: Expression, plain: string): string {
  const { kind, name } = mail.program.sources[source]!
  const holdsAddress = kind === 'email' || (kind === 'claim' && name.endsWith('_email'))
  if (holdsAddress ? readsAsAddress(plain) : kind !== 'claim') return plain
  return isolate(defuseLinks(lines ? plain : foldLines(plain)), mail.program.direction)
}

function htmlValue({ lines }: Expression, shown: string): string {
  const escaped = escapeHtml(shown)
  return lines ? escaped.replaceAll('\n', '<br>\n') : escaped
}

function headerText(value: string, max: number): string {
  return shorten(
    foldLines(cleanText(value) ?? '')
      .replace(/ {2,}/g, ' ')
      .trim(),
    max,
  )
}

function longest(mail: MailTemplate, values: readonly string[], { email_link: whole }: Claims): string {
  const lengths = values.map((value) => value.length)
  const source = mail.program.sources[lengths.indexOf(Math.max(...lengths))]!
  if (source.kind === 'link') return whole ? 'email_link' : 'email_link_token'
  return source.rule?.name ?? 'user_email'
}
