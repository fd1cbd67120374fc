/** Owns what the tests of all adapters share: one caller for each system, and mails of every kind that they ask for. */
import { createHmac, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import type { AdapterSettings, System } from '../../src/adapter.ts'
import { declareUnchanging } from './catalogue.ts'

export interface SignedRequest {
  readonly headers: Record<string, string>
  readonly body: string
}

export interface ForeignSystem {
  readonly system: System
  readonly settings: AdapterSettings
  /** Another secret of the right form. */
  readonly otherSecret: string
  /** A body that asks for one mail with a code or a link in it. */
  readonly sample: object
  /** What of the sample must never be in a log. */
  readonly secrets: readonly string[]
  /** The sample, asking for a mail that this system does not know. */
  readonly unknown: object
  readonly sign: (body: string, secret?: string, at?: Date) => SignedRequest
  /** The secret itself travels, and nothing signs the body or the time. */
  readonly bearer?: boolean
  readonly success: { readonly status: number; readonly body: string }
  /** By default `mail_unknown`. */
  readonly unknownCode?: string
  /** The status for what can never be sent. */
  readonly never: number
}

const supabaseSecret = `v1,whsec_${Buffer.from('a hook secret of 32 bytes, tests').toString('base64')}`

export const supabaseUser = { id: randomUUID(), email: 'ada@example.com', user_metadata: { locale: 'en' } }

export function supabaseBody(data: object, user: object = {}): object {
  return {
    metadata: {
      uuid: 'e2a1c2a0-0001-4000-8000-000000000001',
      time: '2026-11-26T10:00:00Z',
      ip_address: '::1',
    },
    user: { ...supabaseUser, ...user },
    email_data: {
      token: '493027',
      token_hash: 'pkce_0123456789abcdef0123456789abcdef',
      redirect_to: 'https://app.example.com/welcome?a=1&b=2',
      email_action_type: 'signup',
      site_url: 'https://evil.example',
      token_new: '',
      token_hash_new: '',
      ...data,
    },
  }
}

/** As Supabase Auth signs: with each of its secrets, joined by a comma and a space, and a new id for each try. */
export function signSupabase(body: string, secrets = supabaseSecret, at = new Date()): SignedRequest {
  const id = randomUUID()
  const signatures = secrets.split('|').map((secret) => new Webhook(secret.slice(3)).sign(id, at, body))
  return {
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': signatures.join(', '),
    },
    body,
  }
}

/** What Kratos sends with `function(ctx) ctx` as its body. */
export function kratosContext(template_type: string, data: object, changes: object = {}): object {
  return {
    recipient: 'ada@example.com',
    subject: 'Please verify https://evil.example',
    body: 'Go to https://evil.example',
    html_body: '<a href="https://evil.example">x</a>',
    template_type,
    template_data: {
      to: 'ada@example.com',
      identity: { id: 'i1', traits: { email: 'ada@example.com', name: 'https://evil.example' } },
      request_url: 'https://auth.example.com/self-service/verification/browser',
      transient_payload: {},
      ...data,
    },
    message_type: 'email',
    request_headers: { 'Accept-Language': ['en-GB,en;q=0.9'], Host: ['auth.example.com'] },
    ...changes,
  }
}

export const zitadelKey = 'the-signing-key-of-Zitadel'
const logtoSecret = 'a-connector-secret-of-Logto'
const defaults = { app: undefined, localeKey: 'locale', ownTexts: false }

/** What Zitadel posts: its own text in the user's language, and what it was made of. */
export function zitadelMessage(eventType: string, data: object = {}, args: object = {}): object {
  return {
    contextInfo: {
      eventType,
      provider: { id: '285181292935381355', description: 'mailer' },
      recipientEmailAddress: 'ada@example.com',
    },
    templateData: {
      title: 'Passwort zurücksetzen',
      preHeader: 'Passwort zurücksetzen',
      subject: 'Passwort zurücksetzen',
      greeting: 'Hallo Ada,',
      text: 'Wir haben eine Anfrage erhalten. (Code C0DE42) <b>https://evil.example</b>',
      url: 'https://login.example.com/ui/login/password/init?userID=7&code=C0DE42',
      buttonText: 'Passwort setzen',
      primaryColor: '#5469d4',
      footerText: 'PasswordReset.Footer',
      ...data,
    },
    args: {
      code: 'C0DE42',
      userName: 'ada',
      displayName: 'Ada',
      changeDate: '2026-11-26T10:00:00Z',
      ...args,
    },
  }
}

export function signZitadel(body: string, key = zitadelKey, at = new Date()): SignedRequest {
  const time = Math.floor(at.getTime() / 1000)
  const sign = (one: string) => createHmac('sha256', one).update(`${time}.${body}`).digest('hex')
  const signatures = key.split('|').map((one) => `v1=${sign(one)}`)
  return {
    headers: {
      'content-type': 'application/json',
      'zitadel-signature': [`t=${time}`, ...signatures].join(','),
    },
    body,
  }
}

