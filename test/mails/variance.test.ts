/** The four apps of the original, over HTTP, with tokens as their callers make them: PyJWT, and no `iat`. */
import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { testApp } from '../support/app.ts'
import { secret } from '../support/tokens.ts'
import { varianceDir } from './catalogues.ts'
import { textOfHtml } from './structure.ts'
import { required, titled } from '../support/missing.ts'

const python = ['/usr/bin/python3', 'python3'].find(hasPyJwt)
const missing = required('REQUIRE_PYTHON', python ? undefined : 'no python3 with PyJWT')

interface Row {
  readonly path: string
  readonly claims: Record<string, unknown>
  readonly to: string
  readonly subject: string
  /** What both parts show. */
  readonly shows: readonly string[]
  readonly hides?: readonly string[]
  readonly from?: string
}

const email = 'mario.rossi@example.org'
const link = {
  email_link_url: 'https://app.example.com/verify?lang=it&token=',
  email_link_token: 'eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjo0Mn0.c2lnbmF0dXJl',
}
const auth = { user_email: email, user_aut_key_or_otp: 'gT7-x_Q2', ...link }
const noLink = { email_link_url: 'email-link-not-used', email_link_token: 'email-link-not-used' }
const wholeLink = link.email_link_url + link.email_link_token
const title = 'Perché il cielo è blu? <b>&'

const apps = [
  { path: '-usr', name: 'Minimal+User', to: 'Minimal+User user', signup: 'Confirm and access Minimal+User' },
  { path: '-cat', name: 'CatLoader', to: 'CatLoader user', signup: 'Confirm and access CatLoader' },
  {
    path: '-blog',
    name: 'Attitude',
    to: 'Attitude user',
    signup: 'Confirm and access for Attitude',
    from: 'Attitude',
  },
  {
    path: '-ntsqr',
    name: 'Night Squirrel',
    to: 'Night Squirrel User',
    signup: 'Confirm and access Night Squirrel',
  },
  { path: '', name: 'CatLoader', to: 'CatLoader user', signup: 'Confirm and access CatLoader' },
]
const authRows = apps.flatMap(({ path, name, to, signup, from = 'Example' }): Row[] => [
  {
    path: `${path}/signup`,
    claims: auth,
    to,
    from,
    subject: signup,
    shows: [wholeLink, 'gT7-x_Q2', name, from],
  },
  {
    path: `${path}/change`,
    claims: auth,
    to,
    from,
    subject: 'Confirm changed email/login',
    shows: [wholeLink, 'gT7-x_Q2', name, from],
  },
  {
    path: `${path}/resetkey`,
    claims: { ...auth, ...noLink, user_aut_key_or_otp: '493027' },
    to,
    from,
    subject: `Reset access key for ${name}`,
    shows: ['493027', name, from],
    hides: ['email-link-not-used', 'https://'],
  },
])
const article: Row = {
  path: '',
  claims: { user_email: email, user_aut_key: 'gT7-x_Q2', ...link },
  to: 'CatLoader user',
  subject: 'Confirm and access CatLoader',
  shows: [wholeLink, 'gT7-x_Q2', 'CatLoader', 'Example'],
}

const user = { user_email: email, user_name: 'Mario' }
const question = { ...user, qtn_title: title }
const amount = { tkt_quote_cents: 123_456, tkt_currency: 'EUR' }
const signature = ['Example']
function notice(
  kind: string,
  subject: string,
  claims: Record<string, unknown>,
  shows: string[],
  rest: Partial<Row> = {},
): Row {
  return {
    path: `-ntsqr/${kind}`,
    claims,
    to: 'Mario',
    subject: `${subject} - Night Squirrel`,
    shows,
    hides: signature,
    ...rest,
  }
}
const notices: Row[] = [
  notice(
    'answer_delivered',
    'Your answer is ready',
    { ...question, tkt_id: 1042, ...amount },
    ['Mario', title, '1042'],
    { hides: ['1234.56'] },
  ),
  notice('payer_quote_accepted', 'Quote accepted', { ...question, student_name: 'Lucia', ...amount }, [
    'Mario',
    'Lucia',
    title,
    '1234.56 EUR',
    'PayPal',
    'delivered',
  ]),
  notice(
    'payment_failed',
    'Payment FAILED for ticket #1042',
    {
      user_email: email,
      user_name: 'Mario',
      tkt_id: 1042,
      student_name: 'Lucia',
      payer_email: 'payer@example.org',
      amount_cents: 5,
      currency: 'USD',
      error_msg: 'declined: try later',
    },
    ['1042', 'Lucia', 'payer@example.org', '0.05 USD', 'declined: try later'],
    { to: 'Admin', hides: ['Mario'] },
  ),
  notice(
    'payer_payment_failed',
    'Payment failed',
    { ...question, student_name: 'Lucia', ...amount, error_msg: 'NOT SHOWN' },
    ['Mario', 'Lucia', title, '1234.56 EUR', 'reconnect PayPal'],
    { hides: ['NOT SHOWN'] },
  ),
  notice(
    'quote_ready',
    'Your quote is ready',
    { ...question, qtn_id: 318, tkt_id: 7777 },
    ['Mario', title, '318'],
    { hides: ['7777'] },
  ),
  notice('quote_accepted', 'Quote accepted', { ...question, tkt_id: 'T-1042', ...amount }, [
    'Mario',
    title,
    'T-1042',
    '1234.56 EUR',
  ]),
  notice('tutor_assigned', "You've been assigned to ticket #1042", { ...question, tkt_id: 1042 }, [
    'Mario',
    title,
    '1042',
  ]),
  notice('ticket_closed', 'Ticket #1042 closed', { ...question, tkt_id: 1042 }, ['Mario', title, '1042']),
  notice('question_deleted', 'Question deleted (ticket #1042)', { ...question, tkt_id: 1042 }, [
    'Mario',
    title,
    '1042',
  ]),
  notice('answer_ready', 'Your answer is being prepared', { ...question, tkt_id: 1042 }, [
    'Mario',
    title,
    '1042',
  ]),
  notice('quote_rejected', 'Quote declined', { ...question, qtn_id: 318 }, ['Mario', title, '318']),
  notice('student_ticket_closed', 'Ticket #1042 closed', { ...question, tkt_id: 1042 }, [
    'Mario',
    title,
    '1042',
  ]),
  notice(
    'needs_clarification',
    'Your question needs a small fix',
    { ...question, qtn_id: 318, student_hint: 'Which sky?\nA photo helps.' },
    ['Mario', title, '318', 'Which sky?', 'A photo helps.'],
  ),
]

