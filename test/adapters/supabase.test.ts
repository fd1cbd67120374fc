import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { supabaseAdapter } from '../../src/adapters/supabase.ts'
import { type ReadMail, testApp } from '../support/app.ts'
import { foreignSystems, mailsOfEveryKind, signSupabase, supabaseBody } from '../support/foreign.ts'
import { callHook } from '../support/gotrue.ts'
import { portOf } from '../support/port.ts'

const [
  { settings, otherSecret } = (() => {
    throw new Error('no Supabase')
  })(),
] = foreignSystems

const options = { mailsDir: mailsOfEveryKind(), routes: { adapters: [settings] } }

/** Calls the hook as Supabase Auth does, and waits until the mails that it should yield are there. */
async function hook(data: object, { user = {}, count = 1 } = {}): Promise<ReadMail[]> {
  const { url, relay, mails } = await testApp(options)
  const result = await callHook(`${await url()}/adapters/supabase`, supabaseBody(data, user))
  expect(result).toEqual({ failure: undefined, tries: 1 })
  await expect.poll(() => relay.mails.length).toBe(count)
  return (await mails()).toSorted((a, b) => String(a.to?.address).localeCompare(String(b.to?.address)))
}

const linkIn = ({ text }: ReadMail) => new URL(/https:\S+/.exec(text)?.[0] ?? '')

