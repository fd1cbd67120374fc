import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadCatalogue } from '../../src/mails/catalogue.ts'
import {
  builtIn,
  builtInDir,
  load,
  mailSource,
  problemsIn,
  problemsOf,
  render,
  sender,
  writeFile,
  writeFolder,
} from './catalogues.ts'

const plain = { 'default/confirmation.en.md': mailSource('Hello.') }

test('everything that is wrong is said at once, each with its file and line', () => {
  const problems = problemsOf({
    'default/app.json': '{\n  "accent": "blue",\n  "colour": "#112233"\n}',
    'cat/app.json': '{ "default_kind": "signup" }',
    'cat/signup.en.md': '---\nsubject: Hi\nclaims:\n  a: { type: money }\n---\n\n# T\n',
    'cat/reset.en.md': mailSource(
      'Hello {{ nmae }},\n\n<b>bold</b>',
      'claims:\n  name: { sample: Ada }\n  other: { sample: Bob }\n',
    ),
  })
  expect(problems).toEqual([
    'cat/reset.en.md:6: `other` is declared and never used',
    'cat/reset.en.md:10: `nmae` is not declared under `claims` (always there: app.name, sender_name, locale, user_email, link, access_key, expires_at); did you mean `name`?',
    'cat/reset.en.md:12: HTML cannot stand in a mail: write Markdown, the layout does the rest',
    'cat/signup.en.md:2: `preheader`: is needed, as a text',
    'cat/signup.en.md:4: `claims.a.type`: must be text, integer, cents, boolean, date or list',
    'default/app.json:2: `accent`: must be a colour like #1f5fd0',
    'default/app.json:3: `colour`: is not a setting known here',
  ])
})

