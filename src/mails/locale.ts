/** Owns the facts about a locale: its spelling, its direction and its nearest relatives. */

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
