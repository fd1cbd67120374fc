import { expect, test } from 'vitest'
import { linkExpiry } from '../../src/mails/claims.ts'
import { builtIn, mailOf, render } from './catalogues.ts'

const front = `claims:
  title: { sample: Title, max: 10 }
  count: { type: integer, default: 1, sample: 2 }
  cents: { type: cents, sample: 100 }
  currency: { default: EUR, sample: EUR }
`
const body = '{{ title }}: {{ count }} for {{ cents | money: currency }}'
const right = { user_email: 'ada@example.com', title: 'Title', cents: 100 }
const shown = (claims: Record<string, unknown>) =>
  render(mailOf(body, front), { ...right, ...claims })
    .text.split('=====\n')[1]!
    .trim()

test.each<[string, Record<string, unknown>, string]>([
  ['a claim that is absent says its default', {}, 'Title: 1 for €1.00'],
  ['null is absent', { count: null, currency: null }, 'Title: 1 for €1.00'],
  ['an empty text is absent', { count: '', currency: '' }, 'Title: 1 for €1.00'],
  ['blanks are absent', { currency: ' \n ' }, 'Title: 1 for €1.00'],
  ['zero is there', { count: 0, cents: 0 }, 'Title: 0 for €0.00'],
  ['a text may come as a whole number', { title: 1042 }, '1042: 1 for €1.00'],
  [
    'claims nobody declared are ignored',
    { nonsense: { a: [] }, toString: 1, html: '<b>' },
    'Title: 1 for €1.00',
  ],
])('%s', (_, claims, text) => {
  expect(shown(claims)).toBe(text)
})

test.each<[string, unknown, string]>([
  ['title', undefined, 'missing'],
  ['title', null, 'missing'],
  ['title', '', 'missing'],
  ['title', '   ', 'missing'],
  ['title', ['a'], 'type'],
  ['title', { toString: 'a' }, 'type'],
  ['title', true, 'type'],
  ['title', 1.5, 'type'],
  ['title', 'x'.repeat(11), 'length'],
  ['title', 'a\u0000b', 'control'],
  ['title', 'a\u001b[31m', 'control'],
  ['title', 'a\u0085\u0090', 'control'],
  ['count', '2', 'type'],
  ['count', 1.5, 'type'],
  ['count', 2 ** 53, 'type'],
  ['count', [1], 'type'],
  ['cents', undefined, 'missing'],
  ['cents', '100', 'type'],
  ['cents', 99.5, 'type'],
  ['cents', Number.NaN, 'type'],
  ['cents', false, 'type'],
  ['currency', 7.5, 'type'],
])('%s as %j is refused: %s', (claim, value, reason) => {
  expect(() => shown({ [claim]: value })).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim, reason }),
  )
})

test('what a claim is called on Object itself is no claim', () => {
  const inherited = mailOf('{{ constructor }}', 'claims:\n  constructor: { sample: x }\n')
  expect(() => render(inherited, { user_email: 'ada@example.com' })).toThrow(
    expect.objectContaining({ claim: 'constructor', reason: 'missing' }),
  )
})

test('both names of the access key mean the same, and the newer one counts', () => {
  const reset = builtIn().find('default', 'resetkey', undefined)
  const key = (claims: object) =>
    /\n {4}(\S+)\n/.exec(render(reset, { user_email: 'ada@example.com', ...claims }).text)![1]
  expect(key({ user_aut_key: 'old' })).toBe('old')
  expect(key({ user_aut_key_or_otp: 'new' })).toBe('new')
  expect(key({ user_aut_key: 'old', user_aut_key_or_otp: 'new' })).toBe('new')
  expect(key({ user_aut_key_or_otp: '<&"\'>*_`{{x}}' })).toBe('<&"\'>*_`{{x}}')
})

