/**
 * Owns the bytes of a mail: `Message` → RFC 5322 with a text part and an HTML part.
 *
 * nodemailer's MailComposer writes one skeleton at start, with markers; each mail only fills the gaps, at a tenth of
 * the cost of composing. What fills a gap is safe by its alphabet: header values are printable ASCII or base64
 * encoded-words, bodies are quoted-printable or base64. So no value can open a header, a part or an SMTP command.
 */
import MailComposer from 'nodemailer/lib/mail-composer'
import type { Body, Literal, Mailbox, Message } from '../message.ts'
import {
  countForeign,
  encodeBase64,
  encodedWords,
  encodeQuotedPrintable,
  foldAscii,
  isReadable,
  roomFor,
} from './encode.ts'
import { joinBody } from './placeholders.ts'

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

/** RFC 3834, and the same for Exchange: no vacation notices in return. */
export const automatic = { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' }

/**
 * Writes one mail: ASCII, CRLF at every line's end, lines of at most 998 octets, none of which begins with a dot.
 * `sender` is the address in From when a relay may not send for the message's own; the Message-ID does not follow it.
 * `end` is put behind the mail.
 */
export type BuildMime = (message: Message, sender?: string, end?: string) => Buffer

/** Throws when MailComposer's output no longer splits at the markers: then nothing may be sent at all. */
export async function mimeBuilder(): Promise<BuildMime> {
  const literals = cutAtMarkers(await composeSkeleton())
  const [beforeTextEncoding, beforeText, beforeHtmlEncoding, beforeHtml, last] = literals.splice(
    headerMarkers.length,
  )
  const page = openPage()
  return (message, sender, end = '') => {
    page.begin()
    page.write(fillHeader(literals, headerOf(message, sender)) + beforeTextEncoding!)
    page.writePart([message.text], beforeText!)
    page.write(beforeHtmlEncoding!)
    page.writePart(message.htmlBody ?? [message.html], beforeHtml!)
    page.write(last! + end)
    return page.take()
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

/** `literals` are what stands before each gap. */
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

/** A literal in quoted-printable from the start of a line, and what it weighs before. */
interface EncodedLiteral {
  readonly encoded: Buffer
  readonly bytes: number
  readonly foreign: number
}
const softBreak = '=\r\n'
const lineFeed = 0x0a

/** Memory in which one mail after the other is written: it grows to the largest, and strings are never joined. */
function openPage() {
  const literals = new WeakMap<Literal, EncodedLiteral>()
  let page = Buffer.allocUnsafeSlow(64 * 1024)
  let scratch = Buffer.allocUnsafeSlow(16 * 1024)
  let at = 0

  function reserve(bytes: number): void {
    if (at + bytes <= page.length) return
    const larger = Buffer.allocUnsafeSlow((at + bytes) * 2)
    page.copy(larger, 0, 0, at)
    page = larger
  }

  function write(ascii: string): void {
    reserve(ascii.length)
    at += page.write(ascii, at, 'latin1')
  }

  function bytesOf(text: string): Buffer {
    if (text.length * 3 > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 6)
    return scratch.subarray(0, scratch.write(text, 'utf8'))
  }

  function weigh(text: string) {
    const bytes = Buffer.byteLength(text)
    return { bytes, foreign: bytes === text.length ? 0 : countForeign(bytesOf(text)) }
  }

  function encodedLiteral(piece: Literal): EncodedLiteral {
    const known = literals.get(piece)
    if (known) return known
    const bytes = bytesOf(piece.literal)
    const out = Buffer.allocUnsafe(roomFor(bytes.length))
    const encoded = Buffer.from(out.subarray(0, encodeQuotedPrintable(bytes, out, 0)))
    const made = { encoded, bytes: bytes.length, foreign: countForeign(bytes) }
    literals.set(piece, made)
    return made
  }

  /** A literal begins on a line of its own, by a line break that is not there for the reader. */
  function writePieces(body: Body): void {
    let line = at
    for (const piece of body) {
      if (typeof piece === 'string') {
        at = encodeQuotedPrintable(bytesOf(piece), page, at, line)
      } else {
        if (at > line) at += page.write(softBreak, at, 'latin1')
        at += encodedLiteral(piece).encoded.copy(page, at)
      }
      line = Math.max(line, page.lastIndexOf(lineFeed, at - 1) + 1)
    }
  }

  return {
    /** Also after a mail that was never finished. */
    begin(): void {
      at = 0
    },
    write,
    /** The part's encoding, what stands between that and its body, and the body. */
    writePart(body: Body, between: string): void {
      let bytes = 0
      let foreign = 0
      for (const piece of body) {
        const weight = typeof piece === 'string' ? weigh(piece) : encodedLiteral(piece)
        bytes += weight.bytes
        foreign += weight.foreign
      }
      // spam filters distrust base64 where quoted-printable would be readable
      const readable = isReadable(foreign, bytes)
      write((readable ? 'quoted-printable' : 'base64') + between)
      reserve(roomFor(bytes) + body.length * softBreak.length)
      if (readable) writePieces(body)
      else at = encodeBase64(bytesOf(joinBody(body)), page, at)
    },
    /** A copy of all that was written. */
    take: () => Buffer.from(page.subarray(0, at)),
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
