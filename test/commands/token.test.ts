/** `token`, `send` and `serve` as a person calls them: processes of their own, against a real service. */
import { spawn, spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scriptedRelay, type ScriptedRelay } from '../support/relay.ts'
import { freePort } from '../support/port.ts'
import { type Service, startService } from '../support/service.ts'
import { temporaryFolder } from '../support/preview.ts'
import { secret } from '../support/tokens.ts'

const bin = resolve(import.meta.dirname, '../../src/jwt-mailer.js')
const mail = [
  '--to',
  'ada@example.com',
  '--link-url',
  'https://app.example.com/c/',
  '--link-token',
  'abc',
  '--key',
  '7hK2pQ',
]

interface RunOptions {
  readonly env?: Record<string, string>
  readonly input?: string
}

function run(words: readonly string[], { env = {}, input = '' }: RunOptions = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], {
    cwd: temporaryFolder(),
    env: { PATH: process.env['PATH'], JWT_MAILER_SECRET: secret, ...env },
    input,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

/** As `run`, but this process goes on: a relay that lives here can answer. */
function runBeside(words: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: temporaryFolder(),
    env: { PATH: process.env['PATH'], JWT_MAILER_SECRET: secret, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk))
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((done) => {
    child.once('close', (status) => done({ status, stdout, stderr }))
  })
}

describe('jwt-mailer token', () => {
  test('prints a token, and beside it the line that sends it', () => {
    const { status, stdout, stderr } = run([
      'token',
      ...mail,
      '--claim',
      'shop=Roses',
      '--claim',
      'cents=123456',
      '--claim',
      'ticket=007',
      '--expires',
      '10m',
      '--jti',
      'one',
    ])
    expect(status).toBe(0)
    const claims = jwt.verify(stdout.trim(), secret) as Record<string, number>
    expect(claims).toMatchObject({
      user_email: 'ada@example.com',
      user_aut_key: '7hK2pQ',
      shop: 'Roses',
      cents: 123456,
      ticket: '007',
      jti: 'one',
    })
    expect(claims['exp']! - claims['iat']!).toBe(600)
    expect(stderr.trim()).toMatch(
      /^printf '%s' '\{"token":.* \| curl .* http:\/\/localhost:8080\/emailservice\/confirmation$/,
    )
  })

  test('takes claims as JSON from standard input, and the secret of the app', () => {
    const input = JSON.stringify({ user_email: 'ada@example.com', user_aut_key_or_otp: '493027', order: 7 })
    const words = ['token', '--app', 'my-shop', '--kind', 'resetkey', '--claims', '-', '--json']
    const { stdout } = run(words, { input, env: { JWT_MAILER_SECRET_MY_SHOP: 'of the shop' } })
    const { token, url } = JSON.parse(stdout) as { token: string; url: string }
    expect(jwt.verify(token, 'of the shop')).toMatchObject({ user_aut_key: '493027', order: 7 })
    expect(url).toBe('http://localhost:8080/emailservice-my-shop/resetkey')
  })

  test.each([
    [['token'], /--to ADDRESS/],
    [['token', '--to', 'a@example.com', '--link-url', 'https://a.example/'], /two halves/],
    [['token', ...mail, '--expires', 'soon'], /10m/],
    [['token', ...mail, '--claim', 'x'], /name=value/],
    [['token', '--claims', '-'], /standard input cannot be read/],
    [['token', '--decode', 'hello'], /no token/],
  ])('%j is told what is missing', (words, sentence) => {
    const { status, stdout, stderr } = run(words)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(sentence)
  })

  test('names the variable when there is no secret', () => {
    const { status, stderr } = run(['token', ...mail], { env: { JWT_MAILER_SECRET: '' } })
    expect(status).toBe(2)
    expect(stderr).toContain('JWT_MAILER_SECRET')
  })

  const explain = (claims: object, key = secret, env = {}) => {
    const token = jwt.sign({ user_email: 'ada.lovelace@example.com', ...claims }, key)
    return run(['token', '--decode', '-'], { input: `${token}\n`, env })
  }

  test('explains a token and hides what it holds', () => {
    const { status, stdout } = explain({ user_aut_key: 'KEY-OF-ADA', email_link_token: 'LINK-OF-ADA' })
    expect(status).toBe(0)
    expect(stdout).toContain('a***@example.com')
    expect(stdout).toContain('signed with JWT_MAILER_SECRET')
    expect(stdout).not.toMatch(/lovelace|KEY-OF-ADA|LINK-OF-ADA/)
    expect(stdout).not.toContain(secret)
  })

  test.each([
    ['token_expired', { exp: 1_700_000_000 }, secret, /2023-11-14T22:13:20Z, \d+ days ago/],
    ['token_signature', {}, 'another', /none of the secrets/],
    ['token_not_yet_valid', { nbf: 4_000_000_000 }, secret, /in \d+ days/],
    [
      'claims_invalid: Problem with token: user_email',
      { user_email: 'not an address' },
      secret,
      /signed with/,
    ],
  ])('says that the service would answer %s', (answer, claims, key, words) => {
    const { status, stdout } = explain(claims, key)
    expect(status).toBe(1)
    expect(stdout).toContain(`would answer ${answer}`)
    expect(stdout).toMatch(words)
  })

  test('does nothing that a token would tell the terminal to do', () => {
    const { stdout } = explain({ name: '\u001b]0;owned\u0007\u009b2J', '\u001b[31m': 1 })
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  })

  test('says which variable is missing where nothing can be verified', () => {
    const { status, stdout } = explain({}, secret, { JWT_MAILER_SECRET: '' })
    expect(status).toBe(1)
    expect(stdout).toContain('set JWT_MAILER_SECRET')
  })
})

