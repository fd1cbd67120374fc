/** The email provider of Auth.js, asked by `@auth/core` itself, until somebody is signed in by the mail. */
import { Auth, type AuthConfig } from '@auth/core'
import type { Adapter, AdapterUser, VerificationToken } from '@auth/core/adapters'
import { expect, test, vi } from 'vitest'
import { jwtMailer, type JwtMailerOptions } from '../../client/src/authjs.ts'
import { freePort } from '../support/port.ts'
import { testApp } from '../support/app.ts'
import { secret } from '../support/tokens.ts'

const origin = 'https://app.example.com'

/** What Auth.js needs of a database for mails. */
function memory(): Adapter {
  const users = new Map<string, AdapterUser>()
  const tokens = new Map<string, VerificationToken>()
  const keyOf = ({ identifier, token }: { identifier: string; token: string }) => `${identifier} ${token}`
  return {
    createUser: async (user) => (users.set(user.email, user), user),
    getUser: async (id) => [...users.values()].find((user) => user.id === id) ?? null,
    getUserByEmail: async (email) => users.get(email) ?? null,
    getUserByAccount: async () => null,
    updateUser: async (user) => Object.assign([...users.values()].find(({ id }) => id === user.id)!, user),
    linkAccount: async () => undefined,
    createVerificationToken: async (token) => (tokens.set(keyOf(token), token), token),
    useVerificationToken: async (key) => {
      const token = tokens.get(keyOf(key)) ?? null
      tokens.delete(keyOf(key))
      return token
    },
  }
}

async function site(options: Partial<JwtMailerOptions> = {}) {
  const service = await testApp()
  const work: Promise<unknown>[] = []
  const provider = jwtMailer({
    url: await service.url(),
    secret,
    waitUntil: (one) => void work.push(one),
    ...options,
  })
  const config: AuthConfig = {
    adapter: memory(),
    providers: [provider],
    secret: 'a secret of Auth.js that is long enough',
    session: { strategy: 'jwt' },
    trustHost: true,
    basePath: '/auth',
    logger: { error: () => undefined, warn: () => undefined },
  }
  const cookies = new Map<string, string>()

  async function ask(path: string, form?: Record<string, string>): Promise<Response> {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const headers = { cookie, 'accept-language': 'de-CH,de;q=0.9' }
    const url = path.startsWith('https:') ? path : `${origin}/auth${path}`
    const posted = form && { method: 'POST', body: new URLSearchParams(form) }
    const response = await Auth(new Request(url, { ...posted, headers }), config)
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return response
  }

  async function signIn(email: string): Promise<Response> {
    const { csrfToken } = (await (await ask('/csrf')).json()) as { csrfToken: string }
    return ask(`/signin/${provider.id}`, { email, csrfToken })
  }
  return { ...service, ask, signIn, work }
}

test('a sign-in by the mail, in the language of the browser, and only once', async () => {
  const { ask, signIn, work, mails } = await site()
  const asked = await signIn('ada@example.com')
  expect(asked.headers.get('location')).toMatch(/verify-request/)
  await Promise.all(work)
  const [mail] = await mails()
  expect(mail?.recipients).toEqual(['RCPT TO:<ada@example.com>'])
  expect(mail?.text).toMatch(/Anmelde|anmelden/)
  const [link = ''] = /https:\/\/app\.example\.com\S+/.exec(mail?.text ?? '') ?? []
  expect(link).toContain('/auth/callback/jwt-mailer?callbackUrl=')
  await ask(link)
  expect(await (await ask('/session')).json()).toMatchObject({ user: { email: 'ada@example.com' } })
  expect((await ask(link)).headers.get('location')).toMatch(/error=Verification/)
})

test('a service that is away holds nobody up, and the loss is told', async () => {
  const onLost = vi.fn<() => void>()
  const away = { url: `http://127.0.0.1:${await freePort()}`, retries: 0, onLost }
  const { signIn, work } = await site({ ...away, id: 'mail', kind: 'signup' })
  expect((await signIn('ada@example.com')).headers.get('location')).toMatch(/verify-request/)
  await Promise.all(work)
  expect(onLost).toHaveBeenCalledExactlyOnceWith({
    kind: 'signup',
    code: 'unreachable',
    told: 'no signup mail: unreachable',
  })
})
