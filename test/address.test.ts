import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { checkAddress } from '../src/address.ts'
import { titled } from './support/missing.ts'

const accepted = (value: string): string | undefined => {
  try {
    return checkAddress(value)
  } catch {
    return undefined
  }
}

describe('an ordinary address', () => {
  it.each([
    'ada@example.com',
    'ada.lovelace+tag@mail.example.co.uk',
    "o'brien_{x}!#$%&*/=?^`|~-@example.com",
    'A@b.co',
    `${'l'.repeat(64)}@example.com`,
    'Ada@Example.COM',
    'x@xn--mnchen-3ya.de',
    'x@XN--mnchen-3ya.de',
    '1@2.example',
  ])('is taken as it is: %s', (address) => expect(accepted(address)).toBe(address))

  it.each([
    ['ada@münchen.de', 'ada@xn--mnchen-3ya.de'],
    ['ada@MÜNCHEN.de', 'ada@xn--mnchen-3ya.de'],
    ['ada@straße.de', 'ada@xn--strae-oqa.de'],
    ['ada@例え.テスト', 'ada@xn--r8jz45g.xn--zckzah'],
  ])('with an international domain is sent to its A-label: %s', (address, label) =>
    expect(accepted(address)).toBe(label),
  )
})

describe('anything else is refused rather than repaired', () => {
  it.each([
    '',
    ' ada@example.com',
    'ada@example.com ',
    'ada',
    '@example.com',
    'ada@',
    'ada@localhost',
    'ada@example.com.',
    'ada@.example.com',
    'ada@example..com',
    'ada@-example.com',
    'ada@example-.com',
    'ada@exa_mple.com',
    'm@xn--a.example',
    'm@XN--A.example',
    'm@mail.xn--9999999999.com',
    'm@xn--zz--.example',
    'm@xn--.example',
    'ada@example.1',
    'ada@127.0.0.1',
    'ada@[127.0.0.1]',
    'ada@[IPv6:::1]',
    '.ada@example.com',
    'ada.@example.com',
    'a..da@example.com',
    'a@b@example.com',
    '"ada"@example.com',
    '"a@evil.example"@example.com',
    '"ada@evil.example "@example.com',
    'ada(comment)@example.com',
    'ada@example.com(comment)',
    'ada@exa(c)mple.com',
    '<ada@example.com>',
    'Ada <ada@example.com>',
    'ada@example.com,eve@evil.example',
    'ada@example.com;eve@evil.example',
    'ada@example.com eve@evil.example',
    'group:ada@example.com;',
    '@relay.example:ada@example.com',
    'ada@example.com> SIZE=1',
    'ada@example.com\r\nRCPT TO:<eve@evil.example>',
    'ada@example.com\nBcc: eve@evil.example',
    'ada%0d%0a@exa%6dple.com',
    'ada@example.com\0',
    'ada\t@example.com',
    'josé@example.com',
    'ada@ⓔxample.com',
    'ada@example。com',
    'ada@ｅxample.com',
    'ada@exa\u00admple.com',
    'ada@exam\u212Aple.com',
    'ada@xn--\u00e4.com',
    'ada@\u240a.org',
    'ada@☃.net',
    `${'l'.repeat(65)}@example.com`,
    `ada@${'d'.repeat(64)}.com`,
    `ada@${'d.'.repeat(125)}example`,
    `ada@${'ü'.repeat(60)}.com`,
  ])('%j', (address) => expect(accepted(address)).toBeUndefined())

  // what looks again and again is not through in the time that a test has
  it('in no time, however long', () => {
    for (const part of ['a', '(', '"', 'a@', '.', 'ü'])
      expect(accepted(`${part.repeat(1_000_000)}@example.com`)).toBeUndefined()
  })
})

const corpus = new URL('../../shared/corpora/isemail-tests.xml', import.meta.url)

const noCorpus = existsSync(corpus) ? undefined : 'no ../shared/corpora/isemail-tests.xml'

describe.skipIf(noCorpus !== undefined)(titled('the isemail corpus', noCorpus), () => {
  const xml = existsSync(corpus) ? readFileSync(corpus, 'utf8') : ''
  const tests = [...xml.matchAll(/<test id="(\d+)">([^]*?)<\/test>/g)].map(([, id, body = '']) => ({
    id,
    // the corpus writes control characters as their pictures
    address: unescapeXml(/<address>([^]*?)<\/address>/.exec(body)?.[1] ?? '').replace(
      /[\u2400-\u241f]/g,
      (picture) => String.fromCharCode(picture.charCodeAt(0) - 0x2400),
    ),
    category: /<category>(\w+)<\/category>/.exec(body)?.[1] ?? '',
    diagnosis: /<diagnosis>(\w+)<\/diagnosis>/.exec(body)?.[1] ?? '',
  }))

  it('is read', () => expect(tests.length).toBeGreaterThan(150))

  it.each(tests)(
    '$id $category $address: the very address or nothing',
    ({ address, category, diagnosis }) => {
      const result = accepted(address)
      if (result !== undefined) expect(result).toBe(address)
      if (category === 'ISEMAIL_ERR') expect(result).toBeUndefined()
      const plain = category === 'ISEMAIL_VALID_CATEGORY' || diagnosis === 'ISEMAIL_DNSWARN_NO_RECORD'
      if (plain && /^[\w.+-]+@(?:[\w-]+\.)+[a-z]{2,}$/i.test(address)) expect(result).toBe(address)
    },
  )

  it('has ordinary addresses, and those are accepted', () => {
    expect(tests.filter(({ address }) => accepted(address) !== undefined).length).toBeGreaterThan(20)
  })
})

function unescapeXml(text: string): string {
  return text
    .replace(/&#x([0-9A-F]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&')
}
