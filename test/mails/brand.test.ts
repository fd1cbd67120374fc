/** The logo, the company and the footer of an app. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { browserTest } from '../support/browser.ts'
import { builtInDir, load, mailSource, problemsOf, type ReadMessage, render } from './catalogues.ts'

const logo = { url: 'https://app.example.com/logo.png?v=1&s=2', width: 120 }
const dark = 'https://app.example.com/logo-dark.png'
const body = 'Hello {{ user_email }}.'

function mailOfApp(settings: object, source = mailSource(body), more: Record<string, string> = {}) {
  const files = {
    'default/app.json': JSON.stringify({ name: 'Roses & Co', ...settings }),
    'default/confirmation.en.md': source,
    ...more,
  }
  return render(load(files).find('default', undefined, undefined))
}

const imagesOf = ({ html }: ReadMessage) => html.match(/<img [^>]*>/g) ?? []

describe('the logo', () => {
  test('stands in the place of the name, which is what a reader without images sees', () => {
    const plain = mailOfApp({})
    const mail = mailOfApp({ logo })
    const image =
      '<img src="https://app.example.com/logo.png?v=1&amp;s=2" width="120" alt="Roses &amp; Co" style="display:block;width:120px;max-width:100%;height:auto;border:0">'
    expect(plain.html).toContain('font-weight:bold">Roses &amp; Co</p>')
    expect(mail.html).toBe(
      plain.html.replace('font-weight:bold">Roses &amp; Co</p>', `font-weight:bold">${image}</p>`),
    )
    expect(mail.text).toBe(plain.text)
  })

  test('says what its author wants it to say', () => {
    const [image] = imagesOf(mailOfApp({ logo: { ...logo, alt: '"Roses" <1>' } }))
    expect(image).toContain(' alt="&quot;Roses&quot; &lt;1&gt;" ')
  })

  test('has another one for the dark card, which Outlook does not read', () => {
    const mail = mailOfApp({ logo: { ...logo, dark } })
    const [light = '', other = ''] = imagesOf(mail)
    expect(light).toMatch(/^<img class="l" src="https:\/\/app\.example\.com\/logo\.png[^>]*display:block;/)
    expect(other).toMatch(
      /^<img class="d" src="https:\/\/app\.example\.com\/logo-dark\.png[^>]*display:none;/,
    )
    expect(mail.html).toContain(`${light}<!--[if !mso]><!-->${other}<!--<![endif]--></p>`)
    expect(mail.html).toContain('.l{display:none!important}\n.d{display:block!important}\n}\n</style>')
  })

  for (const scheme of ['light', 'dark'] as const)
    browserTest(`is one image on a ${scheme} card`, async ({ browser }) => {
      const page = await browser.newPage({ colorScheme: scheme })
      await page.route('**/*', (route) => route.abort())
      await page.setContent(mailOfApp({ logo: { ...logo, dark } }).html)
      const shown = await page
        .locator('img:visible')
        .evaluateAll((all) => all.map((each) => each.getAttribute('src')))
      expect(shown).toEqual([scheme === 'dark' ? dark : logo.url])
      expect(await page.locator('img:visible').getAttribute('alt')).toBe('Roses & Co')
      await page.close()
    })

  test('needs its place in the layout of an app', () => {
    const layout = readFileSync(`${builtInDir}/layout.html`, 'utf8')
    const problems = (html: string) =>
      problemsOf({
        'default/app.json': `{\n  "logo": ${JSON.stringify({ ...logo, dark })}\n}`,
        'default/confirmation.en.md': mailSource(body),
        'default/layout.html': html,
      })
    expect(problems(layout)).toEqual([])
    expect(problems(layout.replace('{{ logo }}', '{{ app.name }}'))).toEqual([
      'default/app.json:2: `logo`: default/layout.html has no place for it: write {{ logo }} where the name of the app stands',
    ])
    expect(problems(layout.replace('{{ logo.dark }}', ''))).toEqual([
      'default/app.json:2: `logo`: default/layout.html has no style for the dark one: write {{ logo.dark }} in front of </style>',
    ])
  })
})

