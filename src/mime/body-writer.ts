/**
 * Owns the memory in which one mail after the other is written, and how a body is written into it: in quoted-printable
 * where that can be read, in base64 elsewhere. What stands in a mail beside its bodies is mime.ts's.
 */
import { type Body, joinBody, type Literal } from '../message.ts'
import { countForeign, encodeBase64, encodeQuotedPrintable, isReadable, lf, roomFor } from './encode.ts'

/** A literal in quoted-printable from the start of a line, and what it weighs before. */
interface EncodedLiteral {
  readonly encoded: Buffer
  readonly bytes: number
  readonly foreign: number
}
const softBreak = '=\r\n'

/** It grows to the largest mail, and strings are never joined. */
export function openPage() {
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
      line = Math.max(line, page.lastIndexOf(lf, at - 1) + 1)
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
