/** Every callback of better-auth, asked by better-auth itself, until the mail has left a running service. */
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { emailOTP, magicLink, organization, twoFactor } from 'better-auth/plugins'
import { expect, test, vi } from 'vitest'
import { betterAuthMails, type BetterAuthMailsOptions } from '../../client/src/better-auth.ts'
import { freePort } from '../support/port.ts'
import { testApp } from '../support/app.ts'
import { secret } from '../support/tokens.ts'

const origin = 'https://app.example.com'
const password = 'correct horse battery'

async function site(options: Partial<BetterAuthMailsOptions> = {}) {
  const service = await testApp({ limits: {} })
  const work: Promise<unknown>[] = []
  const mails = betterAuthMails({
    url: await service.url(),
    secret,
    waitUntil: (one) => void work.push(one),
    invitationUrl: (id) => `${origin}/invitations/${id}`,
    lifeS: { otp: 300, magicLink: 300, twoFactor: 180, resetPassword: 3600, deleteAccount: 86_400 },
    ...options,
  })
  const tables = [
    'user',
    'session',
    'account',
    'verification',
    'twoFactor',
    'organization',
    'member',
    'invitation',
  ]
  const database = Object.fromEntries(tables.map((name) => [name, [] as Record<string, unknown>[]]))
  const auth = betterAuth({
    baseURL: origin,
    secret: 'a secret of better-auth that is long enough',
    database: memoryAdapter(database),
    rateLimit: { enabled: false },
    logger: { disabled: true },
    emailVerification: { sendVerificationEmail: mails.sendVerificationEmail, sendOnSignUp: true },
    emailAndPassword: {
      enabled: true,
      // a hash that is meant to be slow would be most of these tests
      password: {
        hash: async (plain) => `hash of ${plain}`,
        verify: async ({ hash, password: plain }) => hash === `hash of ${plain}`,
      },
      requireEmailVerification: true,
      sendResetPassword: mails.sendResetPassword,
      onPasswordReset: mails.onPasswordReset,
      onExistingUserSignUp: mails.onExistingUserSignUp,
    },
    user: {
      changeEmail: { enabled: true, sendChangeEmailConfirmation: mails.sendChangeEmailConfirmation },
      deleteUser: { enabled: true, sendDeleteAccountVerification: mails.sendDeleteAccountVerification },
    },
    plugins: [
      magicLink({ sendMagicLink: mails.sendMagicLink }),
      emailOTP({ sendVerificationOTP: mails.sendVerificationOTP }),
      twoFactor({ otpOptions: { sendOTP: mails.sendOTP } }),
      organization({ sendInvitationEmail: mails.sendInvitationEmail }),
    ],
  })
  const cookies = new Map<string, string>()

  /** As a browser asks: with its cookies, and in its language. */
  async function ask(path: string, body?: object, language = 'en'): Promise<Response> {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const headers = { origin, cookie, 'accept-language': language, 'content-type': 'application/json' }
    const url = path.startsWith('https:') ? path : `${origin}/api/auth${path}`
    const request = new Request(
      url,
      body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers },
    )
    const response = await auth.handler(request)
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return response
  }

  /** The newest mail, or that to an address, once all that was asked for has left: what goes side by side has no order. */
  async function newest(address = '') {
    await Promise.all(work.splice(0))
    const theirs = (await service.mails()).filter((mail) => mail.recipients.join().includes(address))
    const { recipients, text } = theirs.at(-1)!
    const [, link = ''] = /(https:\/\/app\.example\.com\/\S+)/.exec(text) ?? []
    const [, code = ''] = /^\s*(\d{6})\s*$/m.exec(text) ?? []
    return { to: /<(.*)>/.exec(recipients[0] ?? '')?.[1], text, link, code }
  }
  const count = async () => (await Promise.all(work.splice(0)), (await service.mails()).length)

  async function member(email = 'ada@example.com') {
    await ask('/sign-up/email', { email, password, name: 'Ada' })
    await ask((await newest()).link)
    const signedIn = await ask('/sign-in/email', { email, password })
    expect(signedIn.status).toBe(200)
    return email
  }
  return { ...service, ask, newest, count, member, cookies }
}

test('sign-up, its mail in the language of the browser, a confirmed account', async () => {
  const { ask, newest } = await site()
  const email = 'ada@example.com'
  expect((await ask('/sign-up/email', { email, password, name: 'Ada' }, 'it-IT,it;q=0.9')).status).toBe(200)
  expect((await ask('/sign-in/email', { email, password })).status).toBe(403)
  const mail = await newest()
  expect(mail).toMatchObject({ to: email, text: expect.stringMatching(/Ada[\s\S]*UTC/) })
  expect(mail.text).toMatch(/indirizzo/)
  expect((await ask(mail.link)).status).toBe(302)
  expect((await ask('/sign-in/email', { email, password })).status).toBe(200)
})

test('a second sign-up tells the owner of the account, and nobody else', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  const fresh = await ask('/sign-up/email', { email: 'bob@example.com', password, name: 'Bob' })
  const again = await ask('/sign-up/email', { email, password, name: 'Bob' })
  expect(again.status).toBe(fresh.status)
  expect(await newest(email)).toMatchObject({ to: email, text: expect.stringMatching(/already/i) })
})