test.each<[object, string, string]>([
  [{ user_aut_key: 'a b' }, 'user_aut_key', 'key'],
  [{ user_aut_key_or_otp: 'a b' }, 'user_aut_key_or_otp', 'key'],
  [{ user_aut_key: 'old', user_aut_key_or_otp: 'a b' }, 'user_aut_key_or_otp', 'key'],
  [{ user_aut_key: 'a b', user_aut_key_or_otp: '' }, 'user_aut_key', 'key'],
  [{ user_aut_key: '' }, 'user_aut_key_or_otp', 'missing'],
])('a wrong access key is called as it was sent: %j', (claims, claim, reason) => {
  const reset = builtIn().find('default', 'resetkey', undefined)
  expect(() => render(reset, { user_email: 'ada@example.com', ...claims })).toThrow(
    expect.objectContaining({ claim, reason }),
  )
})

test('an access key may be optional when its mail can do without', () => {
  const optional = mailOf(
    'Hello.\n\n{% if access_key %}\n`{{ access_key }}`\n{% endif %}',
    'claims:\n  access_key: { default: "", sample: k }\n',
  )
  expect(render(optional, { user_email: 'ada@example.com' }).text).toContain('Hello.\n')
  expect(render(optional, { user_email: 'ada@example.com', user_aut_key: 'K1' }).text).toContain('\n    K1\n')
})

const ifLink = '{% if link %}\n[Go]({{ link }})\n{% endif %}'
const linked = { email_link_url: 'https://app.example.com/x/', email_link_token: 't' }

test('a link may be optional when its mail can do without', () => {
  const optional = mailOf(`Hello.\n\n${ifLink}`, 'claims:\n  link: { default: "" }\n')
  const given = render(optional, { user_email: 'ada@example.com', ...linked })
  expect(given.text).toContain('\nhttps://app.example.com/x/t\n')
  expect(given.html).toContain('href="https://app.example.com/x/t"')
  const without = render(optional, { user_email: 'ada@example.com', email_link_url: '' })
  expect(without.text).toMatch(/Hello\.\n$/)
  expect(without.html).not.toContain('href=')
  expect(optional.contract.filter(({ required }) => required).map(({ name }) => name)).toEqual(['user_email'])
})

test.each<[object, string, string]>([
  [{ email_link_url: 'https://app.example.com/x/' }, 'email_link_token', 'missing'],
  [{ email_link_token: 't' }, 'email_link_url', 'missing'],
  [{ ...linked, email_link_url: 'javascript:alert(1)//' }, 'email_link_url', 'link'],
])('an optional link that is there has to be right: %j', (claims, claim, reason) => {
  const optional = mailOf(ifLink, 'claims:\n  link: { default: "" }\n')
  expect(() => render(optional, { user_email: 'ada@example.com', ...claims })).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim, reason }),
  )
})

test('a contract lists what a caller has to send', () => {
  const names = (kind: string) =>
    builtIn()
      .find('default', kind, 'en')
      .contract.map(({ name, required }) => (required ? name : `${name}?`))
  expect(names('confirmation')).toEqual([
    'user_email',
    'email_link_url',
    'email_link_token',
    'user_aut_key_or_otp?',
    'user_name?',
  ])
  expect(names('password-changed')).toEqual([
    'user_email',
    'email_link_url?',
    'email_link_token?',
    'user_name?',
  ])
  expect(names('resetkey')).toEqual(['user_email', 'user_aut_key_or_otp', 'user_name?'])
  expect(names('reset')).toEqual(['user_email', 'email_link_url', 'email_link_token', 'user_name?'])
})

const token = (payload: string) => `e30.${Buffer.from(payload).toString('base64url')}.c2ln`

test.each<[string, number | undefined]>([
  [token('{"exp":1790000000}'), 1_790_000_000_000],
  [token('{"exp":1790000000.75}'), 1_790_000_000_750],
  [token('{}'), undefined],
  [token('{"exp":"1790000000"}'), undefined],
  [token('{"exp":-1}'), undefined],
  [token('{"exp":1e300}'), undefined],
  [token('{"exp":1790000000000}'), undefined],
  [token('{"exp":null}'), undefined],
  [token('[1790000000]'), undefined],
  [token('null'), undefined],
  [token('{"exp":'), undefined],
  ['email-link-not-used', undefined],
  ['a.b', undefined],
  ['a.b.c.d', undefined],
  ['', undefined],
])('a link token %s expires at %s', (linkToken, expiry) => {
  expect(linkExpiry(linkToken)).toBe(expiry)
})