test.each<[string, string, string, string]>([
  ['a tag that is not closed', 'a\n\n{{ name', '', '9: `{{` has no counterpart on this line'],
  [
    'an unknown tag',
    '{% assign x = 1 %}',
    '',
    '7: {% assign x = 1 %}: the tags are {% if … %}, {% elsif … %}, {% else %}, {% endif %}, {% unless … %}',
  ],
  [
    'an unknown filter',
    '{{ user_email | munney }}',
    '',
    '7: unknown filter `munney`; the filters are default, money, number, date, time, plural; did you mean `money`?',
  ],
  [
    'an unknown filter of what cannot be shown without one, and a wrong one',
    '{{ n | munney }} {{ d | money: "EUR" }}',
    'claims:\n  n: { type: cents, sample: 1 }\n  d: { type: date }\n',
    '10: unknown filter `munney`; the filters are default, money, number, date, time, plural; did you mean `money`?\ndefault/confirmation.en.md:10: `d` must be declared as { type: cents } for `money`',
  ],
  [
    'money without currency',
    '{{ n | money }}',
    'claims:\n  n: { type: cents, sample: 1 }\n',
    '9: money needs its currency: {{ amount_cents | money: currency }}',
  ],
  [
    'money of a text',
    '{{ n | money: "EUR" }}',
    'claims:\n  n: {}\n',
    '9: `n` must be declared as { type: cents } for `money`',
  ],
  ['a date as it is', '{{ d }}', 'claims:\n  d: { type: date }\n', '9: `d` is a date: write {{ d | date }}'],
  [
    'a date in a way of its own',
    '{{ d | date: "%d" }}',
    'claims:\n  d: { type: date }\n',
    '9: date is written in one of the ways "short", "medium", "long" and "full"',
  ],
  [
    'a boolean as text',
    '{{ b }}',
    'claims:\n  b: { type: boolean }\n',
    '9: `b` is true or false: write {% if b %}',
  ],
  [
    'a list as text',
    '{{ l }}',
    'claims:\n  l: { type: list }\n',
    '9: `l` is a list: write {% for item in l %}',
  ],
  [
    'a loop over a text',
    '{% for x in n %}{{ x }}{% endfor %}',
    'claims:\n  n: {}\n',
    '9: `n` must be declared as { type: list } to be looped over',
  ],
  [
    'a loop in a loop',
    '{% for x in l %}{% for y in l %}{{ y }}{% endfor %}{% endfor %}',
    'claims:\n  l: { type: list }\n',
    '9: a loop cannot stand inside of another one',
  ],
  [
    'a numbered list that is repeated',
    '{% for x in l %}\n1. {{ x }}\n{% endfor %}',
    'claims:\n  l: { type: list }\n',
    '7: the numbers of a list begin anew in each round of a {% for %}',
  ],
  [
    'a loop left open',
    '{% for x in l %}\n\n{{ x }}',
    'claims:\n  l: { type: list }\n',
    '9: a {% for %} must end where it began',
  ],
  [
    'an unknown field',
    '{% for x in l %}{{ x.nme }}{% endfor %}',
    'claims:\n  l: { type: list, fields: { name: {} } }\n',
    '9: `x.nme` is not in this list; there is {{ x.name }}',
  ],
  ['a row outside of its loop', '{{ x.name }}', '', '7: `x.name` is not declared under `claims`'],
  [
    'forloop outside of a loop',
    '{{ forloop.index }}',
    '',
    '7: `forloop.index`: inside of a loop there are forloop.index, forloop.index0',
  ],
  [
    'a button in a loop',
    '{% for x in l %}\n[Go](https://a.example/{{ x }})\n{% endfor %}',
    'claims:\n  l: { type: list }\n',
    '7: a heading `# …`, a button and a line `---` cannot stand in a {% for %}',
  ],
  [
    'a text compared by size',
    '{% if n > 3 %}x{% endif %}',
    'claims:\n  n: {}\n',
    '9: `>` compares whole numbers and dates; declare { type: integer } or { type: date }',
  ],
  [
    'a date compared with a text',
    '{% if d == "soon" %}x{% endif %}',
    'claims:\n  d: { type: date }\n',
    '9: `d` is a date: compare it with another one, such as "2026-11-26"',
  ],
  [
    'a condition that is none',
    '{% if %}x{% endif %}',
    '',
    '7: {% if %}: a condition is a name, or a comparison by ==',
  ],
  [
    'a single equals sign',
    '{% if user_email = "a" %}x{% endif %}',
    '',
    '7: {% if user_email = "a" %}: a condition is a name, or a comparison by ==',
  ],
  [
    'quotes of a word processor',
    '{{ user_email | default: \u201cx\u201d }}',
    '',
    '7: {{ user_email | default: \u201cx\u201d }}: write straight quotes',
  ],
  ['an elsif without if', '{% elsif user_email %}', '', '7: there is no {% if %} open here'],
  [
    'a plural without other',
    '{{ n | plural: one: "item" }}',
    'claims:\n  n: { type: integer }\n',
    '9: plural needs its words: {{ count | plural: one: "item", other: "items" }}',
  ],
  [
    'a list of lists',
    'x',
    'claims:\n  l: { type: list, fields: { m: { type: list } } }\n',
    '5: `claims.l.fields.m.type`: must be text, integer, cents, boolean, date',
  ],
  [
    'a sample of a list that is wrong',
    'x',
    'claims:\n  l: { type: list, fields: { n: { type: integer } }, sample: [{ n: x }] }\n',
    '5: `claims.l.sample`: must be a list of items with the declared fields, like the claim',
  ],
  [
    'a sample of a day that is none',
    'x',
    'claims:\n  d: { type: date, sample: 2026-02-30 }\n',
    '5: `claims.d.sample`: must be a day such as 2026-11-26',
  ],
  [
    'a condition left open',
    '{% if user_email %}\n\nText',
    '',
    '7: an {% if %} must end where it began: in the same paragraph, item, emphasis or list of blocks',
  ],
  [
    'a condition across emphasis',
    '**a {% if user_email %}b** c{% endif %}',
    '',
    '7: there is no {% if %} open here',
  ],
  ['an end without a beginning', 'a {% endif %}', '', '7: there is no {% if %} open here'],
  [
    'a condition on a constant',
    '{% if app.name %}x{% endif %}',
    '',
    '7: `app.name` is always there: nothing to decide',
  ],
  [
    'an expiry without alternative',
    'Until {{ expires_at }}.',
    '',
    '5: `expires_at` can be absent: put the words around it between {% if expires_at %} and {% endif %}',
  ],
  [
    'an optional link without alternative',
    '[Go]({{ link }})',
    'claims:\n  link: { default: "" }\n',
    '7: `link` can be absent: put the words around it between {% if link %} and {% endif %}',
  ],
  [
    'an optional key without alternative',
    '`{{ access_key }}`',
    'claims:\n  access_key: { default: "", sample: k }\n',
    '7: `access_key` can be absent: put the words around it between {% if access_key %} and {% endif %}',
  ],
  [
    'a link with a sample',
    '{{ link }}',
    'claims:\n  link: { default: "", sample: x }\n',
    '5: `claims.link`: takes `default: ""` when it may be absent, nothing else',
  ],
  [
    'inline HTML',
    'a\nb <i>c</i>',
    '',
    '8: HTML cannot stand in a mail: write Markdown, the layout does the rest',
  ],
  [
    'an HTML comment',
    '<!-- x -->',
    '',
    '7: HTML cannot stand in a mail: write Markdown, the layout does the rest',
  ],
  ['an entity', 'a&nbsp;b', '', '7: write the character itself instead of &nbsp;'],
  [
    'an image',
    '![x](https://x.example/x.png)',
    '',
    '7: an image cannot stand in a mail: nothing is loaded from elsewhere',
  ],
  [
    'a code block',
    '```\nx\n```',
    '',
    '7: a code block cannot stand in a mail: a paragraph that is only a `code span` becomes the code box',
  ],
  ['a third level', '### x', '', '7: headings are `# …` and `## …`'],
  ['a second title', '# x', '', '5: a mail has exactly one heading `# …`, which says what it is about'],
  [
    'three buttons',
    '[a]({{ link }})\n\n[b](https://b.example)\n\n[c](https://c.example)',
    '',
    '5: a mail has at most two buttons (paragraphs that are only a link)',
  ],
  [
    'a script link',
    '[a](javascript:alert)',
    '',
    '7: a link leads to {{ link }}, to a fixed address that begins with https:// or mailto:, or to one with values behind its host',
  ],
  [
    'a value in the host of a link',
    '[a](https://{{ user_email }}.example/x)',
    '',
    '7: a link leads to {{ link }}, to a fixed address that begins with https:// or mailto:, or to one with values behind its host',
  ],
  [
    'a value before the path of a link',
    '[a](https://a.example{{ user_email }}/x)',
    '',
    '7: a link leads to {{ link }}, to a fixed address',
  ],
  [
    'three columns under an empty head',
    '| | | |\n|---|---|---|\n| c | d | e |',
    '',
    '7: a table under an empty head has two columns (`| | |`): names on the left, values beside them',
  ],
  [
    'a declared constant',
    'x',
    'claims:\n  sender_name: {}\n',
    '5: `claims.sender_name`: is always there and is not declared',
  ],
  [
    'a wire name',
    'x',
    'claims:\n  user_aut_key: {}\n',
    '5: `claims.user_aut_key`: is called `access_key` in mails',
  ],
  [
    'a claim in capitals',
    'x',
    'claims:\n  Name: {}\n',
    '5: `claims.Name`: a claim is named in lower case, with digits and underscores',
  ],
  [
    'a default of the wrong type',
    '{{ n }}',
    'claims:\n  n: { type: integer, default: x }\n',
    '5: `claims.n.default`: must be a whole number, like the claim',
  ],
  [
    'cents that are no money',
    '{{ n }}',
    'claims:\n  n: { type: cents, sample: 1 }\n',
    '9: `n` is in cents: write {{ n | money: currency }}',
  ],
  [
    'a text with a hash',
    'x',
    'to_name: Ticket #1\n',
    '4: a text with ` #` in it needs quotes around it: the rest is taken as a comment',
  ],
  ...[
    '{{ app.name }} hi',
    '{{ app.name }}',
    '[x] y',
    '*x',
    '*x y',
    '&x y',
    '@x',
    '`x`',
    '%x',
    '!x y',
    '> x',
    '- x',
    '? x',
    ', x',
    '}x',
    '{% if link %}b{% endif %}',
  ].map((text): [string, string, string, string] => [
    `a text that begins with ${text}`,
    'x',
    `to_name: ${text}\n`,
    `4: ${text.endsWith(' }}') ? '`to_name`: ' : ''}a text that begins with ${text[0]} needs quotes around it`,
  ]),
  [
    'a text with a quoted beginning',
    'x',
    'to_name: "x" y\n',
    '4: a text that begins with a quote needs other quotes around the whole of it',
  ],
  ['a text with a colon', 'x', 'to_name: a: b\n', '4: a text with a colon in it needs quotes around it'],
  ['an unknown setting', 'x', 'from: me\n', '4: `from`: is not a setting known here'],
])('%s stops the start with a sentence', (_, body, front, problem) => {
  const problems = problemsOf({ 'default/confirmation.en.md': mailSource(body, front) })
  expect(problems.join('\n')).toContain(`default/confirmation.en.md:${problem}`)
})

