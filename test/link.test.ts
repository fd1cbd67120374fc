import { describe, expect, it } from 'vitest'
import { checkLink, joinLink, type LinkRules } from '../src/link.ts'

const strict: LinkRules = { allowHttp: false }

/** What was made of the link, else `claim reason`. */
function tryLink(make: () => string): string {
  try {
    return make()
  } catch (error) {
    const { claim, reason } = error as { claim: string; reason: string }
    return `${claim} ${reason}`
  }
}
const join = (base: string, token = 'abc.def-_~', rules = strict) =>
  tryLink(() => joinLink(base, token, rules))
const check = (link: string, rules = strict) => tryLink(() => checkLink(link, rules))

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImFkYSJ9.c2ln-_'

/** As these systems make them, with the token anywhere in them. */
const systems: [string, string][] = [
  [
    'Auth.js',
    `https://app.example.com/api/auth/callback/email?callbackUrl=https%3A%2F%2Fapp.example.com%2Fhome&token=9f86d081884c7d65&email=ada%2Btest%40example.com`,
  ],
  ['better-auth, verification', `https://app.example.com/api/auth/verify-email?token=${jwt}&callbackURL=/`],
  [
    'better-auth, password',
    'https://app.example.com/api/auth/reset-password/Zk3J9x2Q?callbackURL=https%3A%2F%2Fapp.example.com%2Freset',
  ],
  [
    'Django, signing.dumps',
    'https://app.example.com/confirm/eyJpZCI6NDJ9:1uXyZ2:J8y-k_3Xp0rPqvW7vVv2c4pQ5Yh0nqk1Qb4sX9Jm0zE/',
  ],
  [
    'Django, password reset',
    'https://app.example.com/accounts/reset/MQ/c9v2ab-3f5e8a9d0c1b2e3f4a5b6c7d8e9f0a1b/',
  ],
  [
    'Rails, message verifier',
    'https://app.example.com/password_resets/eyJfcmFpbHMiOnsibWVzc2FnZSI6Ik1RPT0ifX0=--5f2b3a/edit?email=ada%40example.com',
  ],
  [
    'Laravel, signed route',
    'https://app.example.com/email/verify/42/0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33?expires=1790000000&signature=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
  ],
  [
    'Symfony, reset password',
    'https://app.example.com/verify/email?expires=1790000000&signature=gO%2B1k%2Fw%3D&token=x1%2BY%2Fz%3D',
  ],
  ['Symfony, unescaped base64', 'https://app.example.com/verify?hash=a+b/c==&_locale=de'],
  [
    'Kratos',
    'https://auth.example.com/self-service/verification?code=123456&flow=7d9e5b5a-8f58-4cb6-a6f0-1c2d3e4f5a6b',
  ],
  [
    'Supabase',
    'https://abc.supabase.co/auth/v1/verify?token=pkce_5f2b3a9d&type=signup&redirect_to=https://app.example.com/welcome?a[]=1',
  ],
  ['a single page', "https://app.example.com/#/confirm?token=abc!$&'()*+,;=:@"],
  ['another port', 'https://app.example.com:8443/a//b/?x#y'],
  ['no path at all', 'https://app.example.com'],
  ['a query at once', 'https://app.example.com?token=abc'],
  ['capitals', 'HTTPS://APP.Example.com/Confirm'],
  ['an international host', 'https://münchen.example/bestätigen'.replace('ä', '%C3%A4')],
  ['the same host in A-labels', 'https://xn--mnchen-3ya.example/x'],
]

/** Each can be read in two ways, or leads elsewhere than it seems to. */
const hostile = [
  'http://app.example.com/',
  'javascript:alert(1)//',
  'java\nscript:alert(1)',
  'data:text/html,x',
  'vbscript:x',
  'ftp://app.example.com/',
  '//app.example.com/',
  'app.example.com/',
  ' https://app.example.com/',
  'https://app.example.com/ ',
  'https:app.example.com/',
  'https:///app.example.com/',
  'https:\\\\app.example.com/',
  'https://app.example.com\\@evil.example/',
  'https://app.example.com/\\evil.example',
  'https://user@app.example.com/',
  'https://user:pass@app.example.com/',
  'https://@app.example.com/',
  'https://app.example.com:443@evil.example/',
  'https://app.example.com%2eevil.example/',
  'https://app%2Eexample.com/',
  'https://%61pp.example.com/',
  'https://app.example.com%40evil.example/',
  'https://app.example.com%00.evil.example/',
  'https://app.example.com:99999/',
  'https://app.example.com:x/',
  'https://localhost/',
  'https://127.0.0.1/',
  'https://0x7f.1/',
  'https://[::1]/',
  'https://2130706433/',
  'https://app.example.com/\r\nX: y',
  'https://app.example.com/\n',
  'https://app.exa\tmple.com/',
  'https://app.example.com/\u0000',
  'https://app.example.com/\u202ecod.exe',
  'https://app.example.com/"><script>',
  'https://app.example.com/<b>',
  'https://app.example.com/a b',
  'https://app.example.com/{{x}}',
  'https://app.example.com/`x`',
  'https://app.example.com/a|b',
  'https://app.example.com/ä',
  'https://ⓔxample.com/',
  'https://app\uff0eexample.com/',
  'https://app\u3002example.com/',
  'https://ap\u200bp.example.com/',
  'https://ap\u00adp.example.com/',
  'https://',
  'https:///',
  '',
]

