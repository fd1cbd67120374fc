/** Owns Supabase's Send Email hook: its signature, its action types, and the links that Supabase Auth verifies. */
import { createSecretKey } from 'node:crypto'
import { z } from 'zod'
import {
  type Adapter,
  type AdapterSettings,
  type ForeignAnswer,
  type ForeignMail,
  localeOf,
  readForeign,
} from '../adapter.ts'
import { MailerError } from '../errors.ts'
import { checkStandardWebhook } from '../signed-request.ts'

const text = z.string().nullish()
/** Other keys are ignored, and older releases have no `metadata`. */
const hookSchema = z.object({
  metadata: z.object({ uuid: text }).nullish(),
  user: z.object({
    email: text,
    new_email: text,
    user_metadata: z.record(z.string(), z.unknown()).nullish(),
  }),
  email_data: z.object({
    email_action_type: z.string(),
    token: text,
    token_hash: text,
    token_new: text,
    token_hash_new: text,
    redirect_to: text,
    old_email: text,
    provider: text,
    factor_type: text,
  }),
})
type Hook = z.infer<typeof hookSchema>

/** What a mail with a link is called here. */
const linkKinds = new Map([
  ['signup', 'confirmation'],
  ['email', 'confirmation'],
  ['recovery', 'reset'],
  ['invite', 'invite'],
  ['magiclink', 'magic-link'],
])
const changeTypes = new Set(['email_change', 'email_change_current', 'email_change_new'])

type Notice = (hook: Hook) => Pick<ForeignMail, 'kind'> & { claims?: Record<string, unknown> }
/** Mails after the fact: they carry nothing that opens anything. */
const notices = new Map<string, Notice>([
  ['password_changed_notification', () => ({ kind: 'password-changed' })],
  [
    'email_changed_notification',
    ({ user }) => ({ kind: 'address-changed', claims: { new_email: user.email } }),
  ],
  ['phone_changed_notification', () => factorNotice({ added: 'Phone number' })],
  ['identity_linked_notification', ({ email_data }) => factorNotice({ added: email_data.provider })],
  ['identity_unlinked_notification', ({ email_data }) => factorNotice({ removed: email_data.provider })],
  ['mfa_factor_enrolled_notification', ({ email_data }) => factorNotice({ added: email_data.factor_type })],
  [
    'mfa_factor_unenrolled_notification',
    ({ email_data }) => factorNotice({ removed: email_data.factor_type }),
  ],
])

function factorNotice({ added, removed }: { added?: unknown; removed?: unknown }) {
  return { kind: 'factor-changed', claims: { factor_added: added, factor_removed: removed } }
}

export function supabaseAdapter({ secrets, urls, localeKey }: AdapterSettings): Adapter {
  const keys = secrets.map((secret) => createSecretKey(secretBytes(secret)))
  const [base = ''] = urls

  function readMails(body: unknown): ForeignMail[] {
    const hook = readForeign(hookSchema, body)
    const { email_action_type: type, token, old_email } = hook.email_data
    const { email, user_metadata } = hook.user
    const locale = localeOf(user_metadata?.[localeKey])
    const linkKind = linkKinds.get(type)
    if (linkKind !== undefined) return [linkMail(hook, linkKind, { to: email, code: token, locale })]
    if (changeTypes.has(type)) return changeMails(hook, locale)
    if (type === 'reauthentication') {
      const claims = { user_email: email, user_aut_key: token, locale }
      return [{ kind: 'mfa-code', claims, identity: [type, email, token] }]
    }
    const notice = notices.get(type)?.(hook)
    if (!notice) throw new MailerError('mail_unknown')
    const to = type === 'email_changed_notification' ? (old_email ?? email) : email
    const claims = { ...notice.claims, user_email: to, locale }
    // the id of a hook call stays over its tries; the id of the webhook does not
    const uuid = hook.metadata?.uuid
    return [{ kind: notice.kind, claims, identity: [type, uuid ?? claims], recurs: !uuid }]
  }

  /**
   * With a secure change both addresses get a mail, and the names are crossed: the code `token` goes with the hash
   * `token_hash_new` to the old address, `token_new` with `token_hash` to the new one.
   */
  function changeMails(hook: Hook, locale: string | undefined): ForeignMail[] {
    const { email_action_type: type, token, token_new, token_hash, token_hash_new } = hook.email_data
    const { email, new_email } = hook.user
    const toOld = { to: email, code: token, locale }
    const toNew = { to: new_email, code: token_new || token, locale }
    if (type === 'email_change_current') return [linkMail(hook, 'change-approval', toOld, token_hash_new)]
    if (!token_hash_new) return [linkMail(hook, 'change', { ...toNew, code: token }, token_hash)]
    const newMail = linkMail(hook, 'change', toNew, token_hash)
    if (type === 'email_change_new') return [newMail]
    return [linkMail(hook, 'change-approval', toOld, token_hash_new), newMail]
  }

  function linkMail(
    hook: Hook,
    kind: string,
    { to, code, locale }: { to: unknown; code: unknown; locale: string | undefined },
    hash = hook.email_data.token_hash,
  ): ForeignMail {
    const { email_action_type, redirect_to } = hook.email_data
    const type = changeTypes.has(email_action_type) ? 'email_change' : email_action_type
    const query = new URLSearchParams({ token: hash ?? '', type, redirect_to: redirect_to ?? '' })
    const link = hash ? `${base}/auth/v1/verify?${query.toString()}` : undefined
    const approval = kind === 'change-approval' ? { new_email: hook.user.new_email } : {}
    // the built-in mails show the link; a mail of one's own may declare `code` and show it
    const claims = { ...approval, user_email: to, email_link: link, code, locale }
    return { kind, claims, identity: [type, to, hash] }
  }

  return {
    authorise: ({ headers, body, now }) => checkStandardWebhook(headers, body, keys, now),
    readMails,
    success: { status: 200, body: {} },
    answerFailure: ({ status, says, code }): ForeignAnswer => ({
      status,
      body: { error: { http_code: status, message: `${says} (${code})` } },
      // Supabase Auth tries again at once when it sees this header, within its 5 s in all
      ...(status === 503 && { headers: { 'retry-after': '1' } }),
    }),
  }
}

/** `v1,whsec_<base64>` */
function secretBytes(secret: string): Buffer {
  return Buffer.from(secret.slice(secret.indexOf('_') + 1), 'base64')
}
