import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { liveCatalogue } from '../../../src/mails/live.ts'
import type { GalleryEntry } from '../../../src/mails/preview.ts'
import { adminGate } from '../../../src/http/admin-gate.ts'
import { loadCatalogue } from '../../support/catalogue.ts'
import { builtInMails, mailsIn, previewApp, temporaryFolder, varianceMails } from '../../support/preview.ts'

const adminToken = 'an admin token nobody guesses'
const confirmation = '/preview/mails/default/confirmation/en'
const json = { 'content-type': 'application/json' }
const here = { ...json, host: 'mail.example.com', origin: 'https://mail.example.com' }

const cookiesOf = ({ headers }: { headers: Record<string, unknown> }) =>
  [headers['set-cookie']].flat().map(String)

interface Gallery {
  readonly revision: string
  readonly mails: GalleryEntry[]
  readonly problems: string[]
}

async function samplesOf({ app }: Awaited<ReturnType<typeof previewApp>>, url = confirmation) {
  const { claims } = (await app.inject(url)).json<{ claims: Record<string, unknown> }>()
  return claims
}

describe('the gallery', () => {
  test('lists every app, kind and locale with the subject its samples make', async () => {
    const catalogue = loadCatalogue(mailsIn(varianceMails))
    const { app } = await previewApp({ catalogue })
    const { mails, problems } = (await app.inject('/preview/mails')).json<Gallery>()
    expect(mails).toHaveLength(catalogue.mails.length)
    expect(problems).toEqual([])
    expect(mails).toContainEqual({
      app: 'ntsqr',
      kind: 'quote_ready',
      locale: 'en',
      main: true,
      file: 'ntsqr/quote_ready.en.md',
      subject: 'Your quote is ready - Night Squirrel',
    })
    expect(mails.filter(({ fault }) => fault)).toEqual([])
  })

  test('tells which locale serves whoever asks for none', async () => {
    const { app } = await previewApp()
    const { mails } = (await app.inject('/preview/mails')).json<Gallery>()
    expect(new Set(mails.filter(({ main }) => main).map(({ locale }) => locale))).toEqual(new Set(['en']))
  })

  test('shows what is wrong with a broken edit while the last good version is served', async () => {
    const dir = temporaryFolder(builtInMails)
    let now = Date.now()
    const catalogue = liveCatalogue(mailsIn(dir), () => now)
    const { app } = await previewApp({ catalogue })
    const before = (await app.inject('/preview/mails')).json<Gallery>()
    const file = join(dir, 'default/confirmation.en.md')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, good.replace('{{ access_key }}', '{{ acess_key }}'))
    now += 1_000
    const broken = (await app.inject('/preview/mails')).json<Gallery>()
    expect(broken.problems[0]).toMatch(/^default\/confirmation\.en\.md:\d+: `acess_key` is not declared/)
    expect(broken.revision).toBe(before.revision)
    expect((await app.inject(confirmation)).statusCode).toBe(200)
    writeFileSync(file, good.replace('# Confirm your email address', '# Confirm it'))
    now += 1_000
    const mended = (await app.inject('/preview/mails')).json<Gallery>()
    expect(mended.problems).toEqual([])
    expect(mended.revision).not.toBe(before.revision)
    expect((await app.inject(`${confirmation}/html`)).body).toContain('>Confirm it</h1>')
  })

  test('lists a mail whose samples are refused with the reason, and the others all the same', async () => {
    const dir = temporaryFolder(builtInMails)
    const file = join(dir, 'default/resetkey.it.md')
    writeFileSync(file, readFileSync(file, 'utf8').replace('"493027"', '"49 30 27"'))
    const { app } = await previewApp({ catalogue: loadCatalogue(mailsIn(dir)) })
    const { mails } = (await app.inject('/preview/mails')).json<Gallery>()
    const faulty = mails.filter(({ fault }) => fault)
    expect(faulty).toMatchObject([
      {
        file: 'default/resetkey.it.md',
        subject: '',
        fault: {
          status: 422,
          claim: 'user_aut_key_or_otp',
          msg: 'Problem with token: user_aut_key_or_otp is not a key that can be shown',
        },
      },
    ])
    const detail = await app.inject('/preview/mails/default/resetkey/it')
    expect(detail.statusCode).toBe(422)
    expect(detail.json()).toMatchObject({ claims: { user_aut_key_or_otp: '49 30 27' } })
  })
})