export const foreignSystems: readonly ForeignSystem[] = [
  {
    system: 'supabase',
    settings: {
      system: 'supabase',
      ...defaults,
      secrets: [supabaseSecret],
      urls: ['https://project.supabase.co'],
    },
    otherSecret: `v1,whsec_${Buffer.from('another secret of 32 bytes, test').toString('base64')}`,
    sample: supabaseBody({}),
    secrets: ['0123456789abcdef', '493027', 'ada@', 'supabase.co', 'whsec_', 'app.example.com'],
    unknown: supabaseBody({ email_action_type: 'carrier_pigeon' }),
    sign: signSupabase,
    success: { status: 200, body: '{}' },
    never: 404,
  },
  {
    system: 'kratos',
    settings: {
      system: 'kratos',
      ...defaults,
      secrets: ['a-courier-secret-of-Kratos'],
      urls: ['https://auth.example.com'],
    },
    otherSecret: 'another-secret-of-Kratos',
    sample: kratosContext('verification_code_valid', {
      verification_url: 'https://auth.example.com/self-service/verification?code=493027&flow=f1',
      verification_code: '493027',
      expires_in_minutes: 60,
    }),
    secrets: ['self-service', '493027', 'ada@', 'auth.example.com', 'courier-secret'],
    unknown: kratosContext('stub', {}),
    sign: (body, secret = 'a-courier-secret-of-Kratos') => ({
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body,
    }),
    bearer: true,
    success: { status: 200, body: '{}' },
    never: 200,
  },
  {
    system: 'zitadel',
    settings: {
      ...defaults,
      system: 'zitadel',
      secrets: [zitadelKey],
      urls: ['https://login.example.com'],
    },
    otherSecret: 'another-signing-key-of-Zitadel',
    sample: zitadelMessage('user.human.password.code.added'),
    secrets: ['ui/login', 'C0DE42', 'ada@', 'login.example.com', 'signing-key'],
    unknown: { ...zitadelMessage('user.human.password.code.added'), contextInfo: {} },
    unknownCode: 'bad_request',
    sign: signZitadel,
    success: { status: 200, body: '{}' },
    never: 400,
  },
  {
    system: 'logto',
    settings: { ...defaults, system: 'logto', secrets: [logtoSecret], urls: ['https://app.example.com'] },
    otherSecret: 'another-secret-of-Logto',
    sample: { to: 'ada@example.com', type: 'SignIn', payload: { code: '493027', locale: 'en' }, ip: '::1' },
    secrets: ['493027', 'ada@', 'connector-secret'],
    unknown: { to: 'ada@example.com', type: 'Pigeon', payload: { code: '493027' } },
    sign: (body, secret = logtoSecret) => ({
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body,
    }),
    bearer: true,
    success: { status: 200, body: '{}' },
    never: 404,
  },
]

const linkMails = [
  'confirmation',
  'reset',
  'invite',
  'magic-link',
  'change',
  'change-approval',
  'account-created',
]
const codeMails = ['mfa-code', 'verify-code', 'login-code', 'reset-code']
const noticeMails = ['password-changed', 'address-changed', 'factor-changed', 'no-account']

let mails: string | undefined

/** A catalogue with a short mail of every kind, for the apps `default` and `shop`. */
export function mailsOfEveryKind(): string {
  if (mails === undefined) declareUnchanging((mails = writeMails()))
  return mails
}

function writeMails(): string {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-mails-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const app of ['default', 'shop']) {
    mkdirSync(join(folder, app))
    const settings = { name: 'Example', default_kind: 'confirmation', default_locale: 'en' }
    writeFileSync(join(folder, app, 'app.json'), JSON.stringify(settings))
    const write = (kind: string, locale: string, claims: string, text: string) => {
      const front = `subject: ${kind} ${locale}\npreheader: about {{ app.name }}\nclaims: {${claims}}`
      writeFileSync(
        join(folder, app, `${kind}.${locale}.md`),
        `---\n${front}\n---\n\n# ${kind}\n\n${text}\n\nEnd.\n`,
      )
    }
    for (const kind of linkMails)
      for (const locale of ['en', 'de'])
        write(kind, locale, ' code: { default: "", sample: "1" } ', 'Code {{ code }}.\n\n[Go]({{ link }})')
    for (const kind of codeMails)
      for (const locale of ['en', 'de'])
        write(kind, locale, ' access_key: { sample: "1" } ', '`{{ access_key }}`')
    for (const kind of noticeMails)
      for (const locale of ['en', 'de'])
        write(
          kind,
          locale,
          ' factor_added: { default: "", sample: a }, factor_removed: { default: "", sample: a }, new_email: { default: "", sample: a } ',
          'Added {{ factor_added }}, removed {{ factor_removed }}, now {{ new_email }}.',
        )
  }
  return folder
}
