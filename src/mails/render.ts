/** Owns how the claims of one token fill a template. Nothing is parsed: values go into slots, made harmless for each part. */
import type { Claims } from '../contract.ts'
import { type ClaimFault, invalidClaim, invalidClaims, MailerError } from '../errors.ts'
import { escapeHtml } from '../escape-html.ts'
import type { Body, Message } from '../message.ts'
import type { MailTemplate } from './catalogue.ts'
import { claimedExpiry, readClaim, readKey, readLink, type Source } from './claims.ts'
import type { Program } from './compile/compile.ts'
import type { Expression } from './compile/names.ts'
import type { Scene } from './compile/terms.ts'
import { fill, fillBody, type Filling } from './compile/placeholders.ts'
import { fillText } from './compile/text.ts'
import {
  cleanText,
  defuseLinks,
  foldLines,
  isolate,
  readsAsAddress,
  type Row,
  shorten,
  type Value,
  writeValue,
} from './values.ts'

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

/**
 * As `renderMail`, in two steps: the claims are checked now, and the message is made when its identity is known. `known`
 * are the faults of the token already known (`claims` lacks their claims): they are thrown together with the mail's.
 */
export function draftMail(
  mail: MailTemplate,
  claims: Claims,
  known: readonly ClaimFault[] = [],
): (identity: MessageIdentity) => Message {
  const { program } = mail
  const values = readSources(mail, claims, known)
  const { plain, text, html: inHtml } = fillingsOf(program, values)
  const html = fillBody(program.html, inHtml)
  if (lengthOf(html) > maxHtml) throw invalidClaim(largest(mail, values, claims), 'size')
  const to = { name: headerText(fill(program.toName, plain), maxName), address: claims.user_email }
  const subject = headerText(fill(program.subject, plain), maxSubject)
  return ({ id, date }) => ({
    id,
    app: mail.app,
    kind: mail.kind,
    locale: mail.locale,
    from: mail.from,
    replyTo: mail.replyTo,
    to,
    subject,
    text: fillText(program.text, text),
    html,
    date,
  })
}

/** Throws with all faults at once. */
function readSources(mail: MailTemplate, claims: Claims, known: readonly ClaimFault[]): Value[] {
  const faults: ClaimFault[] = [...known]
  const values = mail.program.sources.map((source) => {
    try {
      return readSource(source, mail, claims)
    } catch (error) {
      if (!(error instanceof MailerError)) throw error
      faults.push(...error.faults.filter(({ claim }) => !known.some((fault) => fills(fault.claim, claim))))
      return ''
    }
  })
  if (faults.length > 0) throw invalidClaims(faults)
  return values
}

/** Whether the first claim fills the same place of a mail: while it is wrong, the other one is not missing. */
function fills(claim: string, other: string): boolean {
  return claim === other || sameFill.some((names) => names.includes(claim) && names.includes(other))
}

const sameFill = [
  ['user_aut_key', 'user_aut_key_or_otp'],
  ['email_link', 'email_link_url', 'email_link_token'],
]

interface Fillings {
  /** For headers, for the text part and for the HTML part. */
  readonly plain: Filling
  readonly text: Filling
  readonly html: Filling
}

/** Values outside of loops are written now; those of each row wait for their turn. */
function fillingsOf(program: Program, values: readonly Value[]): Fillings {
  const { expressions, loops, direction } = program
  const scene = { values, row: [], index: 0, count: 0 }
  const all = splitWritten(
    expressions.map((expression) =>
      expression.scope < 0 ? writtenValue(expression, scene, direction) : nothing,
    ),
  )
  const rows = loops.map((source, loop) => {
    const slots = expressions.flatMap(({ scope }, index) => (scope === loop ? [index] : []))
    const list = values[source]
    const items: readonly Row[] = Array.isArray(list) ? list : []
    const written = items.map((row, index) => {
      const place = { values, row, index, count: items.length }
      return splitWritten(slots.map((slot) => writtenValue(expressions[slot]!, place, direction)))
    })
    return { slots, written }
  })
  const filling = (part: keyof Written): Filling => ({
    values: all[part],
    plain: all.plain,
    loops: rows.map(({ slots, written }) => ({
      slots,
      rows: written.map((row) => ({ values: row[part], plain: row.plain })),
    })),
  })
  return { plain: filling('plain'), text: filling('text'), html: filling('html') }
}

function splitWritten(written: readonly Written[]): Record<keyof Written, string[]> {
  const split: Record<keyof Written, string[]> = { plain: [], text: [], html: [] }
  for (const { plain, text, html } of written) {
    split.plain.push(plain)
    split.text.push(text)
    split.html.push(html)
  }
  return split
}

/** One value as it is and as each part writes it. */
interface Written {
  readonly plain: string
  readonly text: string
  readonly html: string
}
const nothing: Written = { plain: '', text: '', html: '' }

function writtenValue(expression: Expression, scene: Scene, direction: 'ltr' | 'rtl'): Written {
  const plain = expression.read(scene)
  if (plain === '') return nothing
  const text = shownValue(expression, plain, direction)
  const escaped = escapeHtml(text)
  return { plain, text, html: expression.lines ? escaped.replaceAll('\n', '<br>\n') : escaped }
}

function shownValue({ written, lines }: Expression, plain: string, direction: 'ltr' | 'rtl'): string {
  if (written === 'exact' || (written === 'email' && readsAsAddress(plain))) return plain
  return isolate(defuseLinks(lines ? plain : foldLines(plain)), direction)
}

function lengthOf(body: Body): number {
  let length = 0
  for (const piece of body) length += typeof piece === 'string' ? piece.length : piece.literal.length
  return length
}

function readSource(source: Source, mail: MailTemplate, claims: Claims): Value {
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

function headerText(value: string, max: number): string {
  return shorten(
    foldLines(cleanText(value) ?? '')
      .replace(/ {2,}/g, ' ')
      .trim(),
    max,
  )
}

/** The claim of which the mail holds most. */
function largest(mail: MailTemplate, values: readonly Value[], { email_link: whole }: Claims): string {
  const sizes = values.map(
    (value) => (Array.isArray(value) ? JSON.stringify(value) : writeValue(value)).length,
  )
  const source = mail.program.sources[sizes.indexOf(Math.max(...sizes))]!
  if (source.kind === 'link') return whole ? 'email_link' : 'email_link_token'
  return source.rule?.name ?? 'user_email'
}
