/** Driven by Logto's own connector from npm. */
// @ts-expect-error -- the package has no types
import createConnector from '@logto/connector-http-email'
import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.ts'
import { foreignSystems, mailsOfEveryKind } from '../support/foreign.ts'

const settings = foreignSystems.find(({ system }) => system === 'logto')!.settings
const [secret = ''] = settings.secrets
const options = { mailsDir: mailsOfEveryKind(), routes: { adapters: [settings] } }

type Send = (data: object, config: object) => Promise<unknown>

async function connectorTo(url: string, authorization = `Bearer ${secret}`) {
  const make = createConnector as (options: object) => Promise<{ sendMessage: Send }>
  const { sendMessage } = await make({ getConfig: () => Promise.resolve({}) })
  return (type: string, payload: object) =>
    sendMessage(
      { to: 'ada@example.com', type, payload },
      { endpoint: `${url}/adapters/logto`, authorization },
    )
}

async function sent(type: string, payload: object) {
  const service = await testApp(options)
  const send = await connectorTo(await service.url())
  await send(type, payload)
  await expect.poll(() => service.relay.mails.length).toBe(1)
  const [mail] = await service.mails()
  return mail!
}

describe('the HTTP email connector of Logto', () => {
  it.each([
    ['SignIn', 'login-code'],
    ['Register', 'verify-code'],
    ['ForgotPassword', 'reset-code'],
    ['Generic', 'verify-code'],
    ['UserPermissionValidation', 'mfa-code'],
    ['BindNewIdentifier', 'verify-code'],
    ['MfaVerification', 'mfa-code'],
    ['BindMfa', 'mfa-code'],
    ['Test', 'verify-code'],
  ])('sends %s as %s, with its code', async (type, kind) => {
    const mail = await sent(type, { code: '493027' })
    expect(mail.subject).toBe(`${kind} en`)
    expect(mail.text).toContain('493027')
  })

  it.each([
    ['OrganizationInvitation', 'invite'],
    ['SignIn', 'magic-link'],
    ['Register', 'confirmation'],
    ['ForgotPassword', 'reset'],
  ])('sends %s with a link as %s', async (type, kind) => {
    const link = 'https://app.example.com/landing?token=abc'
    const mail = await sent(type, { link, locale: 'de', organization: { name: 'Babbage' } })
    expect(mail.subject).toBe(`${kind} de`)
    expect(mail.text).toContain(link)
  })

  it('hears what is wrong, in words that its administrator reads', async () => {
    const { url, relay } = await testApp(options)
    const send = await connectorTo(await url())
    const stranger = await connectorTo(await url(), 'Bearer another-secret-altogether')
    await expect(stranger('SignIn', { code: '1' })).rejects.toThrow('The secret or the signature is wrong')
    await expect(send('SignIn', {})).rejects.toThrow('user_aut_key')
    await expect(send('OrganizationInvitation', { link: 'https://evil.example/' })).rejects.toThrow(
      'email_link',
    )
    expect(relay.commands).toEqual([])
  })

  it('may test as often as its administrator likes; a code comes once', async () => {
    const { url, relay } = await testApp(options)
    const send = await connectorTo(await url())
    for (const type of ['Test', 'Test', 'SignIn', 'SignIn']) await send(type, { code: '000000' })
    await expect.poll(() => relay.mails.length).toBe(3)
  })
})
