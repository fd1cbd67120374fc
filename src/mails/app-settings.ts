/** Owns the settings of an `app.json`. */
import { z } from 'zod'
import { isTimeZone } from './formats.ts'
import { isAddress } from './values.ts'

// oxlint-disable-next-line no-control-regex -- header values are one line
const oneLine = /^[^\x00-\x1f\x7f-\x9f]+$/
const name = z
  .string({ error: 'must be a text' })
  .trim()
  .min(1, 'is empty')
  .max(100, 'is longer than 100 characters')
  .regex(oneLine, 'must be one line')
const address = z
  .string({ error: 'must be an address' })
  .refine(isAddress, 'must be a plain address, such as hello@example.com')
const origin = z
  .string({ error: 'must be an origin' })
  .refine(
    (value) => /^https?:/.test(value) && URL.parse(value)?.origin === value,
    'must be an origin without a path, such as https://app.example.com',
  )

/** Text that every mail shows as it is. */
function fixedText(maxLength: number, maxLines: number) {
  return z
    .string({ error: 'must be a text' })
    .transform((text) =>
      text
        .split(/\r?\n/)
        .map((line) => line.trim())
        .join('\n')
        .trim(),
    )
    .pipe(
      z
        .string()
        .min(1, 'is empty')
        .max(maxLength, `is longer than ${maxLength} characters`)
        .regex(fixedLines, 'holds a control character')
        .refine((text) => text.split('\n').length <= maxLines, `has more lines than ${maxLines}`)
        .refine((text) => !/\{[{%]/.test(text), 'is fixed text: {{ … }} and {% … %} are not read in it'),
    )
}
// oxlint-disable-next-line no-control-regex -- a line break is the only one that a text needs
const fixedLines = /^(?:[^\x00-\x1f\x7f-\x9f]|\n)*$/
const imageUrl = z
  .string({ error: 'must be the address of an image, such as https://app.example.com/logo.png' })
  .max(500, 'is longer than 500 characters')
  .refine(isPublicUrl, 'must be a plain https address, such as https://app.example.com/logo.png')
  .refine(
    (value) => !/\.svgz?$/i.test(URL.parse(value)?.pathname ?? ''),
    'must be a PNG or JPEG: most mail programs show no SVG',
  )
const widthPx = 'must be the width in pixels, from 16 to 500: the card is no wider'
const logoSchema = z.strictObject(
  {
    url: imageUrl,
    /** The same logo for a dark card, as wide. */
    dark: imageUrl.optional(),
    width: z.int({ error: widthPx }).min(16, widthPx).max(500, widthPx),
    /** Absent: the name of the app. */
    alt: fixedText(100, 1).optional(),
  },
  { error: 'must be an object with url and width' },
)
export type Logo = z.infer<typeof logoSchema>
const companySchema = z.strictObject(
  { name: fixedText(100, 1), address: fixedText(300, 5).optional() },
  { error: 'must be an object with name and address' },
)

/** Readers fetch it without us: it has no password in it, and nothing that an attribute or a parser could take otherwise. */
function isPublicUrl(value: string): boolean {
  const url = URL.parse(value)
  if (!/^https:\/\/[^\s"'<>\\^`{|}]+$/.test(value) || !/^[\x21-\x7e]+$/.test(value) || !url) return false
  return url.username === '' && url.password === ''
}

export const appSchema = z.strictObject(
  {
    /** Absent: `APP_NAME`, else the sender's name. */
    name: name.optional(),
    accent: z
      .string({ error: 'must be a colour' })
      .regex(/^#[0-9a-f]{6}$/i, 'must be a colour like #1f5fd0')
      .default('#1f5fd0'),
    default_kind: z.string({ error: 'must be a kind' }).min(1, 'is empty').default('confirmation'),
    default_locale: z
      .string({ error: 'must be a locale' })
      .min(2, 'must be a locale such as en')
      .default('en'),
    /** Another app's folder, whose kinds serve this app as well, unless it has its own. */
    mails_from: z.string({ error: 'must be the name of an app' }).optional(),
    /** Template of the name beside the recipient's address. Absent: the address alone. */
    to_name: z.string({ error: 'must be a text' }).max(200, 'is longer than 200 characters').default(''),
    /** Of the days and times in the mails. */
    time_zone: z
      .string({ error: 'must be a time zone' })
      .refine(isTimeZone, 'must be a time zone such as Europe/Rome')
      .default('UTC'),
    /** `plain`: `1234.56 EUR` in every language. */
    money: z.enum(['local', 'plain'], { error: 'must be local or plain' }).default('local'),
    from: z.strictObject({ name: name.optional(), address: address.optional() }).default({}),
    reply_to: address.optional(),
    /** The only origins a link may lead to. Absent: any. */
    link_origins: z.array(origin, { error: 'must be a list of origins' }).min(1, 'is empty').optional(),
    /** In the place of the app's name at the top of the card. */
    logo: logoSchema.optional(),
    /** Under every mail, in both parts. */
    footer: fixedText(500, 5).optional(),
    company: companySchema.optional(),
  },
  { error: 'must be an object' },
)
export type AppSettings = z.infer<typeof appSchema>