test.each<[string, Record<string, string>, string]>([
  [
    'a default kind that nobody wrote',
    { 'default/reset.en.md': mailSource('x') },
    'default/app.json:1: the default kind `confirmation` is missing: write confirmation.en.md',
  ],
  [
    'a kind without the default locale',
    { ...plain, 'default/reset.it.md': mailSource('x') },
    'default/app.json:1: `reset` is missing in the default locale: write reset.en.md',
  ],
  [
    'a locale that asks for other claims',
    {
      ...plain,
      'default/confirmation.it.md': mailSource('{{ nome }}', 'claims:\n  nome: { sample: Ada }\n'),
    },
    'default/confirmation.it.md:1: `nome` is not declared as in default/confirmation.en.md: a kind asks the same of its callers in every language',
  ],
  [
    'a locale that makes a claim required',
    {
      'default/confirmation.en.md': mailSource('{{ n }}', 'claims:\n  n: { default: x }\n'),
      'default/confirmation.it.md': mailSource('{{ n }}', 'claims:\n  n: {}\n'),
    },
    'default/confirmation.it.md:1: `n` is not declared as in default/confirmation.en.md: a kind asks the same of its callers in every language',
  ],
  ['an app without app.json', { ...plain, 'cat/reset.en.md': mailSource('x') }, 'cat/app.json:1: is missing'],
  [
    'an app.json that says nothing after a name',
    { ...plain, 'cat/app.json': '{\n  "name": \n}' },
    'cat/app.json:2: `name`: must be a text',
  ],
  [
    'an app that cannot stand in a route',
    { ...plain, 'my-cat/app.json': '{}' },
    'my-cat:1: an app is named by small letters and digits, because it stands in the route',
  ],
  [
    'a lender that is not there',
    { 'default/app.json': '{ "mails_from": "../cat" }' },
    'default/app.json:1: `mails_from`: there is no app `../cat` beside this one',
  ],
  [
    'a sender that is no address',
    { ...plain, 'default/app.json': '{\n"from": { "address": "Cat <cat@example.com>" } }' },
    'default/app.json:2: `from.address`: must be a plain address, such as hello@example.com',
  ],
  [
    'an origin with a path',
    { ...plain, 'default/app.json': '{ "link_origins": [\n"https://a.example/x"] }' },
    'default/app.json:2: `link_origins.0`: must be an origin without a path, such as https://app.example.com',
  ],
  [
    'a colour nobody can see',
    { ...plain, 'default/app.json': '{\n\n"accent": "#ffe066" }' },
    'default/app.json:3: #ffe066 is too pale for a button on a white card (contrast 1.3 to 1, 3 to 1 is needed); #',
  ],
  [
    'a layout without content',
    {
      ...plain,
      'layout.html':
        '<html lang="{{ lang }}" dir="{{ dir }}">\n{{ subject }}{{ preheader }}{{ footer }}{{ logo }}',
    },
    'layout.html:1: a layout needs {{ content }} in it',
  ],
])('%s stops the start with a sentence', (_, files, problem) => {
  expect(problemsOf(files).join('\n')).toContain(problem)
})

