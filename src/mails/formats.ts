/** Owns how numbers, amounts, days and times are written in the language of a mail, by Intl. */

/** A point in time, or a day that has no time. */
export interface DateValue {
  readonly time: number
  readonly isDay: boolean
}

export const dateStyles = ['short', 'medium', 'long', 'full'] as const
export type DateStyle = (typeof dateStyles)[number]
export const isDateStyle = (text: unknown): text is DateStyle => dateStyles.some((style) => style === text)

export interface Formats {
  number(value: number): string
  /** `cents` in the smallest unit of the currency; `undefined` when no currency has this name. */
  money(cents: number, currency: string): string | undefined
  day(date: DateValue, style: DateStyle): string
  /** The time of day with its zone; empty for a day. */
  time(date: DateValue): string
  /** Day and time with its zone: `21 September 2026 at 14:13 UTC`. */
  moment(time: number): string
  /** The CLDR category of a number: `one`, `few`, `other` … */
  plural(value: number): Intl.LDMLPluralRule
}

export interface FormatSetting {
  readonly locale: string
  readonly timeZone: string
  /** `plain`: `1234.56 EUR` in every language and for every currency. */
  readonly money: 'local' | 'plain'
}

const made = new Map<string, unknown>()

/** Making a format takes a good part of a millisecond, and many mails share few of them: returns a way to the one. */
function shared<T>(key: string, make: () => T): () => T {
  let format: T | undefined
  return () => {
    // oxlint-disable-next-line no-unsafe-type-assertion -- the key says what was made
    format ??= (made.get(key) as T | undefined) ?? make()
    made.set(key, format)
    return format
  }
}

export function formatsOf({ locale, timeZone, money }: FormatSetting): Formats {
  // plain `en` would be American: with the day first and 24 hours no reader of English goes wrong
  const dateTag = locale === 'en' ? 'en-GB' : locale
  const dates = (options: Intl.DateTimeFormatOptions) =>
    shared(`date ${dateTag} ${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(dateTag, options))
  const [clock, whole, zone] = [
    dates({ timeStyle: 'short', timeZone }),
    dates({ dateStyle: 'long', timeStyle: 'short', timeZone }),
    dates({ timeZoneName: 'short', timeZone }),
  ]
  const days = new Map(
    dateStyles.map((dateStyle) => [
      dateStyle,
      { plain: dates({ dateStyle, timeZone: 'UTC' }), zoned: dates({ dateStyle, timeZone }) },
    ]),
  )
  const numbers = shared(`number ${locale}`, () => new Intl.NumberFormat(locale))
  const plurals = shared(`plural ${locale}`, () => new Intl.PluralRules(locale))
  const currencies = shared(`money ${locale}`, () => new Map<string, MoneyFormat>())
  const withZone = (words: string, time: number) =>
    `${words} ${timeZone === 'UTC' ? timeZone : zoneName(zone(), time)}`
  return {
    number: (value) => numbers().format(value),
    money:
      money === 'plain' ? plainMoney : (cents, currency) => localMoney(currencies(), locale, cents, currency),
    day: ({ time, isDay }, style) => days.get(style)![isDay ? 'plain' : 'zoned']().format(time),
    time: ({ time, isDay }) => (isDay ? '' : withZone(clock().format(time), time)),
    moment: (time) => withZone(whole().format(time), time),
    plural: (value) => plurals().select(value),
  }
}

function zoneName(format: Intl.DateTimeFormat, time: number): string {
  return format.formatToParts(time).find(({ type }) => type === 'timeZoneName')?.value ?? ''
}

interface MoneyFormat {
  readonly format: Intl.NumberFormat
  /** How many of the smallest unit are one of the currency. */
  readonly unit: number
}

/** Currencies come from tokens: more than there are in the world are not kept. */
const maxCurrencies = 300

/** The digits behind the comma are those of the currency: 1299 JPY are 1299 yen, 1299 EUR are 12.99 euro. */
function localMoney(
  known: Map<string, MoneyFormat>,
  locale: string,
  cents: number,
  currency: string,
): string | undefined {
  if (!/^[A-Z]{3}$/.test(currency)) return undefined
  const money = known.get(currency) ?? moneyFormat(locale, currency)
  if (known.size < maxCurrencies) known.set(currency, money)
  return money.format.format(cents / money.unit)
}

function moneyFormat(locale: string, currency: string): MoneyFormat {
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency })
  return { format, unit: 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2) }
}

/** Two decimals, no grouping, as machines and people of any language read it. */
function plainMoney(cents: number, currency: string): string {
  const digits = String(Math.abs(cents)).padStart(3, '0')
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)} ${currency}`.trim()
}

const day = /^\d{4}-\d\d-\d\d$/
/** RFC 3339, with capitals or not. */
const instant = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/

/** `2026-11-26` or `2026-11-26T18:30:00+01:00`; `undefined` for anything else, the 31st of June included. */
export function parseDate(text: string): DateValue | undefined {
  const isDay = day.test(text)
  if (!isDay && !instant.test(text)) return undefined
  const time = Date.parse(isDay ? text : text.replace(' ', 'T').toUpperCase())
  // Date.parse lets the 30th of February pass as the 2nd of March
  const isReal = new Date(`${text.slice(0, 10)}T00:00:00Z`).toJSON()?.slice(0, 10) === text.slice(0, 10)
  return Number.isNaN(time) || !isReal ? undefined : { time, isDay }
}

export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