describe('a mail with a link', () => {
  it.each([
    ['signup', 'confirmation'],
    ['email', 'confirmation'],
    ['recovery', 'reset'],
    ['invite', 'invite'],
    ['magiclink', 'magic-link'],
    ['email_change', 'change'],
  ])('for %s is %s, and its link is the one that Supabase Auth verifies', async (type, kind) => {
    const [mail] = await hook({ email_action_type: type }, { user: { new_email: 'ada@example.com' } })
    expect(mail?.subject).toBe(`${kind} en`)
    expect(mail?.text).toContain('Code 493027.')
    const link = linkIn(mail!)
    expect(link.origin + link.pathname).toBe('https://project.supabase.co/auth/v1/verify')
    expect(Object.fromEntries(link.searchParams)).toEqual({
      type,
      token: 'pkce_0123456789abcdef0123456789abcdef',
      redirect_to: 'https://app.example.com/welcome?a=1&b=2',
    })
  })

  it.each([
    ['an address beside it', '@evil.example/'],
    ['another parameter', 'abc&redirect_to=https://evil.example'],
    ['a fragment', 'abc#evil'],
    ['a line break', 'abc\r\nBcc: x@evil.example'],
  ])('is never made of a hash that holds %s', async (_title, token_hash) => {
    const { app, relay } = await testApp(options)
    const { headers, body } = signSupabase(JSON.stringify(supabaseBody({ token_hash })))
    const answer = await app.inject({ method: 'POST', url: '/adapters/supabase', headers, payload: body })
    if (answer.statusCode !== 200) return expect(relay.commands).toEqual([])
    await expect.poll(() => relay.mails.length).toBe(1)
    expect(relay.mails[0]?.source).not.toMatch(/redirect_to=https:\/\/evil|^Bcc|#evil/m)
  })

  it('takes no base from the payload, and keeps what redirect_to holds inside its parameter', async () => {
    const [mail] = await hook({
      site_url: 'https://evil.example',
      redirect_to: 'https://a.example/#x&token=evil" onclick="y" \r\nBcc: z',
    })
    const link = linkIn(mail!)
    expect(link.host).toBe('project.supabase.co')
    expect(link.searchParams.getAll('token')).toEqual(['pkce_0123456789abcdef0123456789abcdef'])
    expect(mail?.html).not.toContain('onclick="')
  })
})

describe('a secure change of address', () => {
  const data = {
    email_action_type: 'email_change',
    token: '111111',
    token_new: '222222',
    token_hash: 'hashforthenewaddress',
    token_hash_new: 'hashfortheoldaddress',
  }
  const user = { email: 'old@example.com', new_email: 'new@example.com' }

  it('is two mails, with the crossed codes and hashes', async () => {
    const [toNew, toOld] = await hook(data, { user, count: 2 })
    expect(toNew).toMatchObject({ to: { address: 'new@example.com' }, subject: 'change en' })
    expect(toOld).toMatchObject({ to: { address: 'old@example.com' }, subject: 'change-approval en' })
    expect(linkIn(toNew!).searchParams.get('token')).toBe('hashforthenewaddress')
    expect(linkIn(toOld!).searchParams.get('token')).toBe('hashfortheoldaddress')
    expect(toNew?.text).toContain('222222')
    expect(toOld?.text).toContain('111111')
    for (const mail of [toNew, toOld]) expect(linkIn(mail!).searchParams.get('type')).toBe('email_change')
  })

  it('that is not secure is one mail, to the new address', async () => {
    const [mail] = await hook({ ...data, token_new: '', token_hash_new: '' }, { user })
    expect(mail).toMatchObject({ to: { address: 'new@example.com' }, subject: 'change en' })
    expect(mail?.text).toContain('111111')
  })

  it('stores the one mail where the other cannot be written, and fails', async () => {
    const { url, relay } = await testApp(options)
    const address = `${await url()}/adapters/supabase`
    const result = await callHook(address, supabaseBody(data, { ...user, email: 'no address' }))
    expect(result).toEqual({ failure: 'Unexpected status code returned from hook: 422', tries: 1 })
    await expect.poll(() => relay.mails.length).toBe(1)
  })
})

describe('a mail without a link', () => {
  it('for reauthentication holds the code alone', async () => {
    const [mail] = await hook({ email_action_type: 'reauthentication', token_hash: '' })
    expect(mail).toMatchObject({ subject: 'mfa-code en' })
    expect(mail?.text).toContain('493027')
  })

  it.each([
    ['password_changed_notification', 'password-changed', '', 'ada@example.com'],
    ['email_changed_notification', 'address-changed', 'now ada@example.com', 'before@example.com'],
    ['phone_changed_notification', 'factor-changed', 'Added Phone number', 'ada@example.com'],
    ['identity_linked_notification', 'factor-changed', 'Added github', 'ada@example.com'],
    ['identity_unlinked_notification', 'factor-changed', 'removed github', 'ada@example.com'],
    ['mfa_factor_enrolled_notification', 'factor-changed', 'Added totp', 'ada@example.com'],
    ['mfa_factor_unenrolled_notification', 'factor-changed', 'removed totp', 'ada@example.com'],
  ])('for %s is the notice %s', async (email_action_type, kind, words, address) => {
    const changes = { old_email: 'before@example.com', provider: 'github', factor_type: 'totp' }
    const empty = { token: '', token_hash: '' }
    const [mail] = await hook({ email_action_type, ...empty, ...changes })
    expect(mail).toMatchObject({ subject: `${kind} en`, to: { address } })
    expect(mail?.text.replaceAll('\n', ' ')).toContain(words)
  })

  it('is sent again for another call of the hook, and once for all tries of one', async () => {
    const { url, relay } = await testApp(options)
    const address = `${await url()}/adapters/supabase`
    const body = supabaseBody({ email_action_type: 'password_changed_notification' })
    await callHook(address, body)
    await callHook(address, body)
    await callHook(address, { ...body, metadata: { uuid: 'another call' } })
    await expect.poll(() => relay.mails.length).toBe(2)
  })

  it('without metadata, as older releases send it, is one mail within ten minutes', async () => {
    let minutes = 0
    const begun = Date.now()
    const { app, relay } = await testApp({ ...options, now: () => begun + minutes * 60_000 })
    const body = JSON.stringify({
      ...supabaseBody({ email_action_type: 'password_changed_notification' }),
      metadata: undefined,
    })
    for (const [later, mails] of [
      [0, 1],
      [5, 1],
      [20, 2],
    ] as const) {
      minutes = later
      const { headers } = signSupabase(body, undefined, new Date(begun + minutes * 60_000))
      const answer = await app.inject({ method: 'POST', url: '/adapters/supabase', headers, payload: body })
      expect(answer.statusCode).toBe(200)
      await expect.poll(() => relay.mails.length).toBe(mails)
    }
  })
})

describe('the language', () => {
  const languageOf = async (user: object, localeKey = 'locale') => {
    const adapter = supabaseAdapter({ ...settings, localeKey })
    const [mail] = adapter.readMails(supabaseBody({}, user), { headers: {}, body: Buffer.alloc(0), now: 0 })
    return mail?.claims['locale']
  }
  it('is what the key of user_metadata says', async () => {
    expect(await languageOf({ user_metadata: { locale: 'de-AT' } })).toBe('de-AT')
    expect(await languageOf({ user_metadata: { lang: 'de' } }, 'lang')).toBe('de')
    const [mail] = await hook({}, { user: { user_metadata: { locale: 'de-AT' } } })
    expect(mail?.subject).toBe('confirmation de')
  })
  it.each([
    [{ user_metadata: null }],
    [{ user_metadata: { locale: 7 } }],
    [{ user_metadata: { locale: '../en' } }],
    [{ user_metadata: {} }],
  ])('is not guessed from %j', async (user) => expect(await languageOf(user)).toBeUndefined())
})

describe('as Supabase Auth calls it', () => {
  it('with several secrets, whose signatures are joined by a comma and a space', async () => {
    const { url, relay } = await testApp(options)
    const [own] = settings.secrets
    for (const secrets of [`${otherSecret}|${own}`, `${own}|${otherSecret}`]) {
      const result = await callHook(`${await url()}/adapters/supabase`, supabaseBody({}), secrets)
      expect(result).toEqual({ failure: undefined, tries: 1 })
    }
    await expect.poll(() => relay.mails.length).toBe(1)
  })

  it('again after an answer that was lost: one mail', async () => {
    const { url, relay } = await testApp(options)
    const address = await url()
    let calls = 0
    const lossy = createServer((request, response) => void passOn(request, response)).listen(0, '127.0.0.1')
    async function passOn(request: IncomingMessage, response: ServerResponse) {
      const body = Buffer.concat(await request.toArray())
      const { host: _, connection: __, 'content-length': ___, ...headers } = request.headers
      const answer = await fetch(address + String(request.url), {
        method: 'POST',
        headers: headers as Record<string, string>,
        body,
      })
      if (++calls === 1) request.socket.destroy()
      else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
    }
    await once(lossy, 'listening')
    onTestFinished(() => void lossy.close())
    const result = await callHook(`http://127.0.0.1:${portOf(lossy)}/adapters/supabase`, supabaseBody({}))
    expect(result).toEqual({ failure: undefined, tries: 2 })
    await expect.poll(() => relay.mails.length).toBe(1)
  })

  it('answers a failure in its shape, with words that name no value', async () => {
    const { app } = await testApp(options)
    const ask = async (body: object, secrets?: string) => {
      const { headers, body: payload } = signSupabase(JSON.stringify(body), secrets)
      const answer = await app.inject({ method: 'POST', url: '/adapters/supabase', headers, payload })
      return answer.json<unknown>()
    }
    expect(await ask(supabaseBody({}), otherSecret)).toEqual({
      error: { http_code: 401, message: 'The secret or the signature is wrong (token_signature)' },
    })
    expect(await ask(supabaseBody({ email_action_type: 'new_thing' }))).toEqual({
      error: { http_code: 404, message: 'Unknown mail (mail_unknown)' },
    })
    expect(await ask(supabaseBody({}, { email: 'no address' }))).toMatchObject({
      error: { http_code: 422, message: expect.stringMatching(/user_email.*\(claims_invalid\)$/) as unknown },
    })
  })
})
