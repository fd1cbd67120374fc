import path from 'node:path'
import { expect, test } from 'vitest'
import type { Claims } from '../../src/contract.ts'
import { loadCatalogue } from '../support/catalogue.ts'
import { renderMail } from '../../src/mails/render.ts'
import { joinBody } from '../../src/message.ts'

const catalogue = loadCatalogue({
  dir: path.resolve(import.meta.dirname, '../../mails'),
  appName: 'CatLoader',
  senderName: 'The CatLoader team',
  senderAddress: 'noreply@example.com',
  allowHttpLinks: false,
})
const payload = Buffer.from(JSON.stringify({ exp: 1_790_000_000 })).toString('base64url')
const linkToken = `eyJhbGciOiJIUzI1NiJ9.${payload}.c2lnbmF0dXJl`
const article: Claims = {
  user_email: 'ada@example.org',
  user_aut_key: '7hK2pQ',
  email_link_url: 'https://app.example.com/confirm?a=1&token=',
  email_link_token: linkToken,
}
const link = article.email_link_url! + linkToken
const options = { id: 'mail-1', date: new Date(0) }

function render(kind: string | undefined, claims: Claims = article) {
  const message = renderMail(catalogue.find('default', kind, undefined), claims, options)
  return { ...message, html: joinBody(message.html) }
}

test.each([undefined, 'confirmation', 'signup', 'change'])(
  'the mail of kind %s shows link and key exactly, in both parts',
  (kind) => {
    const message = render(kind)
    expect(message.text.split('\n')).toContain(link)
    expect(message.text).toContain('\n    7hK2pQ\n')
    expect(message.html.split(`"${link.replaceAll('&', '&amp;')}"`)).toHaveLength(3)
    expect(message.html).toContain(`>${link.replaceAll('&', '&amp;')}</a>`)
    expect(message.html).toContain('>7hK2pQ</td>')
    expect(message).toMatchObject({ locale: 'en', to: { address: 'ada@example.org' }, ...options })
  },
)

test('a reset code is sent although its caller has no link', () => {
  const message = render('resetkey', {
    user_email: 'ada@example.org',
    user_aut_key_or_otp: '493027',
    email_link_url: 'email-link-not-used',
    email_link_token: 'email-link-not-used',
  })
  expect(message.text).toContain('\n    493027\n')
  expect(message.html).not.toContain('href=')
})

test('the mail says until when its link works, when the link token says so', () => {
  expect(render(undefined).text.replaceAll('\n', ' ')).toContain(
    'The link works until 21 September 2026 at 14:13 UTC.',
  )
  expect(render(undefined, { ...article, email_link_token: 'opaque' }).text).not.toContain('until')
})

test.each([
  [{ user_aut_key: 'go to https://evil.example' }, 'user_aut_key'],
  [{ user_aut_key: 'www.evil.example' }, 'user_aut_key'],
  [{ user_aut_key: 'k'.repeat(257) }, 'user_aut_key'],
  [{ email_link_url: undefined }, 'email_link_url'],
  [{ email_link_url: 'javascript:alert(1)//' }, 'email_link_url'],
  [{ email_link_token: undefined }, 'email_link_token'],
  [{ email_link_token: '"><b>' }, 'email_link_token'],
  [{ user_name: 'a\0b' }, 'user_name'],
  [{ user_name: 'a'.repeat(4001) }, 'user_name'],
  [{ user_name: { first: 'Ada' } }, 'user_name'],
])('%j is refused, naming %s', (wrong, claim) => {
  expect(() => render(undefined, Object.assign({ ...article }, wrong))).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim }),
  )
})

test('a mail that is nothing without its key is refused, naming it', () => {
  expect(() => render('login-code', { user_email: 'ada@example.org' })).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim: 'user_aut_key_or_otp', reason: 'missing' }),
  )
})

test.each(['nosuch', '__proto__', '../default/confirmation'])('a kind called %s is unknown', (kind) => {
  expect(() => render(kind)).toThrow(expect.objectContaining({ code: 'mail_unknown' }))
})

test('an app nobody wrote mails for is unknown', () => {
  expect(() => catalogue.find('nosuch', undefined, 'en')).toThrow(
    expect.objectContaining({ code: 'mail_unknown' }),
  )
})
