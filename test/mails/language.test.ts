/** The language of the mails: what its tags, filters and types make of the claims. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { load, mailOf, mailSource, problemsOf, render } from './catalogues.ts'
import { textOfHtml } from './structure.ts'

const front = `claims:
  lines:    { type: list, default: [], max: 3, fields: { name: {}, quantity: { type: integer, default: 1 }, cents: { type: cents }, when: { type: date, default: "" }, gift: { type: boolean, default: false } } }
  names:    { type: list, default: [] }
  count:    { type: integer, default: "" }
  cents:    { type: cents, default: "" }
  currency: { default: EUR }
  day:      { type: date, default: "" }
  express:  { type: boolean, default: false }
  title:    { default: "" }
  status:   { default: new }
`
const all = [
  'count',
  'title',
  'status',
  'currency',
  'cents | money: currency',
  'day | date',
  'lines.size',
  'names.size',
]
/** Uses what the mail itself does not, so that nothing is declared in vain. */
const rest = `\n\n---\n\n${all.map((name) => `{{ ${name} }}`).join(' ')}{% if express %}x{% endif %}`

function both(body: string, claims: Record<string, unknown> = {}, locale = 'en', app: object = {}) {
  const mail = load({
    'default/app.json': JSON.stringify({ default_locale: locale, ...app }),
    [`default/confirmation.${locale}.md`]: mailSource(body + rest, front),
  }).find('default', undefined, undefined)
  const { text, html } = render(mail, { user_email: 'ada@example.com', ...claims })
  const card = /<\/h1>\n([\s\S]*?)\n\n<\/td>/.exec(html)![1]!
  return {
    text: text.split('\n---\n')[0]!.split('=====\n')[1]!.trim(),
    html: card.replace(/ (?:style|class|width|cellpadding|cellspacing|border)="[^"]*"/g, ''),
  }
}
const shown = (...given: Parameters<typeof both>) => both(...given).text.replaceAll(/[\u00a0\u202f]/g, ' ')

const tea = { name: 'Tea', quantity: 2, cents: 1290 }
const pot = { name: 'Pot', cents: 129_999, gift: true }

test('a loop repeats the rows of a table, aligned, and both parts show the same', () => {
  const body = [
    '| Item | Quantity | Price |',
    '|---|--:|--:|',
    '{% for line in lines %}',
    '| {{ line.name }} | {{ line.quantity | number }} | {{ line.cents | money: currency }} |',
    '{% endfor %}',
    '| Sum | | {{ cents | money: currency }} |',
    '',
    'After.',
  ].join('\n')
  const { text, html } = both(body, { lines: [tea, pot], cents: 132_579 })
  expect(text).toBe(
    [
      'Item  Quantity      Price',
      'Tea          2     €12.90',
      'Pot          1  €1,299.99',
      'Sum             €1,325.79',
      '',
      'After.',
    ].join('\n'),
  )
  expect(html).toContain('<th scope="col">Item</th><th scope="col">Quantity</th>')
  expect(html.match(/<tr>/g)).toHaveLength(4)
  expect(html).toContain('<td>Tea</td><td>2</td><td>€12.90</td></tr>')
  expect(shown(body, { cents: 0 })).toBe('Item  Quantity  Price\nSum             €0.00\n\nAfter.')
})

test('a table that is wider than the text part becomes names and values', () => {
  const body =
    '| Item | Note |\n|---|---|\n{% for line in lines %}\n| {{ line.name }} | {{ title }} |\n{% endfor %}'
  const title = 'a note that is so long that it leaves no room for a second column here'
  expect(shown(body, { lines: [tea, pot], title })).toBe(
    `Item: Tea\nNote: ${title}\n\nItem: Pot\nNote: ${title}`,
  )
})