test('a folder that is not there is one sentence', () => {
  expect(problemsIn('/nowhere/mails')).toEqual(['/nowhere/mails:1: is missing'])
})

test.each([
  ['it', 'it'],
  ['it-IT', 'it'],
  ['IT_it', 'it'],
  ['de-CH-1996', 'de'],
  ['pt-BR', 'en'],
  ['', 'en'],
  [undefined, 'en'],
  ['../../etc/passwd', 'en'],
  ['x'.repeat(100_000), 'en'],
])('a caller who asks for %s gets %s', (wanted, given) => {
  expect(builtIn().find('default', 'reset', wanted).locale).toBe(given)
})

test('a regional mail is taken before the one of its language', () => {
  const catalogue = load({
    ...plain,
    'default/confirmation.pt.md': mailSource('pt'),
    'default/confirmation.pt-BR.md': mailSource('br'),
  })
  expect(
    ['pt-br', 'pt-PT', 'pt'].map((locale) => catalogue.find('default', undefined, locale).locale),
  ).toEqual(['pt-BR', 'pt', 'pt'])
})

test.each([
  ['nosuch', undefined],
  ['default', 'nosuch'],
  ['__proto__', undefined],
  ['default', '__proto__'],
  ['default', '../default/confirmation'],
  ['default/confirmation', 'en'],
])('app %s with kind %s is unknown', (app, kind) => {
  expect(() => builtIn().find(app, kind, 'en')).toThrow(expect.objectContaining({ code: 'mail_unknown' }))
})