const bare = { user_email: email }
const nothing = {
  user_name: null,
  qtn_title: null,
  student_name: null,
  tkt_id: null,
  qtn_id: '',
  tkt_quote_cents: null,
  tkt_currency: null,
  student_hint: null,
  payer_email: '',
  amount_cents: null,
  currency: null,
  error_msg: null,
}
const defaults: [string, Partial<Row>][] = [
  ['answer_delivered', { shows: ['Hi there', 'your question'], hides: ['#'] }],
  ['payer_quote_accepted', { shows: ['Hi there', 'A student', 'a question', '0.00 EUR'] }],
  [
    'payment_failed',
    {
      subject: 'Payment FAILED for ticket #? - Night Squirrel',
      to: 'Admin',
      shows: ['#?', 'unknown', '0.00 EUR', 'unknown error'],
    },
  ],
  ['payer_payment_failed', { shows: ['Hi there', 'A student', 'a question', '0.00 EUR'] }],
  ['quote_accepted', { shows: ['Hi there', 'your question', '0.00 EUR'], hides: ['#'] }],
  [
    'tutor_assigned',
    { subject: "You've been assigned to ticket # - Night Squirrel", shows: ['Hi there', 'a question'] },
  ],
  ['needs_clarification', { shows: ['Hi there', 'your question'], hides: ['What to change', '>'] }],
]
const defaultRows = defaults.flatMap(([kind, row]): Row[] =>
  [bare, { ...bare, ...nothing }].map((claims) => {
    const subject = notices.find(({ path }) => path.endsWith(`/${kind}`))!.subject
    return {
      path: `-ntsqr/${kind}`,
      claims,
      to: '',
      subject,
      shows: [],
      hides: ['None', 'null', 'undefined'],
      ...row,
    }
  }),
)
const longTitle = `${'Why '.repeat(255)}end?`
const longHint = 'Change this, please. '.repeat(220).trim()
const longRows = [
  notice(
    'needs_clarification',
    'Your question needs a small fix',
    { ...user, qtn_title: longTitle, qtn_id: 1, student_hint: longHint },
    [longTitle, longHint],
  ),
]

const rows = [article, ...authRows, ...notices, ...defaultRows, ...longRows]

describe.skipIf(missing !== undefined)(titled('what the callers of the original get', missing), () => {
  const tokens = python === undefined ? [] : signAll(rows.map(({ claims }) => claims))

  test.each(rows.map((row, index) => ({ ...row, token: tokens[index] ?? '' })))(
    '/emailservice$path: "$subject" for "$to"',
    async ({ path, token, to, subject, shows, hides = [], from }) => {
      const { app, mails } = await testApp({ mailsDir: varianceDir })
      const url = `/emailservice${path}/${token}`
      expect(url.length).toBeLessThan(12 * 1024)
      const response = await app.inject({ method: 'GET', url })
      expect(response.json()).toMatchObject({ error: 0, msg: 'Ok' })
      const [mail, ...others] = await mails()
      expect(others).toEqual([])
      expect(mail).toMatchObject({
        recipients: [`RCPT TO:<${email}>`],
        to: { name: to, address: email },
        subject,
      })
      if (from) expect(mail!.from!.name).toBe(from)
      for (const part of [mail!.text, textOfHtml(mail!.html)]) {
        const words = part.replace(/\n>? */g, ' ').replace(/\s+/g, ' ')
        for (const fact of shows) expect(words).toContain(fact.replace(/\s+/g, ' '))
      }
      for (const word of hides) expect(mail!.text).not.toContain(word)
    },
  )
})

function hasPyJwt(command: string): boolean {
  try {
    execFileSync(command, ['-c', 'import jwt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function signAll(claims: readonly object[]): string[] {
  const program =
    'import json, sys, jwt\nkey, claims = json.load(sys.stdin)\nprint(json.dumps([jwt.encode(each, key, algorithm="HS256") for each in claims]))'
  return JSON.parse(
    execFileSync(python!, ['-c', program], { input: JSON.stringify([secret, claims]), encoding: 'utf8' }),
  ) as string[]
}
