import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Claims } from '../../src/contract.ts'
import { MailerError } from '../../src/errors.ts'
import type { MailTemplate } from '../../src/mails/catalogue.ts'
import { renderMail } from '../../src/mails/render.ts'
import { sampleClaims } from '../../src/mails/sample.ts'
import { cleanText } from '../../src/mails/values.ts'
import { mimeBuilder } from '../../src/mime/mime.ts'
import { browserTest } from '../support/browser.ts'
import { load, mailOf, render, shippedMails, today } from './catalogues.ts'
import { structureOf, textOfHtml } from './structure.ts'

const corpus = new URL('../../../shared/corpora/blns.json', import.meta.url)
const naughty = existsSync(corpus) ? (JSON.parse(readFileSync(corpus, 'utf8')) as string[]) : []
if (naughty.length === 0)
  console.warn('The list of naughty strings is not beside this repository: only our own are tried')

const hostile = [
  '**bold** _em_ `code` # title',
  '[click](https://evil.example)',
  '![x](https://evil.example/x.png)',
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><a href="https://evil.example">x</a>',
  "' style='position:fixed' onclick='alert(1)",
  '</td></tr></table></body></html>',
  '<!-- comment --> <![endif]-->',
  '<style>*{display:none}</style>',
  '&lt;b&gt; &amp; &#60;b&#62; &nbsp;',
  '{{ 7*7 }} {{ access_key }} {% if link %}x{% endif %}',
  "$& $` $' $1 $$",
  '\uE000\uE001\uE002',
  '| a | b |\n|---|---|\n| c | d |',
  '---\n# heading\n- item\n> quote\n    code',
  'line one\nline two\r\nline three\u2028line four',
  'Subject: x\r\nBcc: victim@example.com',
  'a\tb',
  '__proto__',
  '${7*7} #{7*7} <%= 7*7 %>',
  '\u202Egnp.exe',
  '\u2066isolated \u2067mixed \u2069\u202Alre',
  'https://evil.example/login',
  'HTTPS:\\\\evil.example',
  'www.evil.example',
  'evil.example',
  'visit evil.co.uk/now and xn--80ak6aa92e.com',
  'a@evil.example',
  '\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd',
  'x'.repeat(3000),
]
const mails = shippedMails()

/** The names of the claims that carry free text of the caller's users. */
function freeTexts(mail: MailTemplate): string[] {
  return mail.contract
    .filter(({ type, name }) => type === 'text' && !/^(user_email|user_aut_key|email_link)/.test(name))
    .map(({ name }) => name)
}

function withText(mail: MailTemplate, value: string): Claims {
  return { ...sampleClaims(mail, today), ...Object.fromEntries(freeTexts(mail).map((name) => [name, value])) }
}

/** The same number of lines, harmless; `undefined` where nothing is left, which means absent. */
function harmless(value: string): string | undefined {
  return cleanText(value)?.replace(/[^\n]+/g, 'x')
}

function renderOrRefuse(mail: MailTemplate, claims: Claims) {
  try {
    return render(mail, claims)
  } catch (error) {
    if (error instanceof MailerError && error.code === 'claims_invalid') return undefined
    throw error
  }
}

const inHeader = /[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e]/
const inText = /[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]/

function isRefusedRightly(mail: MailTemplate, value: string): boolean {
  const rules = freeTexts(mail).map((name) => mail.contract.find((rule) => rule.name === name)!)
  const isTooLong = rules.some(({ max }) => value.length > max)
  // blank means absent, and a claim without a default must be there
  const isMissing = cleanText(value) === '' && rules.some((rule) => rule.default === undefined)
  return isTooLong || isMissing || cleanText(value) === undefined
}

test.each(mails)('$name keeps its structure whatever its claims say', ({ mail }) => {
  const structures = new Map<string, string>()
  const structureWith = (model: string) => {
    const structure = structures.get(model) ?? structureOf(render(mail, withText(mail, model)).html)
    structures.set(model, structure)
    return structure
  }
  const isHarmless = (value: string) => {
    const message = renderOrRefuse(mail, withText(mail, value))
    if (message === undefined) return isRefusedRightly(mail, value)
    const headers = message.subject + message.to.name
    return (
      structureOf(message.html) === structureWith(harmless(value)!) &&
      !inHeader.test(headers) &&
      !inText.test(message.text) &&
      message.to.address === 'ada@example.com'
    )
  }
  expect([...hostile, ...naughty].filter((value) => !isHarmless(value))).toEqual([])
})