describe('one mail', () => {
  test('comes with contract, headers, both parts and the very bytes a relay would get', async () => {
    const service = await previewApp()
    const { preview, contract, claims } = (await service.app.inject(confirmation)).json()
    expect(contract.map(({ name }: { name: string }) => name)).toEqual([
      'user_email',
      'email_link_url',
      'email_link_token',
      'user_aut_key_or_otp',
      'user_name',
    ])
    expect(preview.headers).toContainEqual({ name: 'To', value: '"Ada" <ada@example.com>' })
    expect(preview.bytes).toEqual({
      source: preview.source.length,
      html: Buffer.byteLength(preview.html),
      text: Buffer.byteLength(preview.text),
    })
    await service.app.inject({
      method: 'POST',
      url: `${confirmation}/send`,
      headers: json,
      payload: { claims },
    })
    const sent = service.inbox.list()[0]?.source.toString('latin1') ?? ''
    // What is made for each mail: its id, its minute, and the encoded bodies that name it nowhere.
    const alike = (source: string) =>
      source.replace(/preview-?[0-9a-f]*/g, 'id').replace(/^Date: .*$/m, 'Date: x')
    expect(alike(sent)).toBe(alike(preview.source))
  })

  test('changes with the values it is given, in every part', async () => {
    const service = await previewApp()
    const claims = { ...(await samplesOf(service)), user_name: 'Grace Hopper' }
    const answer = await service.app.inject({ method: 'POST', url: confirmation, payload: { claims } })
    const { preview } = answer.json()
    for (const part of [preview.html, preview.text, preview.source]) expect(part).toContain('Grace Hopper')
    const frame = await service.app.inject({
      method: 'POST',
      url: `${confirmation}/html`,
      headers: { 'content-type': 'text/plain' },
      payload: `claims=${JSON.stringify(claims)}\r\n`,
    })
    expect(frame.body).toContain('Grace Hopper')
  })

  test('is refused as a caller would be refused, and says why', async () => {
    const service = await previewApp()
    const samples = await samplesOf(service)
    const moving = { email_link_url: 'https://a.example/x/', email_link_token: '../evil' }
    const cases: [Record<string, unknown>, string, string][] = [
      [
        { user_email: 'not an address' },
        'user_email',
        'It must be one plain address, such as ada@example.com.',
      ],
      [{ user_email: null }, 'user_email', 'It is required: a token without it is refused.'],
      [{ user_email: 7 }, 'user_email', 'It must be a text.'],
      [{ user_name: 'x'.repeat(4_001) }, 'user_name', 'At most 4,000 characters.'],
      [{ user_name: 'bell \u0007' }, 'user_name', 'It holds a control character.'],
      [{ email_link_url: 'javascript:alert(1)//' }, 'email_link_url', 'allows'],
      [moving, 'email_link_token', 'allows'],
    ]
    for (const [change, claim, hint] of cases) {
      const claims = { ...samples, ...change }
      const answer = await service.app.inject({ method: 'POST', url: confirmation, payload: { claims } })
      expect(answer.statusCode).toBe(422)
      const { fault } = answer.json()
      expect(fault).toMatchObject({
        code: 'claims_invalid',
        claim,
        msg: expect.stringContaining(`Problem with token: ${claim} `),
      })
      expect(fault.hint).toContain(hint)
    }
  })

  test('shows an amount in cents, and refuses one with a comma', async () => {
    const service = await previewApp({ catalogue: loadCatalogue(mailsIn(varianceMails)) })
    const { mails } = (await service.app.inject('/preview/mails')).json<Gallery>()
    const urls = mails.map(({ app, kind, locale }) => `/preview/mails/${app}/${kind}/${locale}`)
    const details = await Promise.all(
      urls.map(async (url) => ({ url, ...(await service.app.inject(url)).json() })),
    )
    const inCents = details.flatMap(({ url, contract }) =>
      contract
        .filter(({ type }: { type: string }) => type === 'cents')
        .map(({ name }: { name: string }) => ({ url, name })),
    )
    expect(inCents.length).toBeGreaterThan(0)
    for (const { url, name } of inCents) {
      const claims = await samplesOf(service, url)
      const wrong = await service.app.inject({
        method: 'POST',
        url,
        payload: { claims: { ...claims, [name]: '12,50' } },
      })
      expect(wrong.json().fault).toMatchObject({
        status: 422,
        claim: name,
        hint: 'It must be a whole number.',
      })
      const right = await service.app.inject({
        method: 'POST',
        url,
        payload: { claims: { ...claims, [name]: 1250 } },
      })
      expect(right.json().preview.text).toContain('12.50')
    }
  })

  test('is unknown under another name', async () => {
    const { app } = await previewApp()
    for (const url of ['/preview/mails/default/nothing/en', '/preview/mails/default/confirmation/xx/html']) {
      const answer = await app.inject(url)
      expect(answer.statusCode).toBe(404)
      expect(answer.json()).toMatchObject({ code: 'mail_unknown' })
    }
  })

  test('that fails by a bug of ours is answered 500, and the service goes on', async () => {
    const catalogue = loadCatalogue(mailsIn(builtInMails))
    const [first, ...others] = catalogue.mails
    const broken = { ...first!, program: { ...first!.program, html: null as never } }
    const service = await previewApp({ catalogue: { ...catalogue, mails: [broken, ...others] } })
    const url = `/preview/mails/${broken.app}/${broken.kind}/${broken.locale}`
    expect((await service.app.inject(url)).statusCode).toBe(500)
    const { mails } = (await service.app.inject('/preview/mails')).json<Gallery>()
    expect(mails.filter(({ fault }) => fault)).toMatchObject([
      { kind: broken.kind, fault: { code: 'internal' } },
    ])
    expect(service.log()).toContain('bug')
    expect((await service.app.inject(confirmation)).statusCode).toBe(200)
  })
})

