/** `npm run demo:better-auth` and `npm run demo:authjs` in front of a real service; both build the client, one after the other. */
import { expect, test } from 'vitest'
import { startSite } from './site.ts'

test('better-auth: register, read the mail, open its link, sign in; then a new password', async () => {
  const { ask, linkOf } = await startSite('demo:better-auth')
  expect(await (await ask('/')).text()).toContain('Register')
  const account = {
    name: 'Ada',
    email: 'ada@example.com',
    password: 'correct horse',
    callbackURL: '/?confirmed',
  }
  expect((await ask('/api/auth/sign-up/email', { json: account })).status).toBe(200)
  expect(
    (await ask('/api/auth/sign-in/email', { json: { ...account, password: 'wrong horse' } })).status,
  ).toBe(401)
  const opened = await ask(await linkOf(1))
  expect(opened.headers.get('location')).toMatch(/\?confirmed$/)
  expect((await ask('/api/auth/sign-in/email', { json: account })).status).toBe(200)
  const session = await (await ask('/api/auth/get-session')).json()
  expect(session).toMatchObject({ user: { email: 'ada@example.com', emailVerified: true } })
  await ask('/api/auth/request-password-reset', { json: { email: account.email, redirectTo: '/' } })
  expect(await linkOf(2)).toContain('/api/auth/reset-password/')
}, 120_000)

test('Auth.js: sign in with an address, read the mail, open its link', async () => {
  const { ask, linkOf } = await startSite('demo:authjs')
  expect(await (await ask('/')).text()).toContain('/auth/signin')
  expect(await (await ask('/auth/signin')).text()).toContain('/auth/signin/jwt-mailer')
  const { csrfToken } = (await (await ask('/auth/csrf')).json()) as { csrfToken: string }
  const form = { email: 'ada@example.com', csrfToken }
  const asked = await ask('/auth/signin/jwt-mailer', { form })
  expect(asked.headers.get('location')).toContain('/auth/verify-request')
  await ask(await linkOf(1))
  expect(await (await ask('/')).text()).toContain('Signed in as ada@example.com.')
}, 120_000)
