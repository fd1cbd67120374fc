import { describe, expect, it } from 'vitest'
import { joinLink, type LinkRules } from '../src/link.ts'

const strict: LinkRules = { allowHttp: false }
const join = (base: string, token = 'abc.def-_~', rules = strict): string => {
  try {
    return joinLink(base, token, rules)
  } catch (error) {
    return (error as { claim: string }).claim
  }
}

describe('a link', () => {
  it.each([
    'https://app.example.com/confirm/',
    'https://app.example.com/verify?token=',
    'https://app.example.com:8443/a/b#t=',
    'https://APP.example.com/Confirm/%20x?a=b&c=',
  ])('is the plain concatenation of both claims: %s', (base) => expect(join(base)).toBe(`${base}abc.def-_~`))

  it.each([
    'http://app.example.com/',
    'javascript:alert(1)//',
    'data:text/html,',
    'ftp://app.example.com/',
    '//app.example.com/',
    'app.example.com/',
    ' https://app.example.com/',
    'https:app.example.com/',
    'https:\\\\app.example.com/',
    'https://app.example.com\\@evil.example/',
    'https://user@app.example.com/',
    'https://user:pass@app.example.com/',
    'https://@app.example.com/',
    'https://localhost/',
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://2130706433/',
    'https://app.example.com/\r\nX: y',
    'https://app.example.com/"><script>',
    'https://app.example.com/<b>',
    'https://app.example.com/a b',
    'https://münchen.example/',
    'https://',
    `https://app.example.com/${'a'.repeat(20_000)}`,
  ])('is refused with a URL like %j', (base) => expect(join(base)).toBe('email_link_url'))

  it.each(['', 'a b', 'a/b', '../x', 'a"b', 'a\nb', '%41', 'ä', '@evil.example', 'x'.repeat(20_000)])(
    'is refused with a token like %j',
    (token) => expect(join('https://app.example.com/confirm/', token)).toBe('email_link_token'),
  )

  it.each([
    ['https://a.example', '.evil.example'],
    ['https://app', '.example.com'],
    ['https://app.example.com:8', '0'],
  ])('does not let the token move it to another origin: %s + %s', (base, token) =>
    expect(join(base, token)).toMatch(/^email_link/),
  )

  it('may be http and local where development allows it, but no other scheme', () => {
    const loose = { allowHttp: true }
    expect(join('http://localhost:3000/verify?token=', 'abc', loose)).toBe(
      'http://localhost:3000/verify?token=abc',
    )
    expect(join('javascript:alert(1)//', 'abc', loose)).toBe('email_link_url')
    expect(join('http://localhost', '.evil.example', loose)).toBe('email_link_token')
  })

  it('leads only to the origins an app allows', () => {
    const rules = { allowHttp: false, origins: ['https://app.example.com'] }
    expect(join('https://app.example.com/x/', 'abc', rules)).toBe('https://app.example.com/x/abc')
    expect(join('https://evil.example/x/', 'abc', rules)).toBe('email_link_url')
  })
})
