import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openMetrics } from '../../src/metrics.ts'
import { within } from '../../src/timers.ts'
import { testApp } from '../support/app.ts'
import { previewApp } from '../support/preview.ts'
import { forgeToken, sampleClaims, secret, signToken } from '../support/tokens.ts'
import { titled } from '../support/missing.ts'

const link = 'https://app.example.com/confirm/eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOjd9.c2ln'

/** Whatever `raw` bytes get from a listening service, as status and parsed body. */
async function talk(
  url: string,
  raw: string | Buffer,
  timeoutMs = 60_000,
): Promise<{ status: number; head: string; body: unknown }> {
  const { port, hostname } = new URL(url)
  const text = await new Promise<string>((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(raw))
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.on('data', (chunk) => {
      answer += chunk.toString()
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      if (Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Infinity) <= Buffer.byteLength(body))
        socket.destroy()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', (error) => (answer === '' ? reject(error) : resolve(answer)))
  })
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body: JSON.parse(body) }
}

/** A connection on which `text` has been sent and nothing else ever is. */
async function openSocket(url: string, text: string): Promise<Socket> {
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

describe('a token becomes a mail', () => {
  it.each([
    ['GET', (token: string) => ({ url: `/emailservice/${token}` })],
    ['GET with kind', (token: string) => ({ url: `/emailservice/confirmation/${token}` })],
    ['GET with app', (token: string) => ({ url: `/emailservice-default/${token}` })],
    ['GET with app and kind', (token: string) => ({ url: `/emailservice-default/confirmation/${token}` })],
    ['GET with a query', (token: string) => ({ url: `/emailservice/${token}?utm=1` })],
    ['POST', (token: string) => ({ method: 'POST' as const, url: '/emailservice', payload: { token } })],
    [
      'POST with kind',
      (token: string) => ({ method: 'POST' as const, url: '/emailservice/confirmation', payload: { token } }),
    ],
    [
      'POST with app',
      (token: string) => ({ method: 'POST' as const, url: '/emailservice-default', payload: { token } }),
    ],
    [
      'POST with app and kind',
      (token: string) => ({
        method: 'POST' as const,
        url: '/emailservice-default/confirmation',
        payload: { token },
      }),
    ],
  ])('by %s', async (_title, request) => {
    const { app, mails } = await testApp()
    const response = await app.inject(request(signToken()))
    expect(response.statusCode).toBe(200)
    expect(response.json()).toEqual({
      error: 0,
      msg: 'Ok',
      code: 'sent',
      id: expect.stringMatching(/^[\w-]{32}$/),
    })
    expect(response.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
    })
    const [mail, ...others] = await mails()
    expect(others).toEqual([])
    expect(mail?.recipients).toEqual(['RCPT TO:<ada@example.com>'])
    expect(mail?.text).toContain(link)
    expect(mail?.html).toContain(`href="${link}"`)
    expect(mail?.text).toContain('7hK2pQ')
    expect(mail?.html).toContain('7hK2pQ')
    expect(mail?.from).toEqual({ name: 'Example', address: 'noreply@mail.example.com' })
  })

  it.each(['confirmation', 'signup', 'change'])('%s shows link and key', async (kind) => {
    const { app, mails } = await testApp()
    expect((await app.inject(`/emailservice/${kind}/${signToken()}`)).statusCode).toBe(200)
    const [mail] = await mails()
    expect(mail?.text).toContain(link)
    expect(mail?.text).toContain('7hK2pQ')
  })

  it('resetkey shows the key and no link, though its callers send one', async () => {
    const { app, mails } = await testApp()
    const claims = sampleClaims({
      user_aut_key: undefined,
      user_aut_key_or_otp: '493021',
      email_link_url: 'email-link-not-used',
      email_link_token: 'email-link-not-used',
    })
    expect((await app.inject(`/emailservice/resetkey/${signToken(claims)}`)).statusCode).toBe(200)
    const [mail] = await mails()
    expect(mail?.text).toContain('493021')
    expect(mail?.text).not.toContain('not-used')
    expect(mail?.html).not.toContain('<a ')
  })

  it('takes a whole link, and the time at which it stops working', async () => {
    const { app, mails } = await testApp()
    const address = 'https://app.example.com/api/auth/verify-email?token=a.b.c&callbackURL=%2Fhome'
    const whole = { email_link: address, email_link_url: undefined, email_link_token: undefined }
    const exp = Math.floor(Date.now() / 1000) + 3_600
    const token = signToken(sampleClaims({ ...whole, email_link_exp: exp }))
    const { id } = (await app.inject(`/emailservice/reset/${token}`)).json()
    const [mail] = await mails()
    expect(mail?.text).toContain(`\n${address}\n`)
    expect(mail?.html).toContain(`href="${address.replaceAll('&', '&amp;')}"`)
    expect(mail?.text).toMatch(/works until/)
    const delivery = await app.inject({
      url: `/deliveries/${id}`,
      headers: { authorization: `Bearer ${token}` },
    })
    expect(delivery.json()).toMatchObject({ expires: new Date(exp * 1000).toISOString() })
    const late = signToken(sampleClaims({ ...whole, email_link_exp: exp - 7_200 }))
    expect((await app.inject(`/emailservice/reset/${late}`)).json()).toMatchObject({ code: 'expired' })
  })

  it('tries the mail of a code for as long as the code works', async () => {
    const { app } = await testApp()
    const exp = Math.floor(Date.now() / 1000) + 600
    const token = signToken({ user_email: 'ada@example.com', user_aut_key: '493021', email_link_exp: exp })
    const { id } = (await app.inject(`/emailservice/resetkey/${token}`)).json()
    const delivery = await app.inject({
      url: `/deliveries/${id}`,
      headers: { authorization: `Bearer ${token}` },
    })
    expect(delivery.json()).toMatchObject({ expires: new Date(exp * 1000).toISOString() })
  })

  it('takes 12 KiB in the URL and more by POST', async () => {
    const { app } = await testApp()
    const padded = (size: number) => signToken(sampleClaims({ padding: 'x'.repeat(size) }))
    expect((await app.inject(`/emailservice/${padded(8_700)}`)).statusCode).toBe(200)
    expect(
      (await app.inject({ method: 'POST', url: '/emailservice', payload: { token: padded(45_000) } }))
        .statusCode,
    ).toBe(200)
  })
})

