/** `npm run demo:better-auth` in front of a real service, from registration to a confirmed account. */
import { expect, test } from 'vitest'
import { startSite } from './site.ts'

test('register, read the mail, open its link, sign in; then a new password', async () => {
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