test('a condition holds rows, and a table without rows is not there in the text part', () => {
  const body = [
    '| Item | Gift |',
    '|:--|:-:|',
    '{% for line in lines %}',
    '{% if line.gift %}',
    '| {{ line.name }} | yes |',
    '{% else %}',
    '| {{ line.name }} | |',
    '{% endif %}',
    '{% endfor %}',
  ].join('\n')
  expect(shown(body, { lines: [tea, pot] })).toBe('Item  Gift\nTea\nPot   yes')
  expect(shown(body)).toBe('')
})

test('a condition that began before a table ends behind it', () => {
  const body = '{% if express %}\n| | |\n|---|---|\n| By | express |\n{% endif %}\nAfter.'
  expect(shown(body, { express: true })).toBe('By: express\n\nAfter.')
  expect(shown(body)).toBe('After.')
})

test('a loop repeats items, paragraphs, facts and words', () => {
  const items =
    '- first\n\n{% for line in lines %}\n- {{ forloop.index }} of {{ forloop.length }}: {{ line.name }}\n{% endfor %}'
  const { text, html } = both(items, { lines: [tea, pot] })
  expect(text).toBe('- first\n\n- 1 of 2: Tea\n- 2 of 2: Pot')
  expect(html).toMatch(/<ul><li>1 of 2: Tea<\/li>\n<li>2 of 2: Pot<\/li>\n<\/ul>/)
  expect(shown('{% for line in lines %}\nOne {{ line.name }}.\n{% endfor %}', { lines: [tea, pot] })).toBe(
    'One Tea.\n\nOne Pot.',
  )
  const facts =
    '| | |\n|---|---|\n{% for line in lines %}\n| {{ line.name }} | {{ line.quantity }} |\n{% endfor %}'
  expect(shown(facts, { lines: [tea, pot] })).toBe('Tea: 2\nPot: 1')
  const words = 'For {% for name in names %}{{ name }}{% unless forloop.last %}, {% endunless %}{% endfor %}.'
  expect(shown(words, { names: ['Ada', 'Grace'] })).toBe('For Ada, Grace.')
})

test.each([
  [
    '{% if count > 3 %}many{% elsif count == 1 %}one{% elsif count %}some{% else %}none{% endif %}',
    { count: 5 },
    'many',
  ],
  [
    '{% if count > 3 %}many{% elsif count == 1 %}one{% elsif count %}some{% else %}none{% endif %}',
    { count: 1 },
    'one',
  ],
  [
    '{% if count > 3 %}many{% elsif count == 1 %}one{% elsif count %}some{% else %}none{% endif %}',
    { count: 0 },
    'some',
  ],
  [
    '{% if count > 3 %}many{% elsif count == 1 %}one{% elsif count %}some{% else %}none{% endif %}',
    {},
    'none',
  ],
  ['{% if express and count > 1 %}a{% else %}b{% endif %}', { express: true, count: 2 }, 'a'],
  ['{% if express and count > 1 %}a{% else %}b{% endif %}', { express: false, count: 2 }, 'b'],
  ['{% if express or title %}a{% else %}b{% endif %}', { title: 'x' }, 'a'],
  ['{% if express == false %}a{% else %}b{% endif %}', {}, 'a'],
  ['{% if status == "paid" %}a{% elsif status != "new" %}b{% else %}c{% endif %}', { status: 'paid' }, 'a'],
  ['{% if status == "paid" %}a{% elsif status != "new" %}b{% else %}c{% endif %}', {}, 'c'],
  ['{% if status == 7 %}a{% else %}b{% endif %}', { status: 7 }, 'a'],
  ['{% if title contains "tea" %}a{% else %}b{% endif %}', { title: 'a teapot' }, 'a'],
  ['{% if names contains "Ada" %}a{% else %}b{% endif %}', { names: ['Grace', 'Ada'] }, 'a'],
  ['{% if names.size >= 2 %}a{% else %}b{% endif %}', { names: ['Grace', 'Ada'] }, 'a'],
  ['{% if lines %}a{% else %}b{% endif %}', {}, 'b'],
  ['{% if day >= "2026-11-26" %}a{% else %}b{% endif %}', { day: '2026-11-26T00:00:00Z' }, 'a'],
  ['{% if day < "2026-11-26" %}a{% else %}b{% endif %}', {}, 'b'],
  ['{% if locale == "en" %}a{% else %}b{% endif %}', {}, 'a'],
  ['{% unless express %}a{% else %}b{% endunless %}', {}, 'a'],
  ['{{ title | default: "nothing" }}', {}, 'nothing'],
  ['{{ title | default: status }}', {}, 'new'],
  ['{{ title | default: "nothing" }}', { title: 'x' }, 'x'],
  ['{{ count | number }} {{ count | plural: one: "item", other: "items" }}', { count: 1 }, '1 item'],
  [
    '{{ count | number }} {{ count | plural: one: "item", other: "items" }}',
    { count: 12_345 },
    '12,345 items',
  ],
])('%s with %j is %s', (body, claims, words) => expect(shown(body, claims)).toBe(words))