describe('the frame', () => {
  test('is bound to its sandbox: no script, no form, no network', async () => {
    const { app } = await previewApp()
    const { headers } = await app.inject(`${confirmation}/html`)
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'")
    expect(policy).toMatch(/^sandbox allow-popups allow-popups-to-escape-sandbox;/)
    expect(policy).not.toContain('allow-scripts')
    expect(headers['x-content-type-options']).toBe('nosniff')
  })

  test('shows what a hostile value says, and never as markup', async () => {
    const service = await previewApp()
    const hostile = '<script>alert(1)</script> [x](https://evil.example) {{7*7}}'
    const claims = { ...(await samplesOf(service)), user_name: hostile }
    const { body } = await service.app.inject({
      method: 'POST',
      url: `${confirmation}/html`,
      headers: { 'content-type': 'text/plain' },
      payload: `claims=${JSON.stringify(claims)}`,
    })
    expect(body).not.toContain('<script')
    expect(body).toContain('&lt;script&gt;')
    expect(body).toContain('{{7*7}}')
    expect(body).not.toMatch(/href="[^"]*evil/)
  })
})

describe('a request from elsewhere', () => {
  const post = (headers: Record<string, string>, payload: string | object = { claims: {} }) => ({
    method: 'POST' as const,
    url: `${confirmation}/send`,
    headers,
    payload,
  })

  test.each([
    ['another site', { ...here, origin: 'https://evil.example' }],
    ['no site at all', { ...here, origin: 'null' }],
    ['another site, by its fetch metadata', { ...here, 'sec-fetch-site': 'cross-site' }],
    ['a neighbour on the same domain', { ...here, 'sec-fetch-site': 'same-site' }],
  ])('is refused when it comes from %s, and nothing is sent', async (_from, headers) => {
    const service = await previewApp()
    const answer = await service.app.inject(post(headers, { claims: await samplesOf(service) }))
    expect(answer.statusCode).toBe(400)
    expect(service.inbox.list()).toEqual([])
  })

  test.each([
    ['text/plain', '{"claims":{}}'],
    ['application/x-www-form-urlencoded', 'claims=%7B%7D'],
    ['multipart/form-data; boundary=x', '--x--'],
  ])('is refused as %s, which a form can send without asking', async (type, payload) => {
    const service = await previewApp()
    const answer = await service.app.inject(post({ 'content-type': type }, payload))
    expect(answer.statusCode).toBe(400)
    expect(service.inbox.list()).toEqual([])
  })

  test('passes from the page itself', async () => {
    const service = await previewApp()
    const claims = await samplesOf(service)
    for (const headers of [here, { ...here, 'sec-fetch-site': 'same-origin' }, json])
      expect((await service.app.inject(post(headers, { claims }))).json()).toMatchObject({ code: 'sent' })
    expect(service.inbox.list()).toHaveLength(3)
  })
})

