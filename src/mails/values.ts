/**
 * Owns how a value is made harmless for a mail: cleaned once, then written for each part.
 *
 * A value never becomes markup, because templates are filled and never parsed. Two dangers are left in plain text: mail
 * clients turn addresses into links, and directional controls make a text read as another one.
 */

import { checkAddress } from '../address.ts'
import type { DateValue } from './formats.ts'

/** The value of a claim, of its declared type. What is absent is `''`, whatever its type. */
export type Value = string | number | boolean | DateValue | readonly Row[]
/** One item of a list: the values of its fields in their order, or a single text. */
export type Row = readonly Value[]

/** Whether there is anything to show. Zero is there, `false` is not. */
export function isThere(value: Value): boolean {
  return value !== '' && value !== false && !(Array.isArray(value) && value.length === 0)
}

/** A value as plain text; a date and a list only tell whether they are there. */
export function writeValue(value: Value): string {
  if (typeof value === 'object') return isThere(value) ? 'yes' : ''
  return value === false ? '' : String(value)
}

/** C0 and C1 controls but tab and line breaks: no honest value holds them. */
// oxlint-disable-next-line no-control-regex -- it finds control characters
const refused = /[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]/
// oxlint-disable-next-line no-control-regex -- it finds control characters
const uncommon = /[\x09-\x0d\x85\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]/
const breaks = /\r\n|[\n\r\v\f\x85\u2028\u2029]/g
/** Embeddings, overrides and isolates (UAX #9). The marks U+200E and U+200F stay: they only ever concern themselves. */
const directionalControls = /[\u202a-\u202e\u2066-\u2069]/g

/**
 * Trimmed, line breaks as `\n`, tabs as spaces, without directional controls, well-formed UTF-16.
 * `undefined` when the value holds a control character that nothing honest holds.
 */
export function cleanText(value: string): string | undefined {
  if (refused.test(value)) return undefined
  if (!uncommon.test(value)) return value.trim()
  return value
    .replace(breaks, '\n')
    .replaceAll('\t', ' ')
    .replace(directionalControls, '')
    .toWellFormed()
    .trim()
}

/** Whether the value is a plain address. In a claim `…_email` it is shown as it is, because the reader may need it. */
export function isAddress(value: string): boolean {
  try {
    return checkAddress(value) === value
  } catch {
    return false
  }
}

/**
 * Whether mail clients read the address as an address and nothing else. The others are allowed by RFC 5321, but
 * `www.evil.example/login?x=@example.com` is a link to wherever its owner likes, and no reader has to copy it.
 */
export function readsAsAddress(value: string): boolean {
  return /^(?!www\.)[\w.+-]+@[^@]+$/i.test(value) && isAddress(value)
}

/** One line for a header or a sentence. Line by line: a pattern such as `\s*\n` begins anew at each space of a long run. */
export function foldLines(value: string): string {
  if (!value.includes('\n')) return value
  const lines = value.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '').join(' ')
}

/** Zero-width non-joiner: invisible, in every font, and no linkifier reads over it. */
const joint = '\u200c'

/**
 * Keeps mail clients from turning `https://evil.example`, `evil.example` or `a@evil.example` into links, without
 * changing how they look: invisible characters go around the colon of a scheme and the dot of a domain. Around, because
 * some clients look for `www.`, and others for the `.com`.
 */
export function defuseLinks(value: string): string {
  if (!/[.:\u3002\uff0e\uff61]/.test(value)) return value
  return value
    .replace(/:(?=[/\\])/g, `${joint}:${joint}`)
    .replace(/(?<=\S)[.\u3002\uff0e\uff61](?=[\p{L}\p{M}])|(?<=\p{L})\.(?=\p{N})/gu, `${joint}$&${joint}`)
}

const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\ud802\ud803\ud83a\ud83b][\udc00-\udfff]/

/** Wraps a value that may run against the mail's direction in a first-strong isolate, so that it moves nothing around it. */
export function isolate(value: string, direction: 'ltr' | 'rtl'): string {
  const mixed = direction === 'rtl' ? /[A-Za-z0-9]/.test(value) : rightToLeft.test(value)
  if (!mixed) return value
  return value
    .split('\n')
    .map((line) => `\u2068${line}\u2069`)
    .join('\n')
}

const segmenter = new Intl.Segmenter()

/** At most `max` characters, cut between graphemes, with an ellipsis where something is missing. */
export function shorten(value: string, max: number): string {
  if (value.length <= max) return value
  let kept = ''
  for (const { segment } of segmenter.segment(value.slice(0, max + 64))) {
    if (kept.length + segment.length >= max) break
    kept += segment
  }
  return `${kept.trimEnd()}…`
}
