/** Owns Ory Kratos as a caller: its HTTP courier with the body `function(ctx) ctx`, and which of its templates is which mail. */
import { z } from 'zod'
import {
  type Adapter,
  type AdapterSettings,
  checkForeignLink,
  type ForeignAnswer,
  type ForeignFailure,
  type ForeignMail,
  type ForeignRequest,
  localeOf,
  readForeign,
} from '../adapter.ts'
import { MailerError } from '../errors.ts'
import { checkBearer } from '../signed-request.ts'

const text = z.string().nullish()
const contextSchema = z.object({
  recipient: z.string(),
  template_type: z.string(),
  message_type: text,
  template_data: z
    .object({
      verification_url: text,
      verification_code: text,
      recovery_url: text,
      recovery_code: text,
      login_code: text,
      registration_code: text,
      request_url: text,
      changed_at: text,
      added_at: text,
      expires_in_minutes: z.number().positive().max(5_000_000).nullish().catch(undefined),
    })
    .nullish(),
  request_headers: z.record(z.string(), z.unknown()).nullish(),
})
type Context = z.infer<typeof contextSchema>
type Data = NonNullable<Context['template_data']>

type TextName = Exclude<keyof Data, 'expires_in_minutes'>

interface Template {
  readonly kind: string
  readonly code?: TextName
  readonly link?: TextName
  /** What tells this notice from the next one. */
  readonly at?: TextName
  readonly claims?: Readonly<Record<string, string>>
}

const noAccount: Template = { kind: 'no-account' }
const templates = new Map<string, Template>([
  ['verification_code_valid', { kind: 'verify-code', code: 'verification_code', link: 'verification_url' }],
  ['verification_valid', { kind: 'confirmation', link: 'verification_url' }],
  ['recovery_code_valid', { kind: 'reset-code', code: 'recovery_code' }],
  ['recovery_valid', { kind: 'reset', link: 'recovery_url' }],
  ['login_code_valid', { kind: 'login-code', code: 'login_code' }],
  ['registration_code_valid', { kind: 'verify-code', code: 'registration_code' }],
  ['recovery_invalid', noAccount],
  ['recovery_code_invalid', noAccount],
  ['verification_invalid', noAccount],
  ['verification_code_invalid', noAccount],
  ['verifiable_address_changed', { kind: 'address-changed', at: 'changed_at' }],
  [
    'authenticator_key_added',
    { kind: 'factor-changed', at: 'added_at', claims: { factor_added: 'Authenticator' } },
  ],
])

export function kratosAdapter({ secrets, urls }: AdapterSettings): Adapter {
  return {
    authorise: ({ headers }) => checkBearer(headers, secrets),
    readMails: (body, request) => [readMail(readForeign(contextSchema, body), urls, request)],
    success: { status: 200, body: {} },
    answerFailure,
  }
}

function readMail(context: Context, urls: readonly string[], { now }: ForeignRequest): ForeignMail {
  const { recipient, template_type: type, message_type, template_data, request_headers } = context
  const template = templates.get(type)
  if (!template || (message_type ?? 'email') !== 'email') throw new MailerError('mail_unknown')
  const data: Data = template_data ?? {}
  const valueOf = (name: TextName | undefined) => (name === undefined ? undefined : (data[name] ?? undefined))
  const [code, link, at] = [template.code, template.link, template.at].map(valueOf)
  const minutes = data.expires_in_minutes ?? undefined
  const claims = {
    ...template.claims,
    user_email: recipient,
    user_aut_key: code,
    email_link: checkForeignLink(link, urls),
    email_link_exp: minutes && Math.floor(now / 1000 + minutes * 60),
    locale: preferredLocale(request_headers ?? {}),
  }
  // no message of Kratos has an id, and a batch comes again when one of its mails has failed
  const own = [code, link, at].filter((value) => value !== undefined)
  return {
    kind: template.kind,
    claims,
    identity: [type, recipient, ...own, data.request_url],
    recurs: own.length === 0,
  }
}

/** The language that the browser wants most. Go writes a header as a list under its canonical name. */
function preferredLocale(headers: Readonly<Record<string, unknown>>): string | undefined {
  const [, value] = Object.entries(headers).find(([name]) => /^accept-language$/i.test(name)) ?? []
  const wanted = [value].flat().find((each) => typeof each === 'string') ?? ''
  const tags = wanted.split(',', 20).flatMap((part) => {
    const [tag = '', ...parameters] = part.split(';').map((word) => word.trim())
    const quality = parameters.find((word) => word.startsWith('q='))?.slice(2) ?? '1'
    const locale = localeOf(tag)
    return locale === undefined || !(Number(quality) > 0) ? [] : [{ locale, quality: Number(quality) }]
  })
  return tags.toSorted((a, b) => b.quality - a.quality)[0]?.locale
}

/** Kratos tries every failure five times, a second apart, and then gives the mail up: only what may pass is told as one. */
function answerFailure({ status, code, says }: ForeignFailure): ForeignAnswer {
  const mayPass =
    status === 401 || status === 429 || (status >= 500 && code !== 'refused' && code !== 'expired')
  return { status: mayPass ? status : 200, body: { code, msg: says } }
}
