/** Owns the facts about a locale: its spelling, its direction, its nearest relatives, its way to write a date. */

/** Is this tag spelled as BCP 47 wants it (`pt-BR`, not `pt-br`)? */
export function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag)[0] === tag
  } catch {
    return false
  }
}

/** `zh_Hant_TW` may be served by `zh-hant-tw`, `zh-hant` or `zh`. Bounded, and never throws: it comes from a token. */
export function localeCandidates(wanted: string): string[] {
  const parts = wanted.slice(0, 35).toLowerCase().replaceAll('_', '-').split('-')
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('-'))
}

const rightToLeftScripts = new Set(['Arab', 'Hebr', 'Thaa', 'Syrc', 'Nkoo', 'Adlm', 'Rohg'])

export function directionOf(locale: string): 'ltr' | 'rtl' {
  return rightToLeftScripts.has(new Intl.Locale(locale).maximize().script ?? '') ? 'rtl' : 'ltr'
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** Writes a point in time (epoch ms) in UTC, because the reader's time zone is unknown: `21 September 2026 at 14:13 UTC`. */
export function timeFormat(locale: string): (time: number) => string {
  // making a format takes a millisecond, and a catalogue holds many mails of few languages
  const format = formats.get(locale) ?? makeFormat(locale)
  formats.set(locale, format)
  return (time) => `${format.format(time)} UTC`
}

function makeFormat(locale: string): Intl.DateTimeFormat {
  // plain `en` would be American: with the day first and 24 hours no reader of English goes wrong
  const tag = locale === 'en' ? 'en-GB' : locale
  return new Intl.DateTimeFormat(tag, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })
}