describe('company and footer', () => {
  const settings = {
    footer: 'Questions? Write to help@roses.example.\nWe <never> ask for your password.',
    company: { name: 'Roses & Co', address: '1 Rose Street\r\n12345 Rosetown' },
  }
  const inHtml = [
    '<p style="margin:0 0 8px">Questions? Write to help@roses.example.<br>We &lt;never&gt; ask for your password.</p>\n',
    '<p style="margin:0 0 0px">Roses &amp; Co<br>1 Rose Street<br>12345 Rosetown</p>\n',
  ].join('')
  const inText = [
    'Questions? Write to help@roses.example.',
    'We <never> ask for your password.',
    '',
    'Roses & Co',
    '1 Rose Street',
    '12345 Rosetown',
    '',
  ].join('\n')

  test('stand under the card and at the end of the text', () => {
    const [plain, mail] = [mailOfApp({}), mailOfApp(settings)]
    expect(mail.text).toBe(`${plain.text}\n---\n\n${inText}`)
    expect(mail.html).toContain(`">\n${inHtml}\n</td></tr>`)
    expect(mail.html.replace(inHtml, '')).toBe(plain.html)
  })

  test('follow the small print of the mail', () => {
    const source = mailSource(`${body}\n\n---\n\nSmall print.`)
    const [plain, mail] = [mailOfApp({}, source), mailOfApp(settings, source)]
    expect(mail.text).toBe(`${plain.text}\n${inText}`)
    expect(mail.html).toContain(`<p style="margin:0 0 8px">Small print.</p>\n${inHtml}`)
  })

  test('each may stand alone', () => {
    expect(mailOfApp({ footer: 'Bye.' }).text).toMatch(/\n\n---\n\nBye\.\n$/)
    expect(mailOfApp({ company: { name: 'Roses' } }).text).toMatch(/\n\n---\n\nRoses\n$/)
  })

  test('are those of the app that borrows a mail', () => {
    const files = {
      'default/app.json': JSON.stringify(settings),
      'default/confirmation.en.md': mailSource(body),
      'cat/app.json': JSON.stringify({ mails_from: 'default', footer: 'Meow.' }),
    }
    const mail = render(load(files).find('cat', undefined, undefined))
    expect(mail.text).toMatch(/---\n\nMeow\.\n$/)
    expect(mail.html).not.toContain('Rose Street')
  })
})

const plainUrl = 'must be a plain https address, such as https://app.example.com/logo.png'
const width = 'must be the width in pixels, from 16 to 500: the card is no wider'
const fixed = 'is fixed text: {{ … }} and {% … %} are not read in it'

test.each<[object, string]>([
  [{ logo: 'https://a.example/l.png' }, '`logo`: must be an object with url and width'],
  [
    { logo: { width: 10 + 10 } },
    '`logo.url`: must be the address of an image, such as https://app.example.com/logo.png',
  ],
  ...[
    'http://a.example/l.png',
    'data:image/png;base64,AAAA',
    'javascript:alert(1)',
    '//a.example/l.png',
    'https://user:pass@a.example/l.png',
    'https://a.example/"onload=x',
    'https://a.example/ l.png',
    'https://a.example\\l.png',
    'https://a.example/{{ user_email }}.png',
    'https://',
  ].map((url): [object, string] => [{ logo: { url, width: 20 } }, `\`logo.url\`: ${plainUrl}`]),
  [
    { logo: { ...logo, url: `https://a.example/${'l'.repeat(500)}` } },
    '`logo.url`: is longer than 500 characters',
  ],
  [
    { logo: { ...logo, url: 'https://a.example/l.SVG?v=1' } },
    '`logo.url`: must be a PNG or JPEG: most mail programs show no SVG',
  ],
  [{ logo: { ...logo, dark: 'http://a.example/l.png' } }, `\`logo.dark\`: ${plainUrl}`],
  [{ logo: { url: logo.url } }, `\`logo.width\`: ${width}`],
  ...[15, 501, 20.5, '120', null].map((value): [object, string] => [
    { logo: { ...logo, width: value } },
    `\`logo.width\`: ${width}`,
  ]),
  [{ logo: { ...logo, alt: '' } }, '`logo.alt`: is empty'],
  [{ logo: { ...logo, alt: 'a\nb' } }, '`logo.alt`: has more lines than 1'],
  [{ logo: { ...logo, height: 20 } }, '`logo.height`: is not a setting known here'],
  [{ company: 'Roses' }, '`company`: must be an object with name and address'],
  [{ company: { address: 'x' } }, '`company.name`: must be a text'],
  [{ company: { name: 'Roses', address: 'a\u0007b' } }, '`company.address`: holds a control character'],
  [
    { company: { name: 'Roses', address: 'a'.repeat(301) } },
    '`company.address`: is longer than 300 characters',
  ],
  [{ footer: ['a', 'b'] }, '`footer`: must be a text'],
  [{ footer: '  \n ' }, '`footer`: is empty'],
  [{ footer: 'a\nb\nc\nd\ne\nf' }, '`footer`: has more lines than 5'],
  [{ footer: 'a'.repeat(501) }, '`footer`: is longer than 500 characters'],
  [{ footer: 'To {{ user_email }}' }, `\`footer\`: ${fixed}`],
])('%j stops the start', (settings, says) => {
  const source = JSON.stringify(settings, null, 1)
  const names = (/`([\w.]+)`/.exec(says)?.[1] ?? '').split('.')
  const lines = source.split('\n')
  const at = names.map((name) => lines.findIndex((line) => line.includes(`"${name}":`)) + 1)
  const files = { 'default/app.json': source, 'default/confirmation.en.md': mailSource(body) }
  expect(problemsOf(files)).toContain(`default/app.json:${at.findLast((line) => line > 0)}: ${says}`)
})