test('plurals have as many forms as the language', () => {
  const body = '{{ count }} {{ count | plural: one: "plik", few: "pliki", many: "plików", other: "pliku" }}'
  expect([1, 3, 5, 22].map((count) => shown(body, { count }, 'pl'))).toEqual([
    '1 plik',
    '3 pliki',
    '5 plików',
    '22 pliki',
  ])
})

const moneyOf = (claims: object, locale: string) =>
  shown('{{ cents | money: currency }}', { ...claims }, locale)

test.each([
  ['en', 'EUR', 129_999, '€1,299.99'],
  ['it', 'EUR', 129_999, '1299,99 €'],
  ['de', 'EUR', 129_999, '1.299,99 €'],
  ['fr', 'EUR', 129_999, '1 299,99 €'],
  ['es', 'EUR', 1_299_999, '12.999,99 €'],
  ['de-CH', 'CHF', 129_999, "CHF 1'299.99"],
  ['en', 'JPY', 1299, '¥1,299'],
  ['de', 'JPY', 1299, '1.299 ¥'],
  ['en', 'KWD', 1299, 'KWD 1.299'],
  ['en', 'USD', -5, '-$0.05'],
])('money in %s: %s %i is %s', (locale, currency, cents, words) =>
  expect(moneyOf({ cents, currency }, locale)).toBe(words),
)

test.each(['euro', 'eur', '€', 'EURO'])(
  'a currency called %s is refused by the name of its claim',
  (currency) =>
    expect(() => moneyOf({ cents: 1, currency }, 'en')).toThrow(
      expect.objectContaining({ claim: 'currency', reason: 'type' }),
    ),
)

test('days and times are written in the language of the mail and the time zone of the app', () => {
  const body = '{{ day | date }} / {{ day | date: "long" }} / {{ day | date: "short" }} / {{ day | time }}'
  const rome = { time_zone: 'Europe/Rome' }
  const late = { day: '2026-11-26T23:30:00Z' }
  expect(shown(body, { day: '2026-11-26' })).toBe('26 Nov 2026 / 26 November 2026 / 26/11/2026 /')
  expect(shown(body, late)).toBe('26 Nov 2026 / 26 November 2026 / 26/11/2026 / 23:30 UTC')
  expect(shown(body, late, 'en', rome)).toBe('27 Nov 2026 / 27 November 2026 / 27/11/2026 / 00:30 CET')
  expect(shown(body, { day: '2026-11-26' }, 'it', rome)).toBe('26 nov 2026 / 26 novembre 2026 / 26/11/26 /')
  expect(shown(body, { day: '2026-11-26T23:30:00+09:00' }, 'de')).toMatch(/26\. November 2026 .* 14:30 UTC$/)
})

test('what a mail says about its expiry keeps to the time zone too', () => {
  const mail = load({
    'default/app.json': '{ "time_zone": "Europe/Berlin" }',
    'default/confirmation.en.md': mailSource('{% if expires_at %}Until {{ expires_at }}{% endif %}'),
  }).find('default', undefined, undefined)
  const { text } = render(mail, { user_email: 'a@b.example', email_link_exp: 1_790_000_000 })
  expect(text).toContain('Until 21 September 2026 at 16:13 CEST')
})

