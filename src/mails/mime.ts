/**
 * Owns the bytes of a mail: `Message` → RFC 5322 with a text part and an HTML part.
 *
 * nodemailer's MailComposer writes one skeleton at start, with markers; each mail only fills the gaps, at a tenth of
 * the cost of composing. What fills a gap is safe by its alphabet: header values are printable ASCII or base64
 * encoded-words, bodies are quoted-printable or base64. So no value can open a header, a part or an SMTP command.
 */
import MailComposer from 'nodemailer/lib/mail-composer'
import type { Mailbox, Message } from '../message.ts'
import { encodeBase64, encodedWords, encodeQuotedPrintable, foldAscii, isMostlyAscii } from './encode.ts'

/** Marker of each gap, in the order in which MailComposer writes them. The encoding of a part is a gap as well. */
const markers = [
  ['reference', 'marker-reference'],
  ['language', 'marker-language'],
  ['from', 'marker-from@marker.invalid'],
  ['to', 'marker-to@marker.invalid'],
  ['subject', 'marker-subject'],
  ['messageId', 'marker-id@marker.invalid'],
  ['date', 'Thu, 01 Jan 1970 00:00:00 +0000'],
  ['textEncoding', 'quoted-printable'],
  ['text', 'marker-text'],
  ['htmlEncoding', 'quoted-printable'],
  ['html', 'marker-html'],
] as const
type Gap = (typeof markers)[number][0]

/** RFC 3834, and the same for Exchange: no vacation notices in return. */
export const automatic = { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' }

/**
 * Writes one mail: ASCII, CRLF at every line's end, lines of at most 998 octets; dots are not yet stuffed. `sender` is
 * the address in From when a relay may not send for the message's own; the Message-ID does not follow it.
 */
export type BuildMime = (message: Message, sender?: string) => string

/** Throws when MailComposer's output no longer splits at the markers: then nothing may be sent at all. */
export async function mimeBuilder(): Promise<BuildMime> {
  const literals = cutAtMarkers(await composeSkeleton())
  return (message, sender) => fillGaps(literals, gapValues(message, sender))
}

function composeSkeleton(): Promise<string> {
  const composer = new MailComposer({
    from: 'marker-from@marker.invalid',
    to: 'marker-to@marker.invalid',
    subject: 'marker-subject',
    messageId: '<marker-id@marker.invalid>',
    date: new Date(0),
    text: 'marker-text',
    html: 'marker-html',
    encoding: 'quoted-printable',
    // `=_` can stand in neither encoding of a body
    boundaryPrefix: '=_',
    baseBoundary: '=_mail',
    headers: {
      ...automatic,
      // Gmail folds mails of one sender and subject together and hides the newest
      'X-Entity-Ref-ID': 'marker-reference',
      'Content-Language': 'marker-language',
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return composer
    .compile()
    .build()
    .then((bytes) => bytes.toString('latin1'))
}

function cutAtMarkers(skeleton: string): string[] {
  const literals: string[] = []
  let rest = skeleton
  for (const [gap, marker] of markers) {
    const at = rest.indexOf(marker)
    if (at < 0) throw new Error(`the mail skeleton has no gap for ${gap}`)
    literals.push(rest.slice(0, at))
    rest = rest.slice(at + marker.length)
  }
  literals.push(rest)
  const left = markers.find(([, marker]) => literals.some((literal) => literal.includes(marker)))
  if (left) throw new Error(`the mail skeleton has a second gap for ${left[0]}`)
  if (!rest.endsWith('\r\n')) throw new Error('the mail skeleton does not end with a line end')
  return literals
}

function fillGaps(literals: readonly string[], values: Record<Gap, string>): string {
  let mail = ''
  for (let index = 0; index < markers.length; index++) {
    mail += literals[index]! + values[markers[index]![0]]
  }
  return mail + literals[markers.length]!
}

function gapValues(message: Message, sender = message.from.address): Record<Gap, string> {
  const text = encodeBody(message.text)
  const html = encodeBody(message.html)
  return {
    reference: message.id,
    language: message.locale,
    from: fromField(message, sender),
    to: formatMailbox(message.to),
    subject: formatText(message.subject),
    messageId: messageId(message).slice(1, -1),
    date: message.date.toUTCString().replace('GMT', '+0000'),
    textEncoding: text.encoding,
    text: text.body,
    htmlEncoding: html.encoding,
    html: html.body,
  }
}

/** `<id@domain of the sender>`: the same for every attempt at this mail, so that a duplicate can be told as one. */
export function messageId(message: Message): string {
  const { address } = message.from
  return `<${message.id}${address.slice(address.lastIndexOf('@'))}>`
}

/** Reply-To has no gap of its own, because most mails have none: it follows From on a line of its own. */
function fromField(message: Message, sender: string): string {
  const from = formatMailbox({ name: message.from.name, address: sender })
  return message.replyTo
    ? `${from}\r\nReply-To: ${formatMailbox({ name: '', address: message.replyTo })}`
    : from
}

function formatMailbox({ name, address }: Mailbox): string {
  if (name === '') return address
  const plain = isPlainHeader(name) && name.length <= 200
  const phrase = plain ? `"${name.replace(/[\\"]/g, '\\$&')}"` : encodedWords(oneLine(name))
  return phrase.length + address.length > 60 ? `${phrase}\r\n <${address}>` : `${phrase} <${address}>`
}

function formatText(value: string): string {
  const line = oneLine(value)
  return (isPlainHeader(line) && foldAscii(line)) || encodedWords(line)
}

/** `=?` would be read as the start of an encoded-word (RFC 2047). */
function isPlainHeader(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value) && !value.includes('=?')
}

/** Without control characters and line breaks, as a header may have it. */
export function oneLine(value: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what must go
  return value.replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, ' ').trim()
}

/** Spam filters distrust base64 where quoted-printable would be readable. */
function encodeBody(content: string): { encoding: string; body: string } {
  const bytes = Buffer.from(content, 'utf8')
  return isMostlyAscii(bytes)
    ? { encoding: 'quoted-printable', body: encodeQuotedPrintable(bytes) }
    : { encoding: 'base64', body: encodeBase64(bytes) }
}