test('a new password by a link, and a notice that it was changed', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  await ask('/request-password-reset', { email, redirectTo: '/choose' })
  const { to, link } = await newest()
  expect(to).toBe(email)
  expect(link).toContain('/reset-password/')
  const token = new URL((await ask(link)).headers.get('location') ?? '', origin).searchParams.get('token')
  expect((await ask('/reset-password', { newPassword: 'another horse', token })).status).toBe(200)
  expect(await newest()).toMatchObject({ to: email, text: expect.stringMatching(/password/i), link: '' })
})

test('another address: the old one approves, the new one confirms', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  await ask('/change-email', { newEmail: 'new@example.com', callbackURL: '/' })
  const approval = await newest()
  expect(approval).toMatchObject({ to: email, text: expect.stringContaining('new@example.com') })
  await ask(approval.link)
  const change = await newest()
  expect(change.to).toBe('new@example.com')
  expect(change.text).not.toBe(approval.text)
  await ask(change.link)
  expect((await ask('/sign-in/email', { email: 'new@example.com', password })).status).toBe(200)
})

test('the end of an account is confirmed by a link', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  await ask('/delete-user', { callbackURL: '/' })
  const mail = await newest()
  expect(mail.to).toBe(email)
  await ask(mail.link)
  expect((await ask('/sign-in/email', { email, password })).status).toBe(401)
})

test('a sign-in by a link', async () => {
  const { ask, newest, cookies } = await site()
  expect((await ask('/sign-in/magic-link', { email: 'eve@example.com' })).status).toBe(200)
  const { to, link } = await newest()
  expect(to).toBe('eve@example.com')
  await ask(link)
  expect([...cookies.keys()].join(' ')).toMatch(/session_token/)
})

test('codes, for each purpose a mail of its own', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  const texts = new Set<string>()
  for (const type of ['sign-in', 'email-verification', 'forget-password']) {
    expect((await ask('/email-otp/send-verification-otp', { email, type })).status).toBe(200)
    const { to, code, text } = await newest()
    expect(to).toBe(email)
    expect(code).toMatch(/^\d{6}$/)
    texts.add(text.replaceAll(code, 'CODE'))
    if (type === 'sign-in') expect((await ask('/sign-in/email-otp', { email, otp: code })).status).toBe(200)
  }
  expect(texts.size).toBe(3)
})

test('a code as the second step of signing in', async () => {
  const { ask, newest, member } = await site()
  const email = await member()
  await ask('/two-factor/enable', { password })
  await ask('/two-factor/send-otp', {})
  const { to, code } = await newest()
  expect(to).toBe(email)
  expect((await ask('/two-factor/verify-otp', { code })).status).toBe(200)
})

test('an invitation names who asks, to what and as what', async () => {
  const { ask, newest, member } = await site()
  await member()
  const made = await ask('/organization/create', { name: 'Blue Whales', slug: 'blue-whales' })
  const { id } = (await made.json()) as { id: string }
  await ask('/organization/invite-member', { email: 'bob@example.com', role: 'member', organizationId: id })
  const mail = await newest()
  expect(mail).toMatchObject({ to: 'bob@example.com', text: expect.stringMatching(/Ada[\s\S]*Blue Whales/) })
  expect(mail.link).toMatch(/\/invitations\/\w+/)
})

test('a link may lead to a page of the site instead', async () => {
  const { ask, newest } = await site({ link: (url) => `${origin}/open?to=${encodeURIComponent(url)}` })
  await ask('/sign-in/magic-link', { email: 'eve@example.com' })
  expect((await newest()).link).toMatch(/^https:\/\/app\.example\.com\/open\?to=https%3A/)
})

test('a service that is away holds nobody up, and the loss is told without address and link', async () => {
  const onLost = vi.fn<() => void>()
  const { ask, count } = await site({ url: `http://127.0.0.1:${await freePort()}`, retries: 0, onLost })
  const asked = await ask('/sign-up/email', { email: 'ada@example.com', password, name: 'Ada' })
  expect(asked.status).toBe(200)
  expect(await count()).toBe(0)
  expect(onLost).toHaveBeenCalledExactlyOnceWith({
    kind: 'confirmation',
    code: 'unreachable',
    told: 'no confirmation mail: unreachable',
  })
})

test('the answer does not wait for the mail', async () => {
  const work: Promise<unknown>[] = []
  const mails = betterAuthMails({
    url: `http://127.0.0.1:${await freePort()}`,
    secret,
    waitUntil: (one) => void work.push(one),
    retries: 0,
    onLost: () => undefined,
  })
  let ended = false
  await mails.sendMagicLink({ email: 'ada@example.com', url: `${origin}/x` })
  void work[0]?.then(() => (ended = true))
  await Promise.resolve()
  expect(work).toHaveLength(1)
  expect(ended).toBe(false)
  await work[0]
})

test('a callback of the site that throws ends neither the program nor the request', async () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const { ask, count } = await site({
    locale: () => {
      throw new Error('with a secret in it')
    },
  })
  expect((await ask('/sign-in/magic-link', { email: 'eve@example.com' })).status).toBe(200)
  expect(await count()).toBe(0)
  expect(error).toHaveBeenCalledWith('no magic-link mail: a callback of yours threw')
  error.mockRestore()
})
