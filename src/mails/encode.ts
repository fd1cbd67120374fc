/** Owns the encodings of RFC 2045 and RFC 2047 a mail is written in: fast, and ASCII without bare CR or LF in any case. */

const maxLine = 76
const [tab, lf, cr, space, dot, equals] = [0x09, 0x0a, 0x0d, 0x20, 0x2e, 0x3d]
const hex = Buffer.from('0123456789ABCDEF', 'latin1')

/** 1 for every byte that quoted-printable writes as it is; white space is decided by what follows it. */
const literal = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte > space && byte < 0x7f && byte !== equals ? 1 : 0,
)

/** Room that either encoding needs for so many bytes. */
export const roomFor = (bytes: number) => bytes * 4 + 16

/**
 * RFC 2045 6.7, into `out` from `at`; returns where it ended. Any line break becomes CRLF; lines are at most 76
 * characters and never begin with a dot, so that SMTP has none to double.
 */
export function encodeQuotedPrintable(bytes: Buffer, out: Buffer, at: number): number {
  let column = 0
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index]!
    if (byte === cr && bytes[index + 1] === lf) continue
    if (byte === lf) {
      out[at++] = cr
      out[at++] = lf
      column = 0
      continue
    }
    const plain = literal[byte] === 1 || ((byte === space || byte === tab) && !endsLine(bytes, index + 1))
    if (column + (plain ? 1 : 3) >= maxLine) {
      out[at++] = equals
      out[at++] = cr
      out[at++] = lf
      column = 0
    }
    if (plain && (column > 0 || byte !== dot)) {
      out[at++] = byte
      column++
    } else {
      out[at++] = equals
      out[at++] = hex[byte >> 4]!
      out[at++] = hex[byte & 15]!
      column += 3
    }
  }
  return at
}

function endsLine(bytes: Buffer, next: number): boolean {
  const byte = bytes[next]
  return byte === undefined || byte === lf || byte === cr
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

/** Six non-ASCII bytes of ten make quoted-printable longer than base64 and unreadable anyway; we switch well before. */
export function isMostlyAscii(bytes: Buffer): boolean {
  let foreign = 0
  for (let index = 0; index < bytes.length; index++) foreign += bytes[index]! >> 7
  return foreign * 5 <= bytes.length
}

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
