/** Owns the claim contract of a mail: how claims are declared in its front matter, and what that asks of a caller. */
import { z } from 'zod'
import { type ClaimRule, type ClaimType, fieldTypes, readValue, type Source } from './claims.ts'

/** Names that need no declaration because every mail has them. `app.name`, `sender_name` and `locale` are constants. */
export const alwaysThere = ['user_email', 'link', 'access_key', 'expires_at'] as const
export const constantNames = ['app.name', 'sender_name', 'locale'] as const

export const claimName = /^[a-z][a-z0-9_]{0,63}$/
const defaultMax = 4000
const highestMax = 20_000
const defaultItems = 100
const highestItems = 500
const notDeclared = new Set<string>([
  ...constantNames,
  'user_email',
  'expires_at',
  'app',
  'jti',
  'exp',
  'nbf',
  'iat',
])
const otherNames: Record<string, string> = {
  user_aut_key: 'access_key',
  user_aut_key_or_otp: 'access_key',
  email_link_url: 'link',
  email_link_token: 'link',
}

const scalar = z.union([z.string(), z.number(), z.boolean()], {
  error: 'must be a text, a number, true or false',
})
const maxOf = (most: number) =>
  z
    .int({ error: `must be a whole number up to ${most}` })
    .min(1)
    .max(most)
    .optional()
const shape = { error: 'must look like { type: text, default: …, sample: … }' }
const fieldSchema = z
  .strictObject(
    {
      type: z.enum(fieldTypes, { error: `must be ${fieldTypes.join(', ')}` }).default('text'),
      default: scalar.optional(),
      sample: scalar.optional(),
      max: maxOf(highestMax),
    },
    shape,
  )
  .superRefine(checkValues)
const listSchema = z
  .strictObject(
    {
      type: z.literal('list'),
      default: z.array(z.never(), { error: 'is `[]` for a list that may be absent' }).optional(),
      sample: z.array(z.unknown(), { error: 'must be a list' }).optional(),
      max: maxOf(highestItems),
      fields: z.record(z.string(), fieldSchema, { error: 'must list fields by name' }).optional(),
    },
    { error: 'must look like { type: list, max: 50, fields: { name: {}, … }, sample: [ … ] }' },
  )
  .superRefine(checkValues)
type Claim = z.infer<typeof fieldSchema> | z.infer<typeof listSchema>
/** As a union, but the problems are those of the type that was meant. */
const claimSchema = z.unknown().transform((claim, context): Claim => {
  const isList = Object(claim).type === 'list'
  const parsed = (isList ? listSchema : fieldSchema).safeParse(claim)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues) {
    const types = `must be ${fieldTypes.join(', ')} or list`
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : []
    for (const key of unknown)
      context.addIssue({ code: 'custom', path: [...issue.path, key], message: 'is not a setting known here' })
    const message = issue.path.join() === 'type' ? types : issue.message
    if (unknown.length === 0) context.addIssue({ code: 'custom', path: issue.path, message })
  }
  return z.NEVER
})

function checkValues(claim: Claim, context: z.RefinementCtx): void {
  const wrong = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message })
  if (claim.type !== 'text' && claim.type !== 'list' && claim.max !== undefined)
    wrong('max', 'is for texts and lists only')
  const rule = ruleOf('', claim)
  for (const field of ['default', 'sample'] as const) {
    const value = claim[field]
    if (value === undefined || (field === 'default' && (value === '' || claim.type === 'list'))) continue
    const isText = claim.type === 'text' && typeof value !== 'boolean'
    if (!isText && !isReadable(rule, value)) wrong(field, `must be ${typeWords[claim.type]}, like the claim`)
  }
  if (claim.type !== 'list') return
  for (const name of Object.keys(claim.fields ?? {}))
    if (!claimName.test(name))
      wrong('fields', `\`${name}\`: a field is named in lower case, with digits and underscores`)
}

const typeWords: Record<ClaimType, string> = {
  text: 'a text',
  integer: 'a whole number',
  cents: 'a whole number',
  boolean: 'true or false',
  date: 'a day such as 2026-11-26 or a time such as 2026-11-26T18:30:00Z',
  list: 'a list of items with the declared fields',
}