test('every built-in kind is there in every built-in language', () => {
  const { mails } = builtIn()
  const kinds = [
    'account-created',
    'account-exists',
    'address-changed',
    'change-approval',
    'change',
    'confirmation',
    'delete-account',
    'factor-changed',
    'invite',
    'login-code',
    'magic-link',
    'message',
    'mfa-code',
    'new-sign-in',
    'no-account',
    'password-changed',
    'reset-code',
    'reset',
    'resetkey',
    'signup',
    'verify-code',
    'welcome',
  ]
  for (const locale of ['de', 'en', 'es', 'fr', 'it'])
    expect(mails.filter((mail) => mail.locale === locale).map(({ kind }) => kind)).toEqual(kinds)
  expect(mails).toHaveLength(readdirSync(path.join(builtInDir, 'default')).length - 1)
})

test('the default app is called as its file says, else as the operator says, else like the sender', () => {
  const files = {
    'default/app.json': '{ "name": "File" }',
    'default/confirmation.en.md': mailSource('{{ app.name }}'),
  }
  const first = (catalogue: ReturnType<typeof load>) =>
    render(catalogue.find('default', undefined, undefined)).text.split('\n')[3]
  expect(first(load(files, { appName: 'Operator' }))).toBe('File')
  expect(first(load({ ...files, 'default/app.json': '{}' }, { appName: 'Operator' }))).toBe('Operator')
  expect(first(load({ ...files, 'default/app.json': '{}' }))).toBe(sender.senderName)
})

test('an app speaks in its own name, from its own address, and asks for replies elsewhere', () => {
  const settings = {
    name: 'Cat',
    from: { name: 'Tom', address: 'tom@example.org' },
    reply_to: 'help@example.org',
    to_name: 'friend of {{ app.name }}',
  }
  const catalogue = load({
    'default/app.json': JSON.stringify(settings),
    'default/confirmation.en.md': mailSource('{{ sender_name }}'),
  })
  const message = render(catalogue.find('default', undefined, undefined))
  expect(message).toMatchObject({
    from: { name: 'Tom', address: 'tom@example.org' },
    replyTo: 'help@example.org',
    to: { name: 'friend of Cat', address: 'ada@example.com' },
  })
  expect(message.text).toContain('Tom')
})

test('an app lends the kinds of another, and writes its own where it differs', () => {
  const catalogue = load({
    'default/app.json': '{ "name": "Own", "mails_from": "cat" }',
    'default/reset.en.md': mailSource('own'),
    'cat/app.json': '{ "name": "Cat" }',
    'cat/confirmation.en.md': mailSource('lent by {{ app.name }}'),
    'cat/reset.en.md': mailSource('lent'),
    'cat/reset.it.md': mailSource('prestato'),
  })
  const text = (kind: string, locale: string) => render(catalogue.find('default', kind, locale)).text
  expect(text('confirmation', 'en')).toContain('lent by Own')
  expect(text('reset', 'it')).toContain('own')
})