describe('a whole link', () => {
  it.each(systems)('of %s passes byte for byte', (_system, link) => expect(check(link)).toBe(link))

  it.each(hostile)('is refused like %j', (link) => expect(check(link)).toBe('email_link link'))

  it('has at most 4,000 characters', () => {
    const link = `https://app.example.com/${'a'.repeat(3_976)}`
    expect(check(link)).toBe(link)
    expect(check(`${link}a`)).toBe('email_link length')
  })
})

describe('a link in two halves', () => {
  it.each([
    'https://app.example.com/confirm/',
    'https://app.example.com/verify?token=',
    'https://app.example.com:8443/a/b#t=',
    'https://APP.example.com/Confirm/%20x?a=b&c=',
  ])('is the plain concatenation of both claims: %s', (base) => expect(join(base)).toBe(`${base}abc.def-_~`))

  it.each(hostile.filter((link) => link !== ''))('is refused with a URL like %j', (base) =>
    expect(join(base)).toBe('email_link_url link'),
  )

  it.each([
    'https://app.example.com/confirm',
    'https://app.example.com/v1',
    'https://app.example.com',
    'https://app',
  ])('whose URL ends in a letter or a digit has lost its slash: %s', (base) =>
    expect(() => joinLink(base, 'abc', { allowHttp: true })).toThrow(
      expect.objectContaining({
        faults: [{ claim: 'email_link_url', reason: 'link', advice: 'end it with / or =' }],
      }),
    ),
  )

  it.each([
    '%41%2F',
    'MQ/c9v2ab-3f5e/',
    'eyJpZCI6NDJ9:1uXyZ2:J8y-k_3X',
    'a+b/c==',
    'ada@example.com',
    'abc&callbackURL=/home',
    '1/0beec7?expires=1790000000&signature=2cf2',
    'a/../b',
  ])('may have a token like %j', (token) =>
    expect(join('https://app.example.com/confirm/', token)).toBe(`https://app.example.com/confirm/${token}`),
  )

  it.each([
    '',
    'a b',
    '../x',
    'a/../../x',
    '%2e%2e/x',
    '.%2E/x',
    'a"b',
    'a\nb',
    'a\\b',
    'a#b',
    'ä',
    '<b>',
    '{{x}}',
  ])('is refused with a token like %j', (token) =>
    expect(join('https://app.example.com/confirm/', token)).toBe('email_link_token link'),
  )

  it.each([
    ['https://a.example', '.evil.example'],
    ['https://a.example.', 'evil.example/'],
    ['https://a.example-', '.evil.example/'],
    ['https://app', '.example.com'],
    ['https://app.example.com:8', '0'],
    ['https://app.example.com:', '443/x'],
    ['https://app.example.com', '@evil.example/'],
    ['https://app.example.com:', 'x@evil.example/'],
  ])('does not let the token move it to another origin: %s + %s', (base, token) =>
    expect(join(base, token)).toMatch(/^email_link_(url|token) link$/),
  )

  it('is bounded', () => {
    const long = 'a'.repeat(20_000)
    expect(join(`https://app.example.com/${long}/`)).toBe('email_link_url length')
    expect(join('https://app.example.com/', long)).toBe('email_link_token length')
  })
})

describe('the rules of a link', () => {
  it('may allow http and this machine for development, but no other scheme', () => {
    const loose = { allowHttp: true }
    const local = 'http://localhost:3000/verify?token='
    expect(join(local, 'abc', loose)).toBe(`${local}abc`)
    expect(check(`${local}abc`, loose)).toBe(`${local}abc`)
    expect(check('http://[::1]:3000/x', loose)).toBe('http://[::1]:3000/x')
    expect(join('javascript:alert(1)//', 'abc', loose)).toBe('email_link_url link')
    expect(check('http://user@localhost/x', loose)).toBe('email_link link')
    expect(check('http://local"host/x', loose)).toBe('email_link link')
    expect(join('http://localhost', '.evil.example', loose)).toBe('email_link_url link')
  })

  it('name the only origins that an app allows', () => {
    const rules = { allowHttp: false, origins: ['https://app.example.com'] }
    expect(join('https://app.example.com/x/', 'abc', rules)).toBe('https://app.example.com/x/abc')
    expect(check('https://APP.example.com:443/x/abc', rules)).toBe('https://APP.example.com:443/x/abc')
    expect(join('https://evil.example/x/', 'abc', rules)).toBe('email_link_url link')
    for (const link of [
      'https://evil.example/https://app.example.com/',
      'https://app.example.com.evil.example/',
      'https://app.example.com:8443/',
      // the first letter is Cyrillic
      'https://\u0430pp.example.com/',
      'https://xn--pp-6kc.example.com/',
      'https://app.example.com\u2024evil.example/',
    ])
      expect(check(link, rules)).toBe('email_link link')
  })

  it('take an international origin in either spelling', () => {
    const rules = { allowHttp: false, origins: ['https://xn--mnchen-3ya.example'] }
    for (const link of ['https://münchen.example/x', 'https://xn--mnchen-3ya.example/x'])
      expect(check(link, rules)).toBe(link)
  })
})