test('a value arrives as the very characters it was', () => {
  const mail = mailOf('Hello {{ name }}!', 'claims:\n  name: { sample: Ada }\n')
  for (const value of hostile.slice(0, 13)) {
    const message = render(mail, { user_email: 'ada@example.com', name: value })
    const plain = (text: string) => text.replaceAll('\u200c', '').replace(/\s+/g, ' ')
    expect(plain(textOfHtml(message.html))).toContain(`Hello ${plain(value)}!`)
    expect(plain(message.text)).toContain(`Hello ${plain(value)}!`)
  }
})

/** What mail clients look for when they make links of their own, and some more. */
const linkLike =
  /\b[a-z][a-z0-9+.-]*:[/\\]{1,2}\S|\bwww\.\S|[\p{L}\p{N}-]+[.\u3002\uff0e\uff61](?:com|net|org|uk|co|io|example|me|[\p{L}]{2,})\b/iu

test.each([
  'https://evil.example/login?a=b',
  'http://127.0.0.1/x',
  'HTTP:\\\\evil.example',
  'ftp://evil.example',
  'www.evil.example',
  'evil.example',
  'Go to evil.co.uk/now.',
  'a@evil.example',
  'пример.рф',
  'evil\u3002example',
  'xn--80ak6aa92e.com',
])('%s in a name is no link for anybody, and looks the same', (value) => {
  const mail = mailOf('Hello {{ name }}!', 'claims:\n  name: { sample: Ada }\n')
  const message = render(mail, { user_email: 'ada@example.com', name: value })
  const shown = [message.text, textOfHtml(message.html)].map((part) => /Hello (.*)!/s.exec(part)![1]!)
  for (const text of shown) {
    expect(text).not.toMatch(linkLike)
    expect(text.replaceAll('\u200c', '').replace(/\s+/g, ' ')).toBe(value)
  }
})

test.each(['Ada', 'Dr. Ada', 'Ada B. Lovelace', '3.50', 'v1.2.3', 'at 12:30', 'Wait...what?', 'a/b'])(
  '%s needs no defusing and gets none beyond what cannot be seen',
  (value) => {
    const mail = mailOf('Hello {{ name }}!', 'claims:\n  name: { sample: Ada }\n')
    expect(
      render(mail, { user_email: 'ada@example.com', name: value }).text.replaceAll('\u200c', ''),
    ).toContain(`Hello ${value}!`)
  },
)

test('an address that is asked for as one is shown as it is, anything else under its name is not', () => {
  const mail = mailOf('Payer: {{ payer_email }}!', 'claims:\n  payer_email: { sample: a@b.example }\n')
  const shown = (payer_email: string) => render(mail, { user_email: 'ada@example.com', payer_email }).text
  expect(shown('payer@example.org')).toContain('Payer: payer@example.org!')
  expect(shown('www.evil.example')).not.toContain('www.evil')
})

browserTest(
  'a browser builds the same document from hostile values as from harmless ones, and runs nothing',
  async ({ browser }) => {
    const page = await browser.newPage()
    const requests: string[] = []
    await page.route('**', (route) => {
      requests.push(route.request().url())
      return route.abort()
    })
    const alerts: string[] = []
    page.on('dialog', (dialog) => {
      alerts.push(dialog.message())
      void dialog.dismiss()
    })
    for (const { name, mail } of mails.filter(({ mail: { locale } }) => locale === 'en')) {
      const pairs = hostile.flatMap((value) => {
        const message = renderOrRefuse(mail, withText(mail, value))
        return message
          ? [[message.html, render(mail, withText(mail, harmless(value) ?? '')).html] as const]
          : []
      })
      const different = await page.evaluate(differentDocuments, pairs)
      expect({ name, different }).toEqual({ name, different: [] })
      await page.setContent(pairs[3]?.[0] ?? '')
    }
    expect([...requests, ...alerts]).toEqual([])
    await page.close()
  },
)

