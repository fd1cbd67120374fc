/**
 * Owns the content of a preview: the message, its headers and its bytes, made from sample or given claims by the steps
 * that a real token takes. The page and the static gallery show the same content.
 */
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { joinBody, type Message } from '../message.ts'
import { parseClaims } from '../token.ts'
import type { Catalogue, MailTemplate } from './catalogue.ts'
import type { ClaimRule } from './claims.ts'
import type { BuildMime } from '../mime/mime.ts'
import { draftMail, type MessageIdentity } from './render.ts'
import { sampleClaims } from './sample.ts'

/** One mail in the list of all mails. */
export interface GalleryEntry {
  readonly app: string
  readonly kind: string
  readonly locale: string
  /** Its locale is the one for callers that ask for none. */
  readonly main: boolean
  /** Relative to the catalogue's folder. */
  readonly file: string
  /** Empty when the samples do not make a mail. */
  readonly subject: string
  readonly fault: Fault | undefined
}

/** The answer to a caller that sends these claims. */
export interface Fault {
  readonly status: number
  readonly msg: string
  readonly code: string
  readonly claim: string | undefined
  /** A sentence for people: what to do about it. */
  readonly hint: string
}

export interface Preview {
  readonly subject: string
  /** In the order of the mail, decoded. */
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  readonly text: string
  readonly html: string
  /** The mail as it goes to the relay, before dot-stuffing. All of it is ASCII. */
  readonly source: string
  readonly bytes: { readonly source: number; readonly html: number; readonly text: number }
}

/** One mail with the claims that made it: either a preview or a fault. */
export interface Detail {
  readonly file: string
  readonly contract: readonly ClaimRule[]
  readonly claims: object
  readonly preview: Preview | undefined
  readonly fault: Fault | undefined
}

export interface PreviewParts extends MessageIdentity {
  readonly buildMime: BuildMime
}

export async function detailOf(mail: MailTemplate, claims: object, parts: PreviewParts): Promise<Detail> {
  const { file, contract } = mail
  const { message, fault } = tryRender(mail, claims, parts)
  const preview = message && (await previewOf(message, parts.buildMime))
  return { file, contract, claims, preview, fault }
}

/** The message, or the answer that a caller would get instead. Throws only bugs. */
export function tryRender(mail: MailTemplate, claims: unknown, identity: MessageIdentity) {
  try {
    return { message: previewMessage(mail, claims, identity), fault: undefined }
  } catch (error) {
    if (!(error instanceof MailerError)) throw error
    return { message: undefined, fault: faultOf(error, mail.contract) }
  }
}

/** Throws `claims_invalid` like a real request. `id` becomes the Message-ID. */
function previewMessage(mail: MailTemplate, claims: unknown, identity: MessageIdentity): Message {
  const { claims: read, faults } = parseClaims(claims, Date.now())
  return draftMail(mail, read, faults)(identity)
}

async function previewOf(message: Message, buildMime: BuildMime): Promise<Preview> {
  const { subject, text } = message
  const html = joinBody(message.html)
  const source = buildMime(message)
  // Loaded here: a service that never shows a preview need not read the parser.
  const { default: PostalMime, decodeWords } = await import('postal-mime')
  const { headers } = await PostalMime.parse(source)
  return {
    subject,
    headers: headers.map(({ originalKey, value }) => ({ name: originalKey, value: decodeWords(value) })),
    text,
    html,
    source: source.toString('latin1'),
    bytes: { source: source.length, html: Buffer.byteLength(html), text: Buffer.byteLength(text) },
  }
}

/** Never throws: a mail that cannot be rendered is listed with its fault. */
export function galleryOf(catalogue: Catalogue, now: number): GalleryEntry[] {
  return catalogue.mails.map((mail) => {
    const { app, kind, locale, file } = mail
    const entry = { app, kind, locale, file, main: isMain(mail, catalogue) }
    try {
      const { subject } = previewMessage(mail, sampleClaims(mail, now), { id: 'sample', date: new Date(now) })
      return { ...entry, subject, fault: undefined }
    } catch (error) {
      return { ...entry, subject: '', fault: faultOf(error, mail.contract) }
    }
  })
}

function isMain({ app, kind, locale }: MailTemplate, catalogue: Catalogue): boolean {
  try {
    return catalogue.find(app, kind, undefined).locale === locale
  } catch {
    return false
  }
}

/** A bug of ours says nothing here, as in a real answer. */
function faultOf(error: unknown, contract: readonly ClaimRule[]): Fault {
  const { status, answer } = failureAnswer(error)
  const { claim, reason } =
    error instanceof MailerError ? error : ({ claim: undefined, reason: undefined } as const)
  const rule = contract.find(({ name }) => name === claim)
  return { status, msg: answer.msg, code: answer.code, claim, hint: hintOf(reason, rule) }
}

function hintOf(reason: MailerError['reason'], rule: ClaimRule | undefined): string {
  switch (reason) {
    case 'missing':
      return 'It is required: a token without it is refused.'
    case 'type':
      return rule?.type === 'text' ? 'It must be a text.' : 'It must be a whole number.'
    case 'length':
      return `At most ${rule?.max.toLocaleString('en')} characters.`
    case 'control':
      return 'It holds a control character.'
    case 'key':
      return '1 to 256 printable ASCII characters without spaces, no "://" and no "www." in front.'
    case 'address':
      return 'It must be one plain address, such as ada@example.com.'
    case 'link':
      return 'Both parts of the link together must be an address that this app allows.'
    case 'size':
      return 'The mail would be larger than 100,000 characters.'
    default:
      return ''
  }
}