describe('every answer is our JSON', () => {
  const token = signToken()
  it.each([
    [
      'a forged token',
      `/emailservice/${signToken(sampleClaims(), 'other')}`,
      401,
      'token_signature',
      1,
      'Problem with token',
    ],
    ['garbage', '/emailservice/garbage', 401, 'token_malformed', 1, 'Problem with token'],
    [
      'an expired token',
      `/emailservice/${signToken(sampleClaims({ exp: 1_000 }))}`,
      401,
      'token_expired',
      1,
      'Problem with token',
    ],
    [
      'a token from the future',
      `/emailservice/${signToken(sampleClaims({ nbf: Math.floor(Date.now() / 1000) + 9_000 }))}`,
      401,
      'token_not_yet_valid',
      1,
      'Problem with token',
    ],
    [
      'a missing address',
      `/emailservice/${signToken(sampleClaims({ user_email: undefined }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: user_email is missing',
      { claim: 'user_email', reason: 'missing', claims: ['user_email'] },
    ],
    [
      'a missing key',
      `/emailservice/resetkey/${signToken(sampleClaims({ user_aut_key: undefined }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: user_aut_key_or_otp is missing',
      { claim: 'user_aut_key_or_otp', reason: 'missing', claims: ['user_aut_key_or_otp'] },
    ],
    [
      'a missing link',
      `/emailservice/${signToken(sampleClaims({ email_link_url: undefined }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: email_link_url is missing: give both halves, or a whole URL in email_link',
      { claim: 'email_link_url', reason: 'missing', claims: ['email_link_url'] },
    ],
    [
      'a missing link token',
      `/emailservice/${signToken(sampleClaims({ email_link_token: null }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: email_link_token is missing',
      { claim: 'email_link_token', reason: 'missing', claims: ['email_link_token'] },
    ],
    [
      'a hostile link',
      `/emailservice/${signToken(sampleClaims({ email_link_url: 'javascript:alert(1)//' }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: email_link_url is not a link that this app may mail: it is no https:// URL with a plain host name',
      { claim: 'email_link_url', reason: 'link', claims: ['email_link_url'] },
    ],
    [
      'a URL without its slash',
      `/emailservice/${signToken(sampleClaims({ email_link_url: 'https://app.example.com/confirm' }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: email_link_url is not a link that this app may mail: end it with / or =',
      { claim: 'email_link_url', reason: 'link', claims: ['email_link_url'] },
    ],
    [
      'both forms of a link',
      `/emailservice/${signToken(sampleClaims({ email_link: 'https://app.example.com/x' }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: email_link is not a link that this app may mail: give it, or email_link_url and email_link_token, not both',
      { claim: 'email_link', reason: 'link', claims: ['email_link'] },
    ],
    [
      'faults of the token and of the mail together',
      `/emailservice/resetkey/${signToken(sampleClaims({ user_email: 'ada', locale: 7, user_aut_key: undefined }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: user_email is not one plain address; locale is of the wrong type; user_aut_key_or_otp is missing',
      { claim: 'user_email', reason: 'address', claims: ['user_email', 'locale', 'user_aut_key_or_otp'] },
    ],
    [
      'a wrong key, which is not missing besides',
      `/emailservice/resetkey/${signToken(sampleClaims({ user_aut_key: 7 }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: user_aut_key is of the wrong type',
      { claim: 'user_aut_key', reason: 'type', claims: ['user_aut_key'] },
    ],
    [
      'a wrong claim for a kind that there is not',
      `/emailservice/nosuch/${signToken(sampleClaims({ user_name: 7 }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: user_name is of the wrong type',
      { claim: 'user_name', reason: 'type', claims: ['user_name'] },
    ],
    [
      'a time in milliseconds',
      `/emailservice/${signToken(sampleClaims({ exp: Date.now() }))}`,
      422,
      'claims_invalid',
      1,
      'Problem with token: exp is not a time that can be meant: it is more than ten years ahead; write it in seconds',
      { claim: 'exp', reason: 'time', claims: ['exp'] },
    ],
    [
      'an unknown kind',
      `/emailservice/comfirmation/${token}`,
      404,
      'mail_unknown',
      1,
      'Unknown mail',
      {
        hint: expect.stringMatching(
          /^the kinds of this app are account-created, .*, welcome; did you mean confirmation\?$/,
        ),
      },
    ],
    [
      'an unknown app',
      `/emailservice-nosuch/${token}`,
      404,
      'mail_unknown',
      1,
      'Unknown mail',
      { hint: 'the apps are default' },
    ],
    [
      'a kind named like a property',
      `/emailservice/constructor/${token}`,
      404,
      'mail_unknown',
      1,
      'Unknown mail',
      { hint: expect.stringMatching(/welcome$/) },
    ],
    ['an unknown path', `/elsewhere/${token}`, 404, 'not_found', 1, 'Not found'],
    ['a trailing slash', `/emailservice/confirmation/${token}/`, 404, 'not_found', 1, 'Not found'],
    ['a bad escape', '/emailservice/%zz', 400, 'bad_request', 1, 'Bad request'],
    ['a token too long for a URL', `/emailservice/${'a'.repeat(13_000)}`, 414, 'too_large', 1, 'Too large'],
  ])('%s', async (_title, url, status, code, error, msg, named?) => {
    const { app, relay } = await testApp()
    const response = await app.inject(url)
    expect(response.statusCode).toBe(status)
    expect(response.json()).toEqual({ error, msg, code, ...named })
    expect(response.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
    })
    expect(relay.commands).toEqual([])
  })

  it.each([
    ['no body', {}, 400, 'bad_request'],
    ['no token', { payload: {} }, 400, 'bad_request'],
    ['a token that is no string', { payload: { token: [token] } }, 400, 'bad_request'],
    [
      'broken JSON',
      { payload: '{"token":', headers: { 'content-type': 'application/json' } },
      400,
      'bad_request',
    ],
    [
      'a form',
      { payload: `token=${token}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      400,
      'bad_request',
    ],
    [
      'an empty JSON body',
      { payload: '', headers: { 'content-type': 'application/json' } },
      400,
      'bad_request',
    ],
    ['more than 64 KiB', { payload: { token: 'a'.repeat(66_000) } }, 413, 'too_large'],
    [
      'a poisoned prototype',
      { payload: '{"__proto__":{"token":"x"}}', headers: { 'content-type': 'application/json' } },
      400,
      'bad_request',
    ],
  ])('a POST with %s', async (_title, request, status, code) => {
    const { app } = await testApp()
    const response = await app.inject({ method: 'POST', url: '/emailservice', ...request })
    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ error: 1, code })
  })

  it.each([
    [
      'another Content-Type',
      { payload: 'token=x', headers: { 'content-type': 'text/x' } },
      'content_type',
      /: the Content-Type must be application\/json$/,
    ],
    [
      'broken JSON',
      { payload: '{', headers: { 'content-type': 'application/json' } },
      'body',
      /: the body must be JSON such as \{"token":"…"\}$/,
    ],
    ['no token', { payload: {} }, 'body', /: the body must be JSON such as/],
    [
      'a prefetch',
      { payload: { token }, headers: { 'sec-purpose': 'prefetch' } },
      'prefetch',
      /: a prefetch sends no mail$/,
    ],
  ] as const)('a POST with %s is told what is wrong', async (_title, request, reason, words) => {
    const { app, logLines } = await testApp()
    const response = await app.inject({ method: 'POST', url: '/emailservice', ...request })
    expect(response.json()).toEqual({ error: 1, code: 'bad_request', msg: expect.stringMatching(words) })
    expect(logLines()).toEqual([expect.objectContaining({ code: 'bad_request', reason })])
  })

  it.each(['exp', 'nbf', 'iat'])('a token whose %s is a text is told so', async (name) => {
    const { app, logLines } = await testApp()
    const response = await app.inject(
      `/emailservice/${forgeToken({ alg: 'HS256', typ: 'JWT' }, JSON.stringify({ ...sampleClaims(), [name]: '1800000000' }))}`,
    )
    expect(response.json()).toEqual({
      error: 1,
      code: 'token_malformed',
      msg: `Problem with token: ${name} must be a number, in seconds since 1970`,
    })
    expect(logLines()).toEqual([expect.objectContaining({ code: 'token_malformed', reason: name })])
  })

  it.each([
    ['an unknown method', 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\r\n\r\n', 400, 'bad_request'],
    ['no Host', `GET /emailservice/${token} HTTP/1.1\r\n\r\n`, 400, 'bad_request'],
    [
      'headers without end',
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`,
      431,
      'too_large',
    ],
    [
      'both Content-Length and Transfer-Encoding',
      'POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'bad_request',
    ],
    [
      'two Content-Lengths',
      'POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd',
      400,
      'bad_request',
    ],
    ['a space in the URL', 'GET /email service HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad_request'],
    [
      'an expectation nobody knows',
      'GET /emailservice/garbage HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n',
      401,
      'token_malformed',
    ],
    ['CONNECT', 'CONNECT mailer:443 HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
    ['a method of WebDAV', 'PROPFIND /emailservice/x HTTP/1.1\r\nHost: x\r\n\r\n', 405, 'method_not_allowed'],
  ])('HTTP with %s', async (_title, raw, status, code) => {
    const { url, relay } = await testApp()
    const answer = await talk(await url(), raw)
    expect(answer.status).toBe(status)
    expect(answer.body).toMatchObject({ error: 1, code })
    expect(answer.head.toLowerCase()).toContain('cache-control: no-store')
    expect(relay.commands).toEqual([])
  })
})

describe('a connection', () => {
  /** A stop that waits for a connection waits for a minute. */
  const stopMs = 30_000
  const halfBody =
    'POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'

  const body = JSON.stringify({ token: signToken() })
  it.each([
    ['GET', `GET /emailservice/${signToken()} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [
      'POST',
      `POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ],
  ])(
    'gives %s its answer also when something that is no HTTP follows, or CONNECT',
    async (_title, request) => {
      for (const rest of ['no HTTP\r\n\r\n', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n']) {
        const { url, relay } = await testApp({ script: { dot: () => sleep(100, '250 ok') } })
        const answer = await talk(await url(), `${request}${rest}`)
        expect(answer).toMatchObject({ status: 200, body: { code: 'sent' } })
        expect(relay.mails).toHaveLength(1)
      }
    },
  )

  it.each([
    ['nothing', ''],
    ['half a request', 'GET / HTTP/1.1\r\nHost: x\r\n'],
    ['half a body', halfBody],
  ])('that has sent %s does not hold up a stop', async (_title, text) => {
    const { app, url } = await testApp()
    await openSocket(await url(), text)
    expect(
      await within(
        stopMs,
        app.close().then(() => 'stopped'),
      ),
    ).toBe('stopped')
  })

  it('whose client has hung up does not hold up a stop either', async () => {
    const { app, url, relay } = await testApp({ script: { dot: () => sleep(100, '250 ok') } })
    const request = (jti: string) =>
      `GET /emailservice/${signToken(sampleClaims({ jti }))} HTTP/1.1\r\nHost: x\r\n\r\n`
    const socket = await openSocket(await url(), request('one') + request('two'))
    await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
    socket.destroy()
    await openSocket(await url(), '')
    expect(
      await within(
        stopMs,
        app.close().then(() => 'stopped'),
      ),
    ).toBe('stopped')
    expect(relay.mails).toHaveLength(2)
  })

  it('that never sends the rest of its request is answered in good time, sooner when it has no headers', async () => {
    const { app, url } = await testApp()
    const address = await url()
    const { server } = app
    expect(server.requestTimeout).toBeLessThanOrEqual(15_000)
    expect(server.headersTimeout).toBeLessThan(server.requestTimeout)
    const answered: string[] = []
    const wait = async (what: string, text: string) => {
      // by itself Node would look after 30 s
      const answer = await talk(address, text, 25_000)
      expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
      answered.push(what)
    }
    const [noBody, noHeaders] = [wait('body', halfBody), wait('headers', 'GET / HTTP/1.1\r\nHost: x\r\n')]
    // shorter, one after the other: with both in one look, the order would say nothing
    server.headersTimeout = 500
    await noHeaders
    server.requestTimeout = 600
    await noBody
    expect(answered).toEqual(['headers', 'body'])
  })
})

describe('nothing but GET and POST sends', () => {
  it.each(['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY'])('%s is 405', async (method) => {
    const { app, relay } = await testApp()
    for (const url of [`/emailservice/${signToken()}`, `/emailservice-default/confirmation/${signToken()}`]) {
      const response = await app.inject({ method: method as 'PUT', url })
      expect(response.statusCode).toBe(405)
      expect(response.headers.allow).toMatch(/GET/)
      if (method !== 'HEAD')
        expect(response.json()).toEqual({ error: 1, msg: 'Method not allowed', code: 'method_not_allowed' })
    }
    expect(relay.commands).toEqual([])
  })

  it('and GET does not where POST is meant', async () => {
    const { app } = await testApp()
    const response = await app.inject('/emailservice')
    expect(response.statusCode).toBe(405)
    expect(response.headers.allow).toBe('POST')
  })

  it.each([
    ['HEAD', '/inbox', 'GET'],
    ['PUT', '/inbox/messages', 'GET, DELETE'],
    ['POST', '/inbox/messages/1/source', 'GET'],
    ['POST', '/docs', 'GET'],
    ['PUT', '/preview', 'GET'],
    ['PATCH', '/preview/mails/a/b/c', 'GET, POST'],
    ['GET', '/preview/mails/a/b/c/send', 'POST'],
    ['GET', '/preview/login', 'POST'],
    ['OPTIONS', '/emailservice/confirmation', 'GET, POST'],
    ['POST', '/emailservice/confirmation/x', 'GET'],
    ['DELETE', '/emailservice-default', 'POST'],
    ['POST', '/deliveries/x', 'GET'],
    ['HEAD', '/health/ready', 'GET'],
    ['POST', '/openapi.json', 'GET'],
    ['DELETE', '/metrics', 'GET'],
  ] as const)('and every path says so: %s %s', async (method, url, allow) => {
    const metrics = { metrics: await openMetrics() }
    const { app } = await previewApp({ adminToken: 'known to nobody here' }, { docs: true, metrics })
    const response = await app.inject({ method, url })
    expect({ status: response.statusCode, allow: response.headers.allow }).toEqual({ status: 405, allow })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  it.each([
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { purpose: 'prefetch' },
    { 'x-moz': 'prefetch' },
    { 'sec-purpose': 'x', purpose: 'prefetch' },
    { 'sec-purpose': 'x', purpose: 'x', 'x-moz': 'Prefetch' },
  ])('%j does not', async (headers) => {
    const { app, relay } = await testApp()
    expect((await app.inject({ url: `/emailservice/${signToken()}`, headers })).json()).toMatchObject({
      error: 1,
    })
    expect(relay.commands).toEqual([])
  })
})

describe('behind a router that ends TLS', () => {
  it.each([
    ['GET', 301],
    ['POST', 308],
  ] as const)('%s by plain http is sent on to https and sends nothing', async (method, status) => {
    const { app, relay, logLines } = await testApp({ routes: { redirectHttp: true } })
    const url = method === 'GET' ? `/emailservice/${signToken()}` : '/emailservice'
    const response = await app.inject({
      method,
      url,
      headers: { host: 'mailer.example.com', 'x-forwarded-proto': 'http' },
    })
    expect(response.statusCode).toBe(status)
    expect(response.headers.location).toBe(`https://mailer.example.com${url}`)
    expect(response.json()).toEqual({ error: 1, msg: 'Use https', code: 'bad_request' })
    expect(relay.commands).toEqual([])
    expect(logLines()).toEqual([
      expect.objectContaining({
        route: method === 'GET' ? '/emailservice/:token' : '/emailservice',
        status,
        code: 'bad_request',
        reason: 'plain_http',
        msg: 'request refused',
      }),
    ])
  })

  it('a redirect is counted by its code', async () => {
    const { app } = await testApp({ metrics: {}, routes: { redirectHttp: true } })
    const headers = { host: 'mailer.example.com', 'x-forwarded-proto': 'http' }
    await app.inject({ url: `/emailservice/${signToken()}`, headers })
    expect((await app.inject('/metrics')).body).toContain(
      'jwt_mailer_requests_total{route="/emailservice/:token",status="301",code="bad_request"} 1',
    )
  })

  it.each([
    ['a URL of another host', 'GET http://evil.example/x HTTP/1.1\r\nHost: mailer.example.com\r\n'],
    ['a Host that is none', 'GET /x HTTP/1.1\r\nHost: evil.example/\r\n'],
  ])('%s leads nowhere', async (_title, head) => {
    const { url, logLines } = await testApp({ routes: { redirectHttp: true } })
    const answer = await talk(await url(), `${head}X-Forwarded-Proto: http\r\n\r\n`)
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad_request' } })
    expect(answer.head.toLowerCase()).not.toContain('location')
    expect(logLines()).toEqual([expect.objectContaining({ code: 'bad_request', reason: 'host' })])
  })

  it.each([
    { 'cf-visitor': '{"scheme":"https"}' },
    { 'cloudfront-forwarded-proto': 'https' },
    { 'x-forwarded-ssl': 'on' },
  ])(
    'a proxy that has https in front and plain http behind gets words instead of a loop: %o',
    async (headers) => {
      const { app, logLines, relay } = await testApp({ routes: { redirectHttp: true } })
      const response = await app.inject({
        url: `/emailservice/${signToken()}`,
        headers: { host: 'mailer.example.com', 'x-forwarded-proto': 'http', ...headers },
      })
      expect(response.statusCode).toBe(400)
      expect(response.json()).toEqual({
        error: 1,
        msg: 'Bad request: the proxy got https and speaks plain http to this service; let it use https (at Cloudflare: mode Full)',
        code: 'bad_request',
      })
      expect(logLines()).toEqual([expect.objectContaining({ code: 'bad_request', reason: 'proxy_http' })])
      expect(relay.commands).toEqual([])
    },
  )

  it('https is served, and elsewhere nobody is redirected', async () => {
    const heroku = await testApp({ routes: { redirectHttp: true } })
    expect(
      (
        await heroku.app.inject({
          url: `/emailservice/${signToken()}`,
          headers: { 'x-forwarded-proto': 'https' },
        })
      ).statusCode,
    ).toBe(200)
    const other = await testApp()
    expect(
      (
        await other.app.inject({
          url: `/emailservice/${signToken()}`,
          headers: { 'x-forwarded-proto': 'http' },
        })
      ).statusCode,
    ).toBe(200)
  })
})

describe('what the relay does becomes an answer', () => {
  it.each([{ RCPT: () => '550 no such user' }, { dot: () => '554 spam' }])(
    'refused for good: %o',
    async (script) => {
      const { app, relay } = await testApp({ script })
      const response = await app.inject(`/emailservice/${signToken()}`)
      expect(response.statusCode).toBe(502)
      expect(response.json()).toEqual({
        error: 2,
        msg: 'Could not send',
        code: 'refused',
        id: expect.any(String),
      })
      expect(relay.mails).toEqual([])
    },
  )

  it.each([
    { RCPT: () => '450 greylisted' },
    { AUTH: () => '535 wrong password' },
    { connect: () => 'close' as const },
    { dot: () => 'reset' as const },
  ])('stored for later: %o', async (script) => {
    const { app } = await testApp({ script })
    const response = await app.inject(`/emailservice/${signToken()}`)
    expect(response.statusCode).toBe(202)
    expect(response.json()).toEqual({ error: 0, msg: 'Queued', code: 'queued', id: expect.any(String) })
  })

  it('tokens are judged while every connection is busy', async () => {
    const taken = Promise.withResolvers<string>()
    const { app, relay } = await testApp({ script: { dot: () => taken.promise }, smtp: { connections: 1 } })
    const slow = app.inject(`/emailservice/${signToken()}`)
    await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
    expect((await app.inject('/emailservice/garbage')).statusCode).toBe(401)
    taken.resolve('250 ok')
    expect((await slow).json()).toMatchObject({ code: 'sent' })
  })
})

describe('the log', () => {
  it('has one line for a mail: what, where, how long, and not for whom', async () => {
    const { app, logLines } = await testApp()
    const response = await app.inject({
      url: `/emailservice/${signToken()}`,
      headers: { 'x-request-id': 'heroku-0123456789' },
    })
    const { id } = response.json<{ id: string }>()
    expect(logLines()).toEqual([
      expect.objectContaining({
        msg: 'mail sent',
        req: 'heroku-0123456789',
        route: '/emailservice/:token',
        status: 200,
        code: 'sent',
        app: 'default',
        kind: 'confirmation',
        locale: 'en',
        id,
        domain: 'example.com',
        relay: 'test',
        outcome: 'sent',
        ms: expect.any(Number),
      }),
    ])
  })

  it('has one line with route, status and reason for every refusal and failure', async () => {
    const { app, logLines } = await testApp({ script: { RCPT: () => '550 <ada@example.com> unknown' } })
    const token = signToken()
    for (const request of [
      '/emailservice/garbage',
      '/nowhere',
      '/emailservice/%zz',
      `/emailservice/${'a'.repeat(13_000)}`,
      '/deliveries/x',
      `/emailservice-default/nosuch/${token}`,
      { method: 'PUT' as const, url: `/emailservice/${token}` },
      { method: 'POST' as const, url: '/emailservice', payload: {} },
      `/emailservice/${token}`,
    ])
      await app.inject(request)
    const told = logLines().map(({ req, route, status, code, reason }) => {
      expect(req).toEqual(expect.any(String))
      return [route, status, code, reason].map((field) => field ?? '-').join(' ')
    })
    expect(told).toEqual([
      '/emailservice/:token 401 token_malformed malformed',
      '- 404 not_found -',
      '- 400 bad_request http',
      '- 414 too_large size',
      '/deliveries/:id 401 token_malformed no bearer token',
      '/emailservice-:app/:kind/:token 404 mail_unknown -',
      '/emailservice/:token 405 method_not_allowed -',
      '/emailservice 400 bad_request body',
      '/emailservice/:token 502 refused recipient',
    ])
  })

  it('names the app also of a mail that was refused, but no app that can be none', async () => {
    const { app, logLines } = await testApp()
    const badNames = ['Acme', 'a%20b', 'a'.repeat(33), '1a', '%22%7D%0A', 'constructor-', '']
    const names = ['', '-default', '-acme', ...badNames.map((name) => `-${name}`)]
    for (const name of names) await app.inject(`/emailservice${name}/garbage`)
    const known = ['default', 'default', 'acme']
    expect(logLines().map((line) => line['app'])).toEqual([...known, ...badNames.map(() => undefined)])
  })

  it('never holds a token, link, key, secret, password, URL or address, whatever happens', async () => {
    const linkToken = 'eyJhbGciOiJIUzI1NiJ9.bGVhay1tZQ.bGVhaw'
    const claims = sampleClaims({
      user_aut_key: 'KEYMARKER',
      email_link_token: linkToken,
      user_email: 'leakme@marker.example.com',
      user_name: 'NAMEMARKER',
    })
    const token = signToken(claims)
    const scripts = [
      {},
      { RCPT: () => `550 <leakme@marker.example.com> unknown ${token}` },
      { MAIL: () => '451 leakme@marker.example.com KEYMARKER' },
      { AUTH: () => '535 relay-user relay-password' },
      { connect: () => '554 leakme@marker.example.com' },
      { dot: () => `554 ${link} leakme@marker.example.com` },
      { DATA: () => 'reset' as const },
    ]
    for (const script of scripts) {
      const { app, url, log } = await testApp({ script })
      for (const path of [
        `/emailservice/${token}`,
        `/emailservice/nosuch/${token}`,
        `/${token}`,
        `/emailservice-${token}/x/y`,
        `/emailservice/${token}/z`,
        `/emailservice/${token}/`,
        `/emailservice/${token}%zz`,
        `/emailservice/${token}x`,
      ]) {
        await app.inject(path)
      }
      await app.inject({ method: 'POST', url: '/emailservice', payload: { token } })
      await app.inject({
        method: 'POST',
        url: '/emailservice',
        payload: `{"token":"${token}`,
        headers: { 'content-type': 'application/json' },
      })
      await talk(await url(), `GET /${token} HTTP/9.9\r\nHost: x\r\nAuthorization: ${token}\r\n\r\n`)
      // a pattern has nothing but small letters; what is left may hold no path at all
      const lines = log().replaceAll(/"route":"[a-z/:-]+"/g, '')
      for (const leak of [
        token,
        token.split('.')[2],
        linkToken,
        'KEYMARKER',
        'NAMEMARKER',
        'leakme',
        'relay-password',
        secret,
        'https://',
        '/emailservice',
      ]) {
        expect(lines).not.toContain(leak)
      }
    }
  })
})

describe('health', () => {
  it('is alive without asking anybody', async () => {
    const { app, relay } = await testApp()
    expect((await app.inject('/health/live')).json()).toMatchObject({ error: 0 })
    expect(relay.connections()).toBe(0)
  })

  it('is ready when the relay lets us in, and asks it only now and then', async () => {
    const { app, relay } = await testApp()
    for (let count = 0; count < 20; count++) expect((await app.inject('/health/ready')).statusCode).toBe(200)
    expect(relay.connections()).toBe(1)
  })

  it('is not ready when the relay refuses the login', async () => {
    const { app, relay } = await testApp({ script: { AUTH: () => '535 no' } })
    for (let count = 0; count < 20; count++) {
      const response = await app.inject('/health/ready')
      expect(response.statusCode).toBe(503)
      expect(response.json()).toMatchObject({ error: 2, relays: { test: 'login' } })
    }
    expect(relay.connections()).toBe(1)
  })
})

const corpus = new URL('../../../shared/corpora/blns.json', import.meta.url)

const noCorpus = existsSync(corpus) ? undefined : 'no ../shared/corpora/blns.json'

const claimsWithText = [
  'user_email',
  'user_aut_key',
  'email_link_url',
  'email_link_token',
  'user_name',
  'locale',
  'jti',
]

describe.skipIf(noCorpus !== undefined)(titled('naughty strings in claims', noCorpus), () => {
  const naughty = existsSync(corpus) ? [...new Set(JSON.parse(readFileSync(corpus, 'utf8')) as string[])] : []

  it('are refused, or are one mail to the one recipient', async () => {
    const few = 20
    const { app, relay } = await testApp()
    const send = async (claim: string, value: string, index: number) => {
      const claims = sampleClaims({ jti: `${claim}-${index}`, [claim]: value })
      const token = forgeToken({ alg: 'HS256' }, JSON.stringify(claims))
      const { statusCode } = await app.inject({ method: 'POST', url: '/emailservice', payload: { token } })
      expect([200, 422]).toContain(statusCode)
      if (claim === 'user_email' && value !== '') expect(statusCode).toBe(422)
      return statusCode
    }
    for (const claim of claimsWithText) {
      const before = relay.mails.length
      const statuses: number[] = []
      // a few at a time, so that none waits so long that it is queued
      for (let from = 0; from < naughty.length; from += few)
        statuses.push(
          ...(await Promise.all(
            naughty.slice(from, from + few).map((value, index) => send(claim, value, from + index)),
          )),
        )
      const sent = relay.mails.slice(before)
      expect(sent).toHaveLength(statuses.filter((status) => status === 200).length)
      expect(new Set(sent.map(({ source }) => /^Message-ID: .*$/m.exec(source)?.[0])).size).toBe(sent.length)
    }
    const recipients = new Set(relay.commands.filter((line) => line.startsWith('RCPT')))
    expect([...recipients]).toEqual(['RCPT TO:<ada@example.com>'])
  })
})
