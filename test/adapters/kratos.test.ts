import { describe, expect, it } from 'vitest'
import { kratosAdapter } from '../../src/adapters/kratos.ts'
import { testApp } from '../support/app.ts'
import { foreignSystems, kratosContext, mailsOfEveryKind } from '../support/foreign.ts'
import { courier } from '../support/kratos.ts'

const settings = foreignSystems.find(({ system }) => system === 'kratos')!.settings
const [secret = ''] = settings.secrets
const options = { mailsDir: mailsOfEveryKind(), routes: { adapters: [settings] } }
const link = 'https://auth.example.com/self-service/recovery?token=t0ken-secret&flow=1'

async function sent(...contexts: object[]) {
  const service = await testApp(options)
  const { messages, run } = courier(`${await service.url()}/adapters/kratos`, secret, contexts)
  await run()
  return { ...service, messages }
}

describe('a template of Kratos', () => {
  it.each([
    [
      'verification_code_valid',
      'verify-code',
      { verification_code: '493027', verification_url: link },
      '493027',
    ],
    ['verification_valid', 'confirmation', { verification_url: link }, link],
    ['recovery_code_valid', 'reset-code', { recovery_code: '493027' }, '493027'],
    ['recovery_valid', 'reset', { recovery_url: link }, link],
    ['login_code_valid', 'login-code', { login_code: '493027' }, '493027'],
    ['registration_code_valid', 'verify-code', { registration_code: '493027', traits: {} }, '493027'],
    ['recovery_invalid', 'no-account', {}, 'End.'],
    ['recovery_code_invalid', 'no-account', {}, 'End.'],
    ['verification_invalid', 'no-account', {}, 'End.'],
    ['verification_code_invalid', 'no-account', {}, 'End.'],
    ['verifiable_address_changed', 'address-changed', { changed_at: '2026-11-26T10:00:00Z' }, 'End.'],
    [
      'authenticator_key_added',
      'factor-changed',
      { added_at: '2026-11-26T10:00:00Z' },
      'Added Authenticator',
    ],
  ])('%s is the mail %s', async (type, kind, data, words) => {
    const { relay, mails } = await sent(kratosContext(type, data))
    await expect.poll(() => relay.mails.length).toBe(1)
    const [mail] = await mails()
    expect(mail?.subject).toBe(`${kind} en`)
    expect(mail?.text).toContain(words)
    expect(relay.mails[0]?.source).not.toContain('evil.example')
  })

  it.each([
    ['another origin', 'https://evil.example/self-service/recovery?token=1'],
    ['the origin as a name before another one', 'https://auth.example.com.evil.example/'],
    ['the origin as a user', 'https://auth.example.com@evil.example/'],
    ['another scheme', 'http://auth.example.com/'],
    ['another port', 'https://auth.example.com:8443/'],
    ['a backslash', 'https://evil.example\\@auth.example.com/'],
    ['no address', 'javascript:alert(1)'],
  ])('with a link to %s is no mail, and Kratos does not repeat it', async (_title, recovery_url) => {
    const { relay, messages, logLines } = await sent(kratosContext('recovery_valid', { recovery_url }))
    expect(messages).toMatchObject([{ status: 'sent', tries: 1 }])
    expect(relay.commands).toEqual([])
    expect(logLines()).toContainEqual(
      expect.objectContaining({ level: 50, msg: 'mail can never be sent', code: 'claims_invalid' }),
    )
  })

  it('that is unknown, without data, for no address or for a telephone costs one call and one line at error', async () => {
    const { relay, messages, logLines } = await sent(
      kratosContext('stub', {}),
      kratosContext('recovery_code_valid', {}),
      kratosContext('recovery_code_valid', { recovery_code: '1' }, { recipient: 'nobody' }),
      kratosContext('login_code_valid', { login_code: '1' }, { message_type: 'sms' }),
      { template_type: 'login_code_valid' },
    )
    expect(messages.map(({ tries }) => tries)).toEqual([1, 1, 1, 1, 1])
    expect(relay.commands).toEqual([])
    expect(logLines().filter(({ level }) => level === 50)).toHaveLength(5)
  })
})

describe('a mail says until when', () => {
  const expiryOf = (expires_in_minutes: unknown) => {
    const context = kratosContext('login_code_valid', { login_code: '1', expires_in_minutes })
    const request = { headers: {}, body: Buffer.alloc(0), now: 1_000_000 }
    return kratosAdapter(settings).readMails(context, request)[0]?.claims['email_link_exp']
  }
  it('it works, by expires_in_minutes', () => expect(expiryOf(15)).toBe(1000 + 900))
  it.each([[undefined], [null], [-1], [0], ['15'], [Number.MAX_VALUE]])('nothing, by %j', (minutes) =>
    expect(expiryOf(minutes)).toBeUndefined(),
  )
})

describe('the language', () => {
  it.each([
    [{ 'Accept-Language': ['de-AT,de;q=0.9,en;q=0.8'] }, 'de-AT'],
    [{ 'accept-language': 'en;q=0.5, it;q=0.9' }, 'it'],
    [{ 'Accept-Language': ['*'] }, undefined],
    [{ 'Accept-Language': ['de;q=0, *;q=0.1'] }, undefined],
    [{ 'Accept-Language': [7] }, undefined],
    [{ 'Accept-Language': [`${'a-'.repeat(4000)},de`] }, 'de'],
    [{}, undefined],
    [null, undefined],
  ])('of %j is %s', (request_headers, locale) => {
    const context = kratosContext('login_code_valid', { login_code: '1' }, { request_headers })
    const request = { headers: {}, body: Buffer.alloc(0), now: 0 }
    expect(kratosAdapter(settings).readMails(context, request)[0]?.claims['locale']).toBe(locale)
  })
})

describe('the courier of Kratos', () => {
  const codes = ['1001', '1002', '1003', '1004']
  const batch = codes.map((login_code) => kratosContext('login_code_valid', { login_code }))

  it('that sends its batch again after a failure yields each mail once', async () => {
    const { app, url, relay } = await testApp(options)
    let calls = 0
    app.addHook('onSend', async (_request, reply, body) => {
      // after the mail was stored
      if (++calls === 3 || calls === 6) void reply.code(502)
      return body
    })
    const { messages, run } = courier(`${await url()}/adapters/kratos`, secret, batch)
    await run()
    expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent', 'sent'])
    expect(calls).toBeGreaterThan(8)
    await expect.poll(() => relay.mails.length).toBe(4)
    expect(relay.mails).toHaveLength(4)
  })

  it('with another secret is told 401 each time, and gives up', async () => {
    const { url, relay } = await testApp(options)
    const { messages, run } = courier(`${await url()}/adapters/kratos`, 'another', batch.slice(0, 1))
    await run()
    expect(messages).toMatchObject([{ status: 'abandoned' }])
    expect(relay.commands).toEqual([])
  })
})
