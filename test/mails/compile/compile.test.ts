import { expect, test } from 'vitest'
import { lintCatalogue } from '../../../src/mails/lint.ts'
import { formatProblem } from '../../../src/mails/problem.ts'
import {
  builtIn,
  builtInDir,
  load,
  mailOf,
  mailSource,
  render,
  shippedMails,
  variance,
  varianceDir,
  writeFolder,
} from '../catalogues.ts'
import { textOfHtml } from '../structure.ts'

const names =
  'claims:\n  name: { default: "", sample: Ada }\n  note: { default: "", sample: Note, max: 9000 }\n'

/** Both parts of a mail with this body, without what stands around the body. */
function parts(body: string, claims: Record<string, unknown> = {}, front = names) {
  const unused = ['name', 'note'].filter((name) => !body.includes(name)).map((name) => `{{ ${name} }}`)
  const mail = mailOf(`${body}\n\n---\n\nEnd ${unused.join(' ')}`, front)
  const message = render(mail, { user_email: 'ada@example.com', ...claims })
  return {
    text: message.text.split('\n---\n')[0]!.split('=====\n')[1]!.trimStart(),
    html: /<\/h1>\n([\s\S]*?)\n\n<\/td>/.exec(message.html)![1]!.replace(/ style="[^"]*"/g, ''),
  }
}

test('a paragraph is wrapped at 72 columns in the text part, whatever fills it', () => {
  const { text } = parts(
    'Hello {{ name }}, this is a paragraph that goes on for longer than one line of a mail has room.',
    { name: 'Ada '.repeat(40) },
  )
  const lines = text.trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(3)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(72)
  expect(Math.min(...lines.slice(0, -1).map((line) => line.length))).toBeGreaterThan(60)
})

test('the button of the HTML part is a label and the whole link on a line of its own in the text part', () => {
  const mail = mailOf(
    '[Go {{ name }}]({{ link }} "Not working? Open:")\n\nAfter.',
    'claims:\n  name: { sample: Ada }\n',
  )
  const link = `https://app.example.com/${'path/'.repeat(40)}?a=1&b=2&token=`
  const { text, html } = render(mail, {
    user_email: 'a@b.example',
    name: 'x',
    email_link_url: link,
    email_link_token: 'abc',
  })
  expect(text).toContain(`\nGo x:\n${link}abc\n\nAfter.\n`)
  const escaped = `${link}abc`.replaceAll('&', '&amp;')
  expect(html.split(`href="${escaped}"`)).toHaveLength(3)
  expect(html).toMatch(/Not working\? Open:<br>\n<a [^>]*>https:/)
  expect(html.indexOf('After.')).toBeLessThan(html.indexOf('Not working?'))
})

test('conditions hold words, blocks, items and rows', () => {
  const body = [
    'Hello{% if name %} {{ name }}{% else %} there{% endif %}{% unless note %}, nothing to say{% endunless %}.',
    '{% if note %}',
    'Read **this**:',
    '',
    '- first',
    '- {% if name %}for {{ name }}{% endif %}',
    '{% else %}',
    'Nothing.',
    '{% endif %}',
    '',
    '| | |',
    '|---|---|',
    '| Name | {% if name %}{{ name }}{% endif %} |',
    '| Note | {% if note %}{{ note }}{% endif %} |',
  ].join('\n')
  expect(parts(body, { name: 'Ada', note: 'x' })).toEqual({
    text: 'Hello Ada.\n\nRead this:\n\n- first\n- for Ada\n\nName: Ada\nNote: x\n',
    html: expect.stringMatching(
      /<p>Hello Ada\.<\/p>\n<p>Read <strong>this<\/strong>:<\/p>\n<ul><li>first<\/li>\n<li>for Ada<\/li>\n<\/ul>[\s\S]*Name[\s\S]*Note/,
    ),
  })
  expect(parts(body)).toEqual({
    text: 'Hello there, nothing to say.\n\nNothing.\n',
    html: expect.not.stringContaining('<tr>'),
  })
})

test('lists, quotes, code and links read well in both parts', () => {
  const body = [
    '1. one',
    '2. two, which is long enough to need a second line of the seventy-two columns there are',
    '   - inner',
    '',
    '> {{ note }}',
    '',
    'Read [the guide](https://example.org/guide) with `npm start`, or <https://example.org/x>.  ',
    'Second line.',
  ].join('\n')
  const { text, html } = parts(body, { note: 'said\nso' })
  expect(text).toBe(
    [
      '1. one',
      '2. two, which is long enough to need a second line of the seventy-two',
      '   columns there are',
      '   - inner',
      '',
      '> said',
      '> so',
      '',
      'Read the guide with npm start, or https://example.org/x.',
      'Second line.',
      'https://example.org/guide',
      '',
    ].join('\n'),
  )
  expect(html).toContain(
    '<a href="https://example.org/guide">the guide</a> with <code dir="ltr">npm start</code>',
  )
  expect(html).toContain('said<br>\nso')
})

test('a line break in a value is kept where the value stands alone, and a space in a sentence', () => {
  const body = 'Note: {{ note }} end\n\n{{ note }}'
  const { text, html } = parts(body, { note: 'one\r\ntwo\u2028three' })
  expect(text).toBe('Note: one two three end\n\none\ntwo\nthree\n')
  expect(html).toBe('<p>Note: one two three end</p>\n<p>one<br>\ntwo<br>\nthree</p>\n'.trimEnd())
})