test.each<[Record<string, unknown>, string, string]>([
  [{ lines: 'x' }, 'lines', 'type'],
  [{ lines: { 0: tea } }, 'lines', 'type'],
  [{ lines: [tea, tea, tea, tea] }, 'lines', 'length'],
  [{ lines: [tea, 'x'] }, 'lines[1]', 'type'],
  [{ lines: [null] }, 'lines[0]', 'type'],
  [{ lines: [{ cents: 1 }] }, 'lines[0].name', 'missing'],
  [{ lines: [tea, { name: 'x', cents: '1' }] }, 'lines[1].cents', 'type'],
  [{ lines: [{ ...tea, name: 'a\u0000' }] }, 'lines[0].name', 'control'],
  [{ lines: [{ ...tea, when: '2026-13-01' }] }, 'lines[0].when', 'type'],
  [{ names: ['a', ['b']] }, 'names[1]', 'type'],
  [{ names: [''] }, 'names[0]', 'missing'],
  [{ names: ['x'.repeat(4001)] }, 'names[0]', 'length'],
  [{ express: 'true' }, 'express', 'type'],
  [{ express: 1 }, 'express', 'type'],
  [{ day: 1_790_000_000 }, 'day', 'type'],
  [{ day: 'tomorrow' }, 'day', 'type'],
  [{ day: '2026-02-30' }, 'day', 'type'],
  [{ day: '26.11.2026' }, 'day', 'type'],
])('%j is refused: %s, %s', (claims, claim, reason) =>
  expect(() =>
    shown(
      'x{% for line in lines %}{{ line.name }}{% endfor %}{% for name in names %}{{ name }}{% endfor %}',
      claims,
    ),
  ).toThrow(expect.objectContaining({ code: 'claims_invalid', claim, reason })),
)

test('all that is wrong with the claims of a mail is said at once', () => {
  const mail = mailOf('{{ a }} {{ b }} [Go]({{ link }})', 'claims:\n  a: {}\n  b: { type: integer }\n')
  const faults = expect.arrayContaining([
    expect.objectContaining({ claim: 'email_link_url', reason: 'missing' }),
    expect.objectContaining({ claim: 'a', reason: 'missing' }),
    expect.objectContaining({ claim: 'b', reason: 'type' }),
  ])
  expect(() => render(mail, { user_email: 'a@b.example', b: 'x' })).toThrow(
    expect.objectContaining({ faults }),
  )
})

test('a link is built from a fixed origin and values, which cannot leave their place', () => {
  const body =
    '[See it](https://app.example.com/orders/{{ title }}?tab={{ status }}#x)\n\n[Help](https://app.example.com/help)'
  const { text, html } = both(body, { title: 'A/1 ?&#"<é', status: 'a&b=c' })
  const link = 'https://app.example.com/orders/A%2F1%20%3F%26%23%22%3C%C3%A9?tab=a%26b%3Dc#x'
  expect(text).toContain(`See it:\n${link}\n`)
  expect(html.split(`href="${link}"`)).toHaveLength(3)
  expect(html).toContain('href="https://app.example.com/help"')
  for (const title of ['.', '..'])
    expect(() => both(body, { title })).toThrow(expect.objectContaining({ claim: 'title', reason: 'link' }))
})