/** Runs in the page. Elements with all their attributes but addresses, which hold no free text. */
function differentDocuments(pairs: readonly (readonly [string, string])[]): number[] {
  interface Dom {
    querySelectorAll(
      selector: string,
    ): Iterable<{ tagName: string; attributes: Iterable<{ name: string; value: string }> }>
  }
  const parser = new (
    globalThis as unknown as { DOMParser: new () => { parseFromString(html: string, type: string): Dom } }
  ).DOMParser()
  const outline = (html: string) =>
    [...parser.parseFromString(html, 'text/html').querySelectorAll('*')]
      .filter((element) => element.tagName !== 'BR')
      .map((element) =>
        [
          element.tagName,
          ...[...element.attributes]
            .filter(({ name }) => name !== 'aria-label')
            .map(({ name, value }) => `${name}=${value}`),
        ].join(' '),
      )
      .join('\n')
  return pairs.flatMap(([hostileHtml, harmlessHtml], index) =>
    outline(hostileHtml) === outline(harmlessHtml) ? [] : [index],
  )
}

test('an address that mail clients would read as a link is not shown as one', () => {
  const mail = mailOf(
    'To {{ user_email }}, by {{ new_email }}.',
    'claims:\n  new_email: { sample: a@b.example }\n',
  )
  const shown = (address: string) => {
    const { text, html, to } = render(mail, { user_email: address, new_email: address })
    expect(to.address).toBe(address)
    return [text, textOfHtml(html)].map((part) =>
      part.replace(/\s+/g, ' ').includes(`To ${address}, by ${address}.`),
    )
  }
  for (const plain of ['ada@example.com', 'ada.lovelace+tag_1@mail.example.co.uk', 'a-b@xn--mnchen-3ya.de'])
    expect(shown(plain), plain).toEqual([true, true])
  for (const link of [
    'www.evil.com/login?x=@victim.example',
    'evil.com/login@victim.example',
    'WWW.evil.com@victim.example',
    'evil.com?x@victim.example',
    'evil.com#@victim.example',
    'a=evil.com/x@victim.example',
  ])
    expect(shown(link), link).toEqual([false, false])
})

/** Long runs of one character, in the places where a value is cut into lines, folded, wrapped or made harmless. */
const runs = [
  ' ',
  '\u00a0',
  '\t',
  '\n',
  '\r\n',
  '\u2028',
  '\u3000',
  '\u200b',
  ' \n',
  '\n ',
  '.',
  'a.',
  ':',
  '://',
  ', ',
]
const places = [
  (run: string) => `x${run}z`,
  (run: string) => `x\ny${run}z`,
  (run: string) => `x${run}\nz`,
  (run: string) => `${run.slice(0, run.length / 2)}x\n${run.slice(run.length / 2 + 3)}z`,
]

test('a long run of anything costs no more than its length', async () => {
  const mail = mailOf('Hi, {{ note }} you.', 'claims:\n  note: { max: 20000, sample: x }\n')
  const subject = load({
    'default/n.en.md':
      '---\nsubject: A {{ note }}\npreheader: "{{ note }}"\nclaims:\n  note: { max: 20000, sample: x }\n---\n\n# T\n\nText\n',
    'default/app.json': '{"default_kind":"n"}',
  }).find('default', undefined, undefined)
  const buildMime = await mimeBuilder()
  const cpuMs = (template: MailTemplate, note: string) => {
    const before = process.cpuUsage()
    try {
      buildMime(
        renderMail(
          template,
          { user_email: 'ada@example.com', note },
          { id: 'mail-1', date: new Date(today) },
        ),
      )
    } catch (error) {
      if (!(error instanceof MailerError)) throw error
    }
    return process.cpuUsage(before).user / 1000
  }
  const slow = runs.flatMap((run) =>
    places.flatMap((place) => {
      const note = place(run.repeat(20_000 / run.length).slice(0, 19_990))
      // a quadratic pattern takes 300 ms and more; the best of three, because other work may stop this one
      const best = [mail, subject].map((template) => Math.min(...[1, 2, 3].map(() => cpuMs(template, note))))
      return Math.max(...best) > 50 ? [{ run, best }] : []
    }),
  )
  expect(slow).toEqual([])
})