test('an app may have its amounts written with two decimals and the code of the currency', () => {
  const front =
    'claims:\n  cents: { type: cents, default: 0, sample: 1 }\n  currency: { default: EUR, sample: EUR }\n'
  const plain = load({
    'default/app.json': '{ "money": "plain" }',
    'default/confirmation.en.md': mailSource('= {{ cents | money: currency }}', front),
  }).find('default', undefined, undefined)
  const shown = (claims: Record<string, unknown>) =>
    render(plain, { user_email: 'a@b.example', ...claims })
      .text.split('= ')[1]!
      .trim()
  expect([
    shown({ cents: 123456 }),
    shown({ cents: 5, currency: 'USD' }),
    shown({ cents: null, currency: '' }),
    shown({ cents: 0 }),
    shown({ cents: -1999 }),
    shown({ cents: 9007199254740991 }),
  ]).toEqual(['1234.56 EUR', '0.05 USD', '0.00 EUR', '0.00 EUR', '-19.99 EUR', '90071992547409.91 EUR'])
})

test('a mail in a language written from right to left says so, and keeps addresses and keys from left to right', () => {
  const mail = mailOf(
    'مرحبا {{ name }}\n\n[تأكيد]({{ link }})\n\n`{{ access_key }}`\n\n> {{ name }}\n\n- {{ name }}',
    'claims:\n  name: { sample: Ada }\n',
    'ar',
  )
  const message = render(mail)
  expect(message.html).toContain('<html lang="ar" dir="rtl">')
  expect(message.html).toMatch(/role="article"[^>]* lang="ar" dir="rtl"/)
  expect(message.html).toMatch(/<td class="k" dir="ltr"/)
  expect(message.html).toMatch(/<a class="s" dir="ltr" href=/)
  expect(message.html).toMatch(/border-right:3px/)
  expect(message.html).not.toMatch(/(?:border|padding)-left:/)
  expect(message.text).toContain('مرحبا \u2068Ada\u2069')
})

test('a name that runs against the line cannot move what stands around it', () => {
  const shown = (name: string) => parts('Hello {{ name }}, 12 + 30', { name }).text.trim()
  expect(shown('דנה')).toBe('Hello \u2068דנה\u2069, 12 + 30')
  expect(shown('Ada')).toBe('Hello Ada, 12 + 30')
  expect(shown('a\u202Eb\u2066c')).toBe('Hello abc, 12 + 30')
})

test('headers are one line and no longer than a header should be', () => {
  const front = 'to_name: "{{ name }}"\nclaims:\n  name: { sample: Ada, max: 5000 }\n'
  const mail = mailOf('Hello.', front)
  const to = (name: string) => render(mail, { user_email: 'a@b.example', name }).to.name
  expect(to('Ada\n\tLovelace')).toBe('Ada Lovelace')
  expect(to('x'.repeat(5000))).toHaveLength(100)
  expect(to('👩‍👩‍👧‍👦'.repeat(100))).toMatch(/^(👩‍👩‍👧‍👦)+…$/u)
})

test('a value that would make the mail too large is refused by the name of its claim', () => {
  const mail = mailOf(
    '{{ a }} {{ a }} {{ a }} {{ b }}',
    'claims:\n  a: { sample: x, max: 20000 }\n  b: { sample: x }\n',
  )
  expect(() => render(mail, { user_email: 'a@b.example', a: '&'.repeat(20_000), b: 'y' })).toThrow(
    expect.objectContaining({ code: 'claims_invalid', claim: 'a', reason: 'size' }),
  )
})

test.each(shippedMails())('$name is small, complete and readable as text', ({ mail }) => {
  const { subject, text, html } = render(mail)
  expect(Buffer.byteLength(html)).toBeLessThan(8 * 1024)
  expect(subject.length).toBeLessThanOrEqual(56)
  expect(html).toContain(`<title>${subject.replaceAll("'", '&#39;')}</title>`)
  expect(html).not.toMatch(/<(?:img|script|link|iframe|form|input)\b|url\(|@import|\ssrc=|\sbackground=/i)
  expect(html).not.toMatch(/\{\{|\}\}|\{%|undefined|\[object|NaN/)
  expect(html.match(/<h1/g)).toHaveLength(1)
  const words = (part: string) => part.replace(/[=>\s-]+/g, ' ')
  for (const word of new Set(words(text).split(' ')))
    expect(words(textOfHtml(html))).toContain(word.replace(/:$/, ''))
})

test('the catalogues that are shipped leave nothing to complain about', () => {
  expect([...lintCatalogue(builtIn(), builtInDir), ...lintCatalogue(variance(), varianceDir)]).toEqual([])
})

test('what a start would let pass is still advised on', () => {
  const files = {
    'default/confirmation.en.md': mailSource(`{{ name }}\n\n${'x'.repeat(80)}`, 'claims:\n  name: {}\n'),
    'default/confirmation.it.md': mailSource('{{ name }}', 'claims:\n  name: { sample: Ada }\n'),
    'default/reset.en.md': mailSource('word '.repeat(3000)),
  }
  expect(lintCatalogue(load(files), writeFolder(files)).map(formatProblem)).toEqual([
    'default/reset.en.md:1: `reset` is missing in `it`: write reset.it.md',
    'default/confirmation.en.md:5: `name` has no sample for previews and tests',
    expect.stringMatching(
      /^default\/confirmation\.en\.md:1: the text part has a line of 80 columns, 72 fit: xxx/,
    ),
    expect.stringMatching(
      /^default\/reset\.en\.md:1: the HTML part has \d+ bytes with the samples, more than 12288$/,
    ),
  ])
})
