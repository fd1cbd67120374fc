/**
 * Owns the buffer in which mails are written, one after the other, and how a body is encoded into it: quoted-printable
 * where most of it is ASCII, else base64. The headers and boundaries of a mail belong to mime.ts.
 */
import { type Body, joinBody, type Literal } from '../message.ts'
import {
  countNonAscii,
  encodeBase64,
  encodeQuotedPrintable,
  lf,
  prefersQuotedPrintable,
  roomFor,
} from './encode.ts'

/** Bytes of a text in UTF-8, before it is encoded. */
interface ByteCount {
  readonly bytes: number
  readonly nonAscii: number
}
/** A literal in quoted-printable, as it is written from the start of a line. */
interface EncodedLiteral extends ByteCount {
  readonly encoded: Buffer
}
const softBreak = '=\r\n'

/** The buffer grows to the largest mail. Pieces are written one by one, because joining strings costs more. */
export function bodyWriter() {
  const literals = new WeakMap<Literal, EncodedLiteral>()
  let buffer = Buffer.allocUnsafeSlow(64 * 1024)
  let scratch = Buffer.allocUnsafeSlow(16 * 1024)
  let at = 0

  function reserve(bytes: number): void {
    if (at + bytes <= buffer.length) return
    const larger = Buffer.allocUnsafeSlow((at + bytes) * 2)
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }

  function write(ascii: string): void {
    reserve(ascii.length)
    at += buffer.write(ascii, at, 'latin1')
  }

  function bytesOf(text: string): Buffer {
    if (text.length * 3 > scratch.length) scratch = Buffer.allocUnsafeSlow(text.length * 6)
    return scratch.subarray(0, scratch.write(text, 'utf8'))
  }

  function countBytes(text: string): ByteCount {
    const bytes = Buffer.byteLength(text)
    return { bytes, nonAscii: bytes === text.length ? 0 : countNonAscii(bytesOf(text)) }
  }

  function encodedLiteral(piece: Literal): EncodedLiteral {
    const known = literals.get(piece)
    if (known) return known
    const bytes = bytesOf(piece.literal)
    const out = Buffer.allocUnsafe(roomFor(bytes.length))
    const encoded = Buffer.from(out.subarray(0, encodeQuotedPrintable(bytes, out, 0)))
    const made = { encoded, bytes: bytes.length, nonAscii: countNonAscii(bytes) }
    literals.set(piece, made)
    return made
  }

  /** Each literal begins on a new line, after a soft line break, so that its encoding is always the same. */
  function writePieces(body: Body): void {
    let line = at
    for (const piece of body) {
      if (typeof piece === 'string') {
        at = encodeQuotedPrintable(bytesOf(piece), buffer, at, line)
      } else {
        if (at > line) at += buffer.write(softBreak, at, 'latin1')
        at += encodedLiteral(piece).encoded.copy(buffer, at)
      }
      line = Math.max(line, buffer.lastIndexOf(lf, at - 1) + 1)
    }
  }

  return {
    /** Starts a new mail. An unfinished one is dropped. */
    begin(): void {
      at = 0
    },
    write,
    /** Writes the name of the encoding, then `between`, then the body. */
    writePart(body: Body, between: string): void {
      let bytes = 0
      let nonAscii = 0
      for (const piece of body) {
        const count = typeof piece === 'string' ? countBytes(piece) : encodedLiteral(piece)
        bytes += count.bytes
        nonAscii += count.nonAscii
      }
      // spam filters distrust base64 where quoted-printable would do
      const quoted = prefersQuotedPrintable(nonAscii, bytes)
      write((quoted ? 'quoted-printable' : 'base64') + between)
      reserve(roomFor(bytes) + body.length * softBreak.length)
      if (quoted) writePieces(body)
      else at = encodeBase64(bytesOf(joinBody(body)), buffer, at)
    },
    /** A copy of the whole mail. */
    take: () => Buffer.from(buffer.subarray(0, at)),
  }
}
