import { existsSync, readFileSync } from 'node:fs'
import MailComposer from 'nodemailer/lib/mail-composer'
import PostalMime from 'postal-mime'
import { beforeAll, describe, expect, it } from 'vitest'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import { joinBody, type Message } from '../../src/message.ts'
import { sampleMessage } from '../support/messages.ts'

let build: BuildMime
beforeAll(async () => {
  build = await mimeBuilder()
})

const parse = (bytes: Buffer) => PostalMime.parse(bytes)
const corpus = new URL('../../../shared/corpora/blns.json', import.meta.url)
const naughty: string[] = existsSync(corpus) ? (JSON.parse(readFileSync(corpus, 'utf8')) as string[]) : []

const hostile = [
  'Ada "the first" Lovelace',
  'back\\slash"quote',
  'a <evil@evil.example>',
  'a, b; group: c;',
  'line\r\nBcc: eve@evil.example',
  'line\nbreak\rhere',
  '=?UTF-8?Q?=0D=0ABcc:_eve@evil.example?=',
  'żółć 🎉 नमस्ते',
  'é'.repeat(150),
  'x'.repeat(1_500),
  'word '.repeat(300).trim(),
  '.',
  '--=_-=_mail-Part_1--',
  '\u202egnp.exe',
  ...naughty,
]

describe('every line of a mail', () => {
  it.each(hostile)('stays short, ASCII and CRLF with %j in every field', (value) => {
    const source = build(
      sampleMessage({
        subject: value,
        to: { name: value, address: 'ada@example.com' },
        text: value,
        html: [value],
      }),
    ).toString('latin1')
    expect(source).toMatch(/^[\t\r\n\x20-\x7e]*$/)
    expect(source.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    for (const line of source.split('\r\n')) expect(line.length).toBeLessThanOrEqual(300)
    // what SMTP would have to double
    expect(source).not.toMatch(/^\./m)
  })
})

describe('a mail read back', () => {
  it('has the headers that receivers ask for, each once', async () => {
    const { headers } = await parse(build(sampleMessage()))
    const names = headers.map(({ key }) => key)
    expect(names.toSorted()).toEqual(
      [
        'auto-submitted',
        'content-language',
        'content-type',
        'date',
        'from',
        'message-id',
        'mime-version',
        'subject',
        'to',
        'x-auto-response-suppress',
        'x-entity-ref-id',
      ].toSorted(),
    )
    const value = (name: string) => headers.find(({ key }) => key === name)?.value
    expect(value('date')).toBe('Fri, 02 Jan 2026 03:04:05 +0000')
    expect(value('message-id')).toMatch(/^<mail-\d+@mail\.example\.com>$/)
    expect(value('auto-submitted')).toBe('auto-generated')
  })

  it('carries Reply-To when the app has one', async () => {
    const { replyTo } = await parse(build(sampleMessage({ replyTo: 'help@example.com' })))
    expect(replyTo).toEqual([{ name: '', address: 'help@example.com' }])
  })

  it.each(hostile)('says the same as one composed by nodemailer: %j', async (value) => {
    const message = sampleMessage({
      text: `${value}\n`,
      html: [`<p>${value}</p>\n`],
      to: { name: value, address: 'ada@example.com' },
    })
    const ours = await parse(build(message))
    const theirs = await parse(await compose(message))
    expect(lines(ours.text)).toBe(lines(theirs.text))
    expect(lines(ours.html)).toBe(lines(theirs.html))
    expect(ours.to).toHaveLength(1)
    expect(ours.to?.[0]?.address).toBe('ada@example.com')
    expect(ours.from).toEqual(theirs.from)
  })

  it.each(hostile)('reads the same in pieces as in one: %j', async (value) => {
    const literals = ['.', 'x'.repeat(75), ' ', '\n', '.\n', `${'é'.repeat(30)} `, '='].map((literal) => ({
      literal,
    }))
    const pieces = literals.flatMap((literal) => [literal, value, '.', value])
    const whole = await parse(build(sampleMessage({ html: [joinBody(pieces)] })))
    // the second time the literals are known
    for (let time = 0; time < 2; time++) {
      const bytes = build(sampleMessage({ html: pieces }), undefined, '.\r\n')
      expect(lines((await parse(bytes)).html)).toBe(lines(whole.html))
      const written = bytes.toString('latin1').split('\r\n').slice(0, -2)
      for (const line of written) expect(line).toMatch(/^(?!\.)[\x20-\x7e]{0,998}(?<! )$/)
      const body = written.slice(written.findLastIndex((line) => line.startsWith('Content-Type: text/html')))
      for (const line of body) expect(line.length).toBeLessThanOrEqual(76)
    }
  })

  it.each(hostile)('has exactly the subject it was given, on one line: %j', async (value) => {
    const { subject = '' } = await parse(build(sampleMessage({ subject: value })))
    const expected = Buffer.from(value)
      .toString()
      .replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, ' ')
      .trim()
    expect(subject.replace(/\s+/g, ' ')).toBe(expected.replace(/\s+/g, ' '))
  })

  it('is whole however large its first mail is', async () => {
    const fresh = await mimeBuilder()
    const large = '='.repeat(100_000)
    const bytes = fresh(sampleMessage({ text: `${large}\n`, html: [{ literal: large }, large] }))
    const { text, html } = await parse(bytes)
    expect(lines(text)).toBe(large)
    expect(lines(html)).toBe(large + large)
  })

  it('is in base64 only where quoted-printable would not be readable', () => {
    const source = build(
      sampleMessage({
        text: 'Größe, naïve, œuvre and forty more ASCII characters',
        html: ['例え'.repeat(40)],
      }),
    ).toString('latin1')
    expect([...source.matchAll(/Transfer-Encoding: (\S+)/g)].map(([, encoding]) => encoding)).toEqual([
      'quoted-printable',
      'base64',
    ])
  })
})

function compose(message: Message): Promise<Buffer> {
  const { from, to, subject, text } = message
  const html = joinBody(message.html)
  return new MailComposer({ from: { ...from }, to: { ...to }, subject, text, html }).compile().build()
}

const lines = (text: string | undefined) => (text ?? '').replace(/\r\n|\r/g, '\n').trimEnd()
