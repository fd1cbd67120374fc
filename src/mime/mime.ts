/**
 * Owns the bytes of a mail: `Message` → RFC 5322 with a text part and an HTML part.
 *
 * nodemailer's MailComposer writes one skeleton at start, with markers. Each mail only fills the gaps, which costs a
 * tenth of composing it. The alphabet of a gap makes its value safe: header values are printable ASCII or base64
 * encoded-words, bodies are quoted-printable or base64. So no value can open a header, a part or an SMTP command.
 */
import type { Mailbox, Message } from '../message.ts'
import { MailComposer } from './nodemailer.ts'
import { encodedWords, foldAscii } from './encode.ts'
import { bodyWriter } from './body-writer.ts'

/** Marker of each gap, in the order in which MailComposer writes them: the header's, then those of the two parts. */
const headerMarkers = [
  ['reference', 'marker-reference'],
  ['language', 'marker-language'],
  ['from', 'marker-from@marker.invalid'],
  ['to', 'marker-to@marker.invalid'],
  ['subject', 'marker-subject'],
  ['messageId', 'marker-id@marker.invalid'],
  ['date', 'Thu, 01 Jan 1970 00:00:00 +0000'],
] as const
const partMarkers = [
  ['text encoding', 'quoted-printable'],
  ['text', 'marker-text'],
  ['html encoding', 'quoted-printable'],
  ['html', 'marker-html'],
] as const
type Header = Record<(typeof headerMarkers)[number][0], string>

/** Asks for no vacation notices in return (RFC 3834), the second header does so for Exchange. */
export const automatic = { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' }

/**
 * Writes one mail: ASCII, CRLF at every line's end, lines of at most 998 octets, none of which begins with a dot.
 * `sender` replaces the address in From where a relay may not send for the message's own; the Message-ID stays.
 * `end` is appended to the mail.
 */
export type BuildMime = (message: Message, sender?: string, end?: string) => Buffer

/** Throws when MailComposer's output cannot be cut at the markers: then the service must not send anything. */
export async function mimeBuilder(): Promise<BuildMime> {
  const literals = cutAtMarkers(await composeSkeleton())
  const [beforeTextEncoding, beforeText, beforeHtmlEncoding, beforeHtml, last] = literals.splice(
    headerMarkers.length,
  )
  const writer = bodyWriter()
  return (message, sender, end = '') => {
    writer.begin()
    writer.write(fillHeader(literals, headerOf(message, sender)) + beforeTextEncoding!)
    writer.writePart([message.text], beforeText!)
    writer.write(beforeHtmlEncoding!)
    writer.writePart(message.html, beforeHtml!)
    writer.write(last! + end)
    return writer.take()
  }
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
    // no encoded body can hold `=_`
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
  const markers = [...headerMarkers, ...partMarkers]
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

/** `literals` are the texts before each gap. */
function fillHeader(literals: readonly string[], header: Header): string {
  let lines = ''
  for (let index = 0; index < headerMarkers.length; index++) {
    lines += literals[index]! + header[headerMarkers[index]![0]]
  }
  return lines
}

function headerOf(message: Message, sender = message.from.address): Header {
  return {
    reference: message.id,
    language: message.locale,
    from: fromField(message, sender),
    to: formatMailbox(message.to),
    subject: formatText(message.subject),
    messageId: messageId(message).slice(1, -1),
    date: message.date.toUTCString().replace('GMT', '+0000'),
  }
}

/** `<id@domain of the sender>`: the same for every try at this mail, so that mailboxes recognise a duplicate. */
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

/** The value as a header may hold it: without control characters and line breaks. */
export function oneLine(value: string): string {
  // oxlint-disable-next-line no-control-regex -- it removes control characters
  return value.replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, ' ').trim()
}