describe('a body', () => {
  test('that is not a set of claims is refused', async () => {
    const { app } = await previewApp()
    const path = { user_email: { path: '/etc/passwd' } }
    const claims = { lines: [{ name: 'Tea', quantity: 2 }], notes: ['Ring twice'], express: true }
    expect(
      (await app.inject({ method: 'POST', url: confirmation, payload: { claims } })).statusCode,
    ).not.toBe(400)
    for (const payload of [{}, { claims: {}, to: 'x@example.com' }, { claims: [] }, { claims: path }])
      expect((await app.inject({ method: 'POST', url: confirmation, payload })).statusCode).toBe(400)
  })

  test('of more than 64 KiB is refused', async () => {
    const { app } = await previewApp()
    const payload = { claims: { user_name: 'x'.repeat(65 * 1024) } }
    expect((await app.inject({ method: 'POST', url: confirmation, payload })).statusCode).toBe(413)
  })
})

test('nothing can be sent where there is no inbox', async () => {
  const { app } = await previewApp({ sendToInbox: undefined })
  expect((await app.inject('/preview/mails')).json()).toMatchObject({ inbox: false })
  const answer = await app.inject({ method: 'POST', url: `${confirmation}/send`, payload: { claims: {} } })
  expect(answer.statusCode).toBe(404)
})

