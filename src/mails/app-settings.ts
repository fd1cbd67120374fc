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
  },
  { error: 'must be an object' },
)
export type AppSettings = z.infer<typeof appSchema>