test('mails of an app share partials, in their language or in every one', () => {
  const files = {
    'default/_bye.md': 'Bye,\n\n{{ sender_name }}',
    'default/_bye.it.md': 'Ciao,\n\n{{ sender_name }}',
    'default/confirmation.en.md': mailSource('Hello.\n\n{% render "bye" %}\n\nAfter.'),
    'default/confirmation.it.md': mailSource('Salve.\n\n{% render "bye" %}'),
  }
  const text = (locale: string) => render(load(files).find('default', undefined, locale)).text
  expect(text('en')).toContain('Hello.\n\nBye,\n\nThe CatLoader team\n\nAfter.')
  expect(text('it')).toContain('Salve.\n\nCiao,\n\nThe CatLoader team')
  const broken = { ...files, 'default/_bye.md': 'Bye\n\n{{ nosuch }}' }
  expect(problemsOf(broken)).toEqual([
    expect.stringMatching(/^default\/_bye\.md:3: `nosuch` is not declared/),
  ])
  expect(problemsOf({ 'default/confirmation.en.md': mailSource('{% render "bye" %}') })).toEqual([
    'default/confirmation.en.md:7: there is no partial `bye`: write _bye.md beside this mail, or with its language',
  ])
})

/** The order mail of docs/mails.md, as a reader would copy it. */
function orderMail(): string {
  const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/mails.md'), 'utf8')
  const mails = [...docs.matchAll(/```markdown\n([\s\S]*?)```/g)].map(([, source = '']) => source)
  return mails.find((source) => source.includes('subject: Your order'))!
}

test.each([
  ['en', '26 November 2026', '€1,299.99'],
  ['it', '26 novembre 2026', '1299,99 €'],
  ['de', '26. November 2026', '1.299,99 €'],
  ['fr', '26 novembre 2026', '1 299,99 €'],
  ['es', '26 de noviembre de 2026', '1299,99 €'],
])('the order mail of the documentation works, in %s', (locale, day, price) => {
  const catalogue = load({
    'default/app.json': JSON.stringify({ default_locale: locale, default_kind: 'order', name: 'Tea & Co' }),
    'default/_signature.md': '{{ app.name }}',
    [`default/order.${locale}.md`]: orderMail(),
  })
  const mail = catalogue.find('default', 'order', locale)
  const { subject, text, html } = render(mail)
  const plain = (part: string) => part.replaceAll(/[\u00a0\u202f]/g, ' ')
  expect(subject).toBe('Your order A-1042')
  expect(plain(text)).toMatch(new RegExp(`^Pot +1 +${price.replaceAll('.', '\\.')}$`, 'm'))
  expect(plain(text)).toContain(`Sent on ${day}, by express.`)
  expect(plain(html)).toContain(`>${price}</td>`)
  expect(text).toContain('It is insured.')
  expect(text).toContain('- Ring twice')
  expect(text).toContain('\nhttps://shop.example.com/orders/A-1042\n')
  expect(text).toContain('Tea & Co')
  const none = render(mail, {
    user_email: 'a@b.example',
    order_id: 7,
    lines: [],
    total: 0,
    shipped: '2026-11-26',
  })
  expect(none.text).not.toMatch(/insured|notes|express|Tea  |Pot/)
})

const hostile = [
  '<b>x</b>',
  '**x** | y',
  '{{ status }}',
  '| a | b |',
  '"><script>',
  'https://evil.example',
  '\u202ex',
  '\uE000\uE001',
  "$&$'",
  '- x\n- y',
  '&amp;',
]

test.each(hostile)('a list that says %j keeps its structure', (value) => {
  const body = [
    '| Item | |',
    '|---|--:|',
    '{% for line in lines %}',
    '| {{ line.name }} | {{ line.quantity }} |',
    '{% endfor %}',
    '',
    '{% for name in names %}',
    '- {{ name }}',
    '{% endfor %}',
  ].join('\n')
  const htmlOf = (text: string) => both(body, { lines: [{ ...tea, name: text }], names: [text] }).html
  const structure = (html: string) => html.replace(/<br>\n?/g, '').replace(/>[^<]*/g, '>')
  expect(structure(htmlOf(value))).toBe(structure(htmlOf('x')))
  const plain = (text: string) => text.replace(/[\u200c\u202e\u2068\u2069]/g, '').replace(/\s+/g, ' ')
  expect(plain(textOfHtml(htmlOf(value)))).toContain(plain(value))
})