describe('jwt-mailer send', () => {
  let relay: ScriptedRelay
  let service: Service
  let slow = false
  beforeAll(async () => {
    relay = await scriptedRelay({ MAIL: () => (slow ? '451 later' : '250 ok') })
    service = await startService({
      mode: 'production',
      env: {
        JWT_MAILER_SECRET: secret,
        SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
        MAIL_FROM: 'noreply@example.com',
      },
    })
  })
  afterAll(async () => {
    await service.stop()
    await relay.close()
  })
  const send = (...words: string[]) => runBeside(['send', ...words], { JWT_MAILER_URL: service.url })

  test('sends a mail and says so', async () => {
    const { status, stdout } = await send(...mail)
    expect(stdout).toMatch(/^sent {2}[\w-]+\n$/)
    expect(status).toBe(0)
    expect(relay.mails).toHaveLength(1)
  })

  test('tells a refusal with the claim at fault and what it means', async () => {
    const { status, stdout, stderr } = await send('--to', 'ada@example.com')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/^claims_invalid \(email_link_url, --link-url\): /)
    expect(JSON.parse((await send('--to', 'ada@example.com', '--json')).stdout)).toMatchObject({
      ok: false,
      code: 'claims_invalid',
      claim: 'email_link_url',
    })
  })

  test('follows a queued mail until it is sent', async () => {
    slow = true
    const sending = send(...mail, '--wait', '--json')
    await expect
      .poll(() => relay.commands.filter((command) => command.startsWith('MAIL')).length)
      .toBeGreaterThan(1)
    slow = false
    const { status, stdout } = await sending
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, state: 'sent', attempts: 2 })
    expect(status).toBe(0)
  }, 90_000)

  test('stops waiting when it has waited long enough, and the mail is still queued', async () => {
    slow = true
    const { status, stdout } = await send(...mail, '--wait', '--timeout', '1', '--json')
    slow = false
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, state: 'queued' })
    expect(status).toBe(1)
  })

  test('says where nobody answers', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const { status, stderr } = await runBeside(['send', ...mail, '--url', url])
    expect(status).toBe(2)
    expect(stderr).toContain(`nobody answers at ${url}`)
    const wrong = await runBeside(['send', ...mail, '--url', 'localhost'])
    expect(wrong.stderr).toMatch(/^jwt-mailer: url must be where the mailer listens/)
  })
})

test('jwt-mailer serve starts the service, and ends it on SIGTERM', async () => {
  const port = await freePort()
  const service = await startService({
    mode: 'development',
    port,
    program: [bin, 'serve', '--port', String(port)],
    env: { JWT_MAILER_SECRET: secret },
  })
  expect(service.output()).toContain(`jwt-mailer listens on http://127.0.0.1:${port}`)
  expect(await service.stop()).toBe(0)
  expect(run(['serve', '--port', 'x']).stderr).toMatch(/1 to 65535/)
})
