/** `jwt-mailer token`: a token that is printed, and one that is explained. */
import jwt from 'jsonwebtoken'
import { describe, expect, test } from 'vitest'
import { runHere } from '../support/command.ts'
import { secret } from '../support/tokens.ts'
import { mailWords } from './mail-words.ts'
import { run as runProgram } from './program.ts'

const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runHere(words, { JWT_MAILER_SECRET: secret, ...env })

/** Standard input belongs to a process. */
const runWithInput = (words: readonly string[], input: string, env: Record<string, string> = {}) =>
  runProgram(words, { input, env: { JWT_MAILER_SECRET: secret, ...env } })

describe('jwt-mailer token', () => {
  test('prints a token, and beside it the line that sends it', async () => {
    const { status, stdout, stderr } = await run([
      'token',
      ...mailWords,
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
    const { stdout } = runWithInput(words, input, { JWT_MAILER_SECRET_MY_SHOP: 'of the shop' })
    const { token, url } = JSON.parse(stdout) as { token: string; url: string }
    expect(jwt.verify(token, 'of the shop')).toMatchObject({ user_aut_key: '493027', order: 7 })
    expect(url).toBe('http://localhost:8080/emailservice-my-shop/resetkey')
  })

  test.each([
    [['token'], /--to ADDRESS/],
    [['token', '--to', 'a@example.com', '--link-url', 'https://a.example/'], /two halves/],
    [['token', ...mailWords, '--expires', 'soon'], /10m/],
    [['token', ...mailWords, '--claim', 'x'], /name=value/],
    [['token', '--decode', 'hello'], /no token/],
  ])('%j is told what is missing', async (words, sentence) => {
    const { status, stdout, stderr } = await run(words)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(sentence)
  })

  test('says that standard input holds no claims', () => {
    const { status, stdout, stderr } = runWithInput(['token', '--claims', '-'], '')
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/standard input cannot be read/)
  })

  test('names the variable when there is no secret', async () => {
    const { status, stderr } = await run(['token', ...mailWords], { JWT_MAILER_SECRET: '' })
    expect(status).toBe(2)
    expect(stderr).toContain('JWT_MAILER_SECRET')
  })

  const signed = (claims: object, key = secret) =>
    jwt.sign({ user_email: 'ada.lovelace@example.com', ...claims }, key)
  const explain = (claims: object, key = secret, env = {}) =>
    run(['token', '--decode', signed(claims, key)], env)

  test('explains a token and hides what it holds', () => {
    const token = signed({ user_aut_key: 'KEY-OF-ADA', email_link_token: 'LINK-OF-ADA' })
    const { status, stdout } = runWithInput(['token', '--decode', '-'], `${token}\n`)
    expect(status).toBe(0)
    expect(stdout).toContain('a***@example.com')
    expect(stdout).toContain('signed with JWT_MAILER_SECRET')
    expect(stdout).not.toMatch(/lovelace|KEY-OF-ADA|LINK-OF-ADA/)
    expect(stdout).not.toContain(secret)
  })

  test.each([
    ['token_expired', { exp: 1_700_000_000 }, secret, /2023-11-14T22:13:20Z, \d+ days ago/],
    ['token_signature', {}, 'another', /none of the secrets/],
    ['token_not_yet_valid', { nbf: Math.floor(Date.now() / 1000) + 999_999 }, secret, /in \d+ days/],
    [
      'claims_invalid: Problem with token: user_email',
      { user_email: 'not an address' },
      secret,
      /signed with/,
    ],
  ])('says that the service would answer %s', async (answer, claims, key, words) => {
    const { status, stdout } = await explain(claims, key)
    expect(status).toBe(1)
    expect(stdout).toContain(`would answer ${answer}`)
    expect(stdout).toMatch(words)
  })

  test.each([
    ['a line break', `${secret}\n`, secret, /JWT_MAILER_SECRET as it is without the line breaks/],
    ['quotes', `"${secret}"`, secret, /without the line breaks, white space or quotes/],
    ['quotes and a line break', `'${secret}'\n`, secret, /without the line breaks, white space or quotes/],
    ['white space', ` ${secret}`, secret, /without the line breaks, white space or quotes/],
    ['the letters of a line break', `${secret}\\n`, secret, /without the line breaks/],
    ['a line break of the app', secret, `${secret}\n`, /and a line break behind it/],
    ['quotes of the app', secret, `"${secret}"`, /in double quotes/],
    ['an app that decodes it', btoa(secret), secret, /decoded from base64/],
    ['an app that encodes it', secret, btoa(secret), /encoded in base64/],
    ['hexadecimal', Buffer.from(secret).toString('hex'), secret, /decoded from hexadecimal/],
  ])('recognises a secret that was altered by %s', async (_title, ours, theirs, words) => {
    const { status, stdout } = await explain({}, theirs, { JWT_MAILER_SECRET: ours })
    expect(status).toBe(1)
    expect(stdout).toMatch(words)
    expect(stdout).toContain('would answer token_signature')
    expect(stdout).not.toContain(secret)
  })

  test('does nothing that a token would tell the terminal to do', async () => {
    const { stdout } = await explain({ name: '\u001b]0;owned\u0007\u009b2J', '\u001b[31m': 1 })
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  })

  test('says which variable is missing where nothing can be verified', async () => {
    const { status, stdout } = await explain({}, secret, { JWT_MAILER_SECRET: '' })
    expect(status).toBe(1)
    expect(stdout).toContain('set JWT_MAILER_SECRET')
  })
})
