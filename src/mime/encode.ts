/** Owns the encodings of a mail (RFC 2045, RFC 2047). Their output is always ASCII without a bare CR or LF. */

const maxLine = 76
export const lf = 0x0a
const [tab, cr, space, dot, equals] = [0x09, 0x0d, 0x20, 0x2e, 0x3d]
const hex = Buffer.from('0123456789ABCDEF', 'latin1')

/**
 * Classes of bytes in quoted-printable: written as it is; as it is unless the line ends behind it; the end of a line;
 * written as `=XX`.
 */
const [asIs, blank, lineEnd, escaped] = [0, 1, 2, 3]
const charClass = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === lf || byte === cr) return lineEnd
  if (byte === space || byte === tab) return blank
  return byte > space && byte < 0x7f && byte !== equals ? asIs : escaped
})

/** The most bytes that either encoding makes of so many. */
export const roomFor = (bytes: number) => bytes * 4 + 16

/**
 * RFC 2045 6.7, into `out` from `at`, on a line that begins at `start`; returns where it ended. Any line break becomes
 * CRLF; lines are at most 76 characters and never begin with a dot, so that SMTP has none to double.
 */
export function encodeQuotedPrintable(bytes: Buffer, out: Buffer, at: number, start = at): number {
  const end = bytes.length
  let index = 0
  while (index < end) {
    // most bytes of a mail are written as they are, so this loop is most of the cost
    const runEnd = Math.min(end, index + start + maxLine - 1 - at)
    if (at > start || bytes[index] !== dot)
      while (index < runEnd && charClass[bytes[index]!] === asIs) out[at++] = bytes[index++]!
    if (index === end) break

    const byte = bytes[index++]!
    const ownClass = charClass[byte]!
    if (byte === cr && bytes[index] === lf) continue
    if (byte === lf) {
      out[at++] = cr
      out[at++] = lf
      start = at
      continue
    }
    const plain =
      ownClass === asIs || (ownClass === blank && index < end && charClass[bytes[index]!] !== lineEnd)
    if (at - start + (plain ? 1 : 3) >= maxLine) {
      out[at++] = equals
      out[at++] = cr
      out[at++] = lf
      start = at
    }
    if (plain && (at > start || byte !== dot)) {
      out[at++] = byte
    } else {
      out[at++] = equals
      out[at++] = hex[byte >> 4]!
      out[at++] = hex[byte & 15]!
    }
  }
  return at
}

/** RFC 2045 6.8, in lines of 76 characters, into `out` from `at`; returns where it ended. */
export function encodeBase64(bytes: Buffer, out: Buffer, at: number): number {
  const whole = bytes.toString('base64')
  for (let start = 0; start < whole.length; start += maxLine) {
    if (start > 0) at += out.write('\r\n', at, 'latin1')
    at += out.write(whole.slice(start, start + maxLine), at, 'latin1')
  }
  return at
}

export function countNonAscii(bytes: Buffer): number {
  let nonAscii = 0
  for (let index = 0; index < bytes.length; index++) nonAscii += bytes[index]! >> 7
  return nonAscii
}

/** At six non-ASCII bytes of ten quoted-printable becomes longer than base64. The limit is two of ten: few can read more. */
export const prefersQuotedPrintable = (nonAscii: number, bytes: number) => nonAscii * 5 <= bytes

/** RFC 2047 encoded-words in base64, one to a line, never cut inside a character. The result cannot hold a separator. */
export function encodedWords(value: string): string {
  const words: string[] = []
  let chunk = ''
  let size = 0
  for (const character of value) {
    const bytes = Buffer.byteLength(character)
    if (size + bytes > 45) {
      words.push(chunk)
      chunk = ''
      size = 0
    }
    chunk += character
    size += bytes
  }
  words.push(chunk)
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`).join('\r\n ')
}

/** Folds printable ASCII at single spaces (RFC 5322 2.2.3). `undefined` when a word is too long for a line. */
export function foldAscii(value: string): string | undefined {
  if (value.length <= 60) return value
  const lines: string[] = []
  let line = ''
  for (const word of value.split(' ')) {
    if (word.length > maxLine || word === '') return undefined
    if (line !== '' && line.length + 1 + word.length > 64) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push(line)
  return lines.join('\r\n ')
}