function isReadable(rule: ClaimRule, value: unknown): boolean {
  try {
    readValue(rule, value)
    return true
  } catch {
    return false
  }
}

/** The `claims` of a front matter. */
export const contractSchema = z
  .record(z.string(), claimSchema, { error: 'must list claims by name' })
  .superRefine((claims, context) => {
    for (const [name, claim] of Object.entries(claims)) {
      const message = wrongName(name) ?? wrongSpecialRule(name, claim)
      if (message) context.addIssue({ code: 'custom', path: [name], message })
    }
  })
export type Declared = z.infer<typeof contractSchema>

function wrongName(name: string): string | undefined {
  if (!claimName.test(name)) return 'a claim is named in lower case, with digits and underscores'
  if (notDeclared.has(name)) return 'is always there and is not declared'
  if (Object.hasOwn(otherNames, name)) return `is called \`${otherNames[name]}\` in mails`
  return undefined
}

function wrongSpecialRule(name: string, claim: Declared[string]): string | undefined {
  const isText = claim.type === 'text' && claim.max === undefined
  if (name === 'access_key' && !(isText && (claim.default ?? '') === ''))
    return 'takes a sample, and `default: ""` when it may be absent, nothing else'
  if (name === 'link' && !(isText && claim.default === '' && claim.sample === undefined))
    return 'takes `default: ""` when it may be absent, nothing else'
  return undefined
}

/** The names a mail can use, in order of their index. */
export function sourcesOf(declared: Declared): Source[] {
  const key = ruleOf('user_aut_key_or_otp', declared['access_key'] ?? { type: 'text' })
  const sources: Source[] = [
    { name: 'user_email', kind: 'email', rule: undefined, optional: false },
    { name: 'link', kind: 'link', rule: undefined, optional: declared['link'] !== undefined },
    { name: 'access_key', kind: 'key', rule: key, optional: !key.required },
    { name: 'expires_at', kind: 'expiry', rule: undefined, optional: true },
  ]
  for (const [name, claim] of Object.entries(declared)) {
    if (name !== 'access_key' && name !== 'link')
      sources.push({ name, kind: 'claim', rule: ruleOf(name, claim), optional: claim.default !== undefined })
  }
  return sources
}

function ruleOf(name: string, claim: Claim): ClaimRule {
  const { type, default: absent, sample } = claim
  const rule = { name, type, required: absent === undefined, default: defaultText(absent) }
  if (claim.type === 'list')
    return { ...rule, sample, max: claim.max ?? defaultItems, fields: fieldsOf(claim) }
  const max = name === 'user_aut_key_or_otp' ? 256 : (claim.max ?? defaultMax)
  return { ...rule, sample: type === 'text' && sample !== undefined ? String(sample) : sample, max }
}

function defaultText(value: Claim['default']): string | undefined {
  return value === undefined ? undefined : String(value)
}

function fieldsOf({ fields }: z.infer<typeof listSchema>): ClaimRule[] {
  if (!fields) return [ruleOf('', { type: 'text' })]
  return Object.entries(fields).map(([name, field]) => ruleOf(name, field))
}

const email: ClaimRule = {
  name: 'user_email',
  type: 'text',
  required: true,
  default: undefined,
  sample: 'ada@example.com',
  max: 254,
}
const linkPart = { type: 'text', sample: undefined, max: 16_384 } as const

function linkClaims(optional: boolean): ClaimRule[] {
  const needed = { required: !optional, default: optional ? '' : undefined }
  return ['email_link_url', 'email_link_token'].map((name) => ({ name, ...linkPart, ...needed }))
}

/** The claims that a caller has to send, in the order in which a reader expects them. */
export function contractOf(sources: readonly Source[], shows: { link: boolean; key: boolean }): ClaimRule[] {
  const rules = sources.flatMap(({ kind, rule }) => (rule && (kind === 'claim' || shows.key) ? [rule] : []))
  const link = sources.find(({ kind }) => kind === 'link')
  return [email, ...(shows.link && link ? linkClaims(link.optional) : []), ...rules]
}
