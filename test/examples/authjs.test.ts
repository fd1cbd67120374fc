/** `npm run demo:authjs` in front of a real service, from an address to a session. */
import { expect, test } from 'vitest'
import { startSite } from './site.ts'

test('sign in with an address, read the mail, open its link', async () => {
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
