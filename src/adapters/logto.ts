/** Owns Logto as a caller: its HTTP email connector, and which of its types is which mail. */
import { z } from 'zod'
import {
  type Adapter,
  type AdapterSettings,
  checkForeignLink,
  type ForeignMail,
  type ForeignRequest,
  localeOf,
  readForeign,
} from '../adapter.ts'
import { MailerError } from '../errors.ts'
import { checkBearer } from '../signed-request.ts'

const text = z.string().nullish()
const named = z.object({ name: text }).nullish().catch(undefined)
const messageSchema = z.object({
  to: z.string(),
  type: z.string(),
  payload: z.object({
    code: text,
    link: text,
    locale: text.catch(undefined),
    uiLocales: text.catch(undefined),
    organization: named,
    inviter: named,
  }),
})

/** The mail with a code, and the mail with a link. */
const kinds = new Map([
  ['SignIn', { code: 'login-code', link: 'magic-link' }],
  ['Register', { code: 'verify-code', link: 'confirmation' }],
  ['ForgotPassword', { code: 'reset-code', link: 'reset' }],
  ['OrganizationInvitation', { code: undefined, link: 'invite' }],
  ['Generic', { code: 'verify-code', link: 'confirmation' }],
  ['UserPermissionValidation', { code: 'mfa-code', link: undefined }],
  ['BindNewIdentifier', { code: 'verify-code', link: 'confirmation' }],
  ['MfaVerification', { code: 'mfa-code', link: undefined }],
  ['BindMfa', { code: 'mfa-code', link: undefined }],
  ['Test', { code: 'verify-code', link: undefined }],
])

export function logtoAdapter({ secrets, urls }: AdapterSettings): Adapter {
  return {
    authorise: ({ headers }) => checkBearer(headers, secrets),
    readMails: (body, request) => [readMail(readForeign(messageSchema, body), urls, request)],
    success: { status: 200, body: {} },
    // Logto shows its administrator the body as it is
    answerFailure: ({ status, says, code }) => ({ status, body: `${says} (${code})` }),
  }
}

function readMail(
  { to, type, payload }: z.infer<typeof messageSchema>,
  urls: readonly string[],
  { now }: ForeignRequest,
): ForeignMail {
  const { code, link, locale, uiLocales, organization, inviter } = payload
  const kind = kinds.get(type)?.[link ? 'link' : 'code']
  if (kind === undefined) throw new MailerError('mail_unknown')
  const claims = {
    user_email: to,
    user_aut_key: link ? undefined : code,
    email_link: checkForeignLink(link, urls),
    locale: localeOf(locale) ?? localeOf(uiLocales?.split(' ', 1)[0]),
    organisation: organization?.name,
    inviter_name: inviter?.name,
  }
  // a test has the same code each time, and each is meant
  return { kind, claims, identity: [type, to, code, link, type === 'Test' ? now : undefined] }
}