describe('with an admin token', () => {
  const paths = ['/preview/mails', confirmation, `${confirmation}/html`]
  const login = (token: unknown, headers = {}) => ({
    method: 'POST' as const,
    url: '/preview/login',
    headers: { ...json, ...headers },
    payload: { token } as object,
  })

  test('nothing but the way in is shown without it', async () => {
    const { app } = await previewApp({ adminToken })
    const page = await app.inject('/preview')
    expect(page.statusCode).toBe(401)
    expect(page.body).toContain('Admin token')
    expect(page.body).not.toContain('id="kept"')
    for (const url of paths) {
      const answer = await app.inject(url)
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Bearer')
      expect(answer.json()).toEqual({
        error: 1,
        msg: 'Problem with token',
        code: 'token_signature',
        hint: expect.stringContaining('ADMIN_TOKEN'),
      })
    }
    const posted = await app.inject({ method: 'POST', url: `${confirmation}/send`, payload: { claims: {} } })
    expect(posted.statusCode).toBe(401)
  })

  test('a program passes with it as its bearer, and with nothing near it', async () => {
    const { app } = await previewApp({ adminToken })
    const status = async (authorization: string) =>
      (await app.inject({ url: '/preview/mails', headers: { authorization } })).statusCode
    expect(await status(`Bearer ${adminToken}`)).toBe(200)
    for (const near of ['Bearer', 'Bearer x', `Basic ${adminToken}`, `Bearer ${adminToken}x`, ''])
      expect(await status(near)).toBe(401)
  })

  test('a browser signs in once and gets a cookie that scripts and other sites cannot use', async () => {
    const { app } = await previewApp({ adminToken })
    const answer = await app.inject(login(adminToken))
    expect(answer.statusCode).toBe(204)
    const [cookie = '', other] = cookiesOf(answer)
    expect(cookie).toMatch(/; Path=\/preview; HttpOnly; SameSite=Strict$/)
    expect(other).toBe(cookie.replace('/preview', '/admin'))
    expect(cookie).not.toContain(adminToken)
    const headers = { cookie: `theme=dark; ${cookie.split(';')[0]}` }
    for (const url of ['/preview', ...paths])
      expect((await app.inject({ url, headers })).statusCode).toBe(200)
    const out = await app.inject({
      method: 'POST',
      url: '/preview/logout',
      headers: { ...json, ...headers },
      payload: {},
    })
    expect(cookiesOf(out)).toEqual([
      expect.stringMatching(/=; Max-Age=0; Path=\/preview/),
      expect.stringMatching(/=; Max-Age=0; Path=\/admin/),
    ])
  })

  test('the cookie is for https alone where the browser came by https', async () => {
    const { app } = await previewApp({ adminToken }, { trustedProxies: 1 })
    const answer = await app.inject(login(adminToken, { 'x-forwarded-proto': 'https' }))
    expect(cookiesOf(answer).every((cookie) => cookie.endsWith('; Secure'))).toBe(true)
  })

  test('the cookie ends after eight hours, and cannot be stretched or made', async () => {
    let now = Date.now()
    const { app } = await previewApp({ adminToken, now: () => now })
    const cookie = String((await app.inject(login(adminToken))).headers['set-cookie']).split(';')[0]!
    const status = async (value: string) =>
      (await app.inject({ url: '/preview/mails', headers: { cookie: value } })).statusCode
    const [name, expires, seal] = /^(.+)=(\d+)\.(.+)$/.exec(cookie)!.slice(1)
    expect(await status(`${name}=${Number(expires) + 1}.${seal}`)).toBe(401)
    for (const value of ['', '.', `${expires}.`, `${expires}`, `NaN.${seal}`, `9e15.${seal}`])
      expect(await status(`${name}=${value}`)).toBe(401)
    now += 8 * 3_600_000 - 1
    expect(await status(cookie)).toBe(200)
    now += 1
    expect(await status(cookie)).toBe(401)
  })

  test('a wrong one is refused, sets nothing and is not logged', async () => {
    const service = await previewApp({ adminToken })
    for (const wrong of ['guess-one', `${adminToken} `, adminToken.slice(1)]) {
      const answer = await service.app.inject(login(wrong))
      expect(answer.statusCode).toBe(401)
      expect(answer.headers['set-cookie']).toBeUndefined()
    }
    expect((await service.app.inject(login(''))).statusCode).toBe(400)
    expect((await service.app.inject(login({ $ne: '' }))).statusCode).toBe(400)
    expect(service.log()).toContain('admin token')
    expect(service.log()).not.toContain('guess-one')
    expect(service.log()).not.toContain(adminToken)
  })

  test('a large body is never read from whoever has not shown it', async () => {
    const { app } = await previewApp({ adminToken })
    const claims = { user_name: 'x'.repeat(200_000) }
    expect((await app.inject({ method: 'POST', url: confirmation, payload: { claims } })).statusCode).toBe(
      401,
    )
    expect((await app.inject(login('x'.repeat(5_000)))).statusCode).toBe(413)
  })

  test('an empty one stops the start', () => {
    expect(() => adminGate('')).toThrow('an empty admin token would let anybody in')
  })
})