test('an app may bring a frame of its own', () => {
  const layout =
    '<html lang="{{ lang }}" dir="{{ dir }}"><title>{{ subject }}</title>{{ preheader }}<main>{{ content }}</main>{{ footer }}'
  const catalogue = load({ ...plain, 'default/layout.html': layout })
  expect(render(catalogue.find('default', undefined, undefined)).html).toMatch(
    /^<html lang="en" dir="ltr"><title>Subject<\/title>Preheader<main><h1/,
  )
})

test('a link may lead only where its app allows', () => {
  const catalogue = load({
    'default/app.json': '{ "link_origins": ["https://good.example"] }',
    'default/confirmation.en.md': mailSource('[Go]({{ link }})'),
  })
  const mail = catalogue.find('default', undefined, undefined)
  const to = (email_link_url: string) => () =>
    render(mail, { user_email: 'ada@example.com', email_link_url, email_link_token: 'token' })
  expect(to('https://good.example/confirm/')().text).toContain('\nhttps://good.example/confirm/token\n')
  expect(to('https://evil.example/confirm/')).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim: 'email_link_url' }),
  )
})

test('a mail of the built-in folder compiles also from a copy elsewhere', () => {
  expect(loadCatalogue({ dir: writeFolder(plain), ...sender }).mails).toHaveLength(1)
})

test('spaces behind the lines around the front matter mean nothing', () => {
  const source = mailSource('Text').replaceAll('---\n', '---  \t\n')
  expect(problemsOf({ 'default/confirmation.en.md': source })).toEqual([])
})

const over = (files: Record<string, string>, options = {}) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'mails-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) writeFile(dir, name, content)
  return loadCatalogue({ dir, beneath: builtInDir, ...sender, ...options })
}

test('a folder with one file adds or replaces one mail', () => {
  const added = over({ 'default/order.en.md': mailSource('Your order.') })
  expect(render(added.find('default', 'order', 'de')).text).toContain('Your order.')
  expect(render(added.find('default', 'reset', 'de')).text).toContain('Passwort')
  const replaced = over({
    'default/reset.en.md': mailSource('Own.', 'claims:\n  user_name: { default: "" }\n').replace(
      'Own.',
      'Own {{ user_name }} [Go]({{ link }})',
    ),
  })
  expect(render(replaced.find('default', 'reset', 'en')).text).toContain('Own')
  expect(render(replaced.find('default', 'reset', 'de')).text).toContain('Passwort')
  expect(replaced.mails).toHaveLength(builtIn().mails.length)
})

test('built-in languages that ask for other claims than the mail in their place are left out', () => {
  const catalogue = over({
    'default/reset.en.md': mailSource('{{ plan }}', 'claims:\n  plan: { sample: x }\n'),
  })
  expect(catalogue.find('default', 'reset', 'de').locale).toBe('en')
  expect(catalogue.find('default', 'invite', 'de').locale).toBe('de')
})

test('an app takes the built-in mails only where it says so, and may switch them off', () => {
  const files = {
    'shop/app.json': '{ "name": "Shop", "default_kind": "order" }',
    'shop/order.en.md': mailSource('x'),
    'blog/app.json': '{ "name": "Blog", "mails_from": "default", "default_locale": "pt" }',
  }
  const catalogue = over(files)
  expect(() => catalogue.find('shop', 'reset', 'en')).toThrow(
    expect.objectContaining({ code: 'mail_unknown' }),
  )
  expect(catalogue.find('blog', undefined, 'xx').locale).toBe('en')
  const off = over({
    'default/app.json': '{ "mails_from": "none", "default_kind": "order" }',
    'default/order.en.md': mailSource('x'),
  })
  expect(off.mails.map(({ kind }) => kind)).toEqual(['order'])
})

test('the name of the app is the name of the sender, unless the sender has one', () => {
  const files = { ...plain, 'default/app.json': '{ "name": "Shop" }' }
  const from = (senderName: string) =>
    load(files, { senderName }).find('default', undefined, undefined).from.name
  expect(from('')).toBe('Shop')
  expect(from('The team')).toBe('The team')
})
