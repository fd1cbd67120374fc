import { describe, expect, it } from 'vitest'
import { zitadelAdapter } from '../../src/adapters/zitadel.ts'
import { builtInMails } from '../../src/mails/built-in.ts'
import { testApp } from '../support/app.ts'
import {
  foreignSystems,
  mailsOfEveryKind,
  signZitadel,
  zitadelKey,
  zitadelMessage,
} from '../support/foreign.ts'
import { notify } from '../support/zitadel.ts'

const settings = foreignSystems.find(({ system }) => system === 'zitadel')!.settings
const options = { mailsDir: mailsOfEveryKind(), routes: { adapters: [settings] } }
const request = { headers: {}, body: Buffer.alloc(0), now: 1_000_000 }

async function sent(message: object, changes = {}) {
  const service = await testApp({ ...options, ...changes })
  expect(await notify(`${await service.url()}/adapters/zitadel`, message)).toEqual([200])
  await expect.poll(() => service.relay.mails.length).toBe(1)
  const [mail] = await service.mails()
  return mail!
}

describe('an event of Zitadel', () => {
  it.each([
    ['user.human.initialization.code.added', 'account-created'],
    ['user.human.email.code.added', 'confirmation'],
    ['user.human.password.code.added', 'reset'],
    ['user.human.invite.code.added', 'invite'],
  ])('%s is the mail %s with its link', async (type, kind) => {
    const mail = await sent(zitadelMessage(type))
    expect(mail.subject).toBe(`${kind} en`)
    expect(mail.text).toContain('https://login.example.com/ui/login/password/init?userID=7&code=C0DE42')
    expect(mail.text + mail.html).not.toContain('evil.example')
  })

  it.each([['user.human.mfa.otp.email.code.added'], ['session.otp.email.challenged']])(
    '%s is a mail with a code, which says until when it works',
    async (type) => {
      const message = zitadelMessage(type, { url: '' }, { code: undefined, oTP: '493027', expiry: 300e9 })
      expect((await sent(message)).text).toContain('493027')
      const [mail] = zitadelAdapter(settings).readMails(message, request)
      expect(mail?.claims['email_link_exp']).toBe(1000 + 300)
    },
  )

  it('user.human.password.changed is a notice, one for each change', async () => {
    const { url, relay } = await testApp(options)
    const address = `${await url()}/adapters/zitadel`
    const changed = (changeDate: string) =>
      zitadelMessage('user.human.password.changed', { url: '' }, { code: undefined, changeDate })
    for (const date of ['2026-11-26T10:00:00Z', '2026-11-26T10:00:00Z', '2026-11-26T11:00:00Z'])
      expect(await notify(address, changed(date))).toEqual([200])
    await expect.poll(() => relay.mails.length).toBe(2)
  })

  it('that we have no mail for, and every event when its texts are wanted, is its own text in a neutral frame', async () => {
    const routes = { adapters: [{ ...settings, ownTexts: true }] }
    const own = await sent(zitadelMessage('user.human.password.code.added'), {
      mailsDir: builtInMails,
      routes,
    })
    const other = await sent(zitadelMessage('user.domain.claimed'), { mailsDir: builtInMails })
    for (const { subject, text, html } of [own, other]) {
      expect(subject).toBe('Passwort zurücksetzen · Example')
      expect(text).toContain('Hallo Ada,')
      expect(text).toContain(
        'Passwort setzen:\nhttps://login.example.com/ui/login/password/init?userID=7&code=C0DE42',
      )
      expect(text).not.toContain('Footer')
      // its words stay words: neither tags nor links
      expect(html).not.toMatch(/href="https:\/\/evil|<b>https/)
      expect(html).toContain('&lt;b&gt;')
    }
  })

  it('with a link to another origin is no mail', async () => {
    const { url, relay, log } = await testApp(options)
    const message = zitadelMessage('user.human.password.code.added', { url: 'https://evil.example/reset' })
    expect(await notify(`${await url()}/adapters/zitadel`, message)).toEqual([422, 422, 422, 422])
    expect(relay.commands).toEqual([])
    expect(log()).not.toContain('evil')
  })
})

describe('the signature of Zitadel', () => {
  const body = JSON.stringify(zitadelMessage('user.human.password.code.added'))
  const check = (header: string | string[] | undefined, bytes = body) =>
    zitadelAdapter(settings).authorise({
      headers: { 'zitadel-signature': header },
      body: Buffer.from(bytes),
      now: Date.now(),
    })
  const good = () => signZitadel(body).headers['zitadel-signature'] ?? ''
  const [time = '', signature = ''] = good().split(',')

  it('is accepted among several, in any order, and beside versions of later', () => {
    check(signZitadel(body, `another|${zitadelKey}`).headers['zitadel-signature'])
    check(`${signature},${time}`)
    check(`${time}, ${signature}`)
    check(`${time},v2=abc,${signature},v0=`)
  })

  it.each([
    ['without a time', signature],
    ['with two times', `${time},t=1,${signature}`],
    ['with a time that is none', `t=now,${signature}`],
    ['with a time in milliseconds', `${time}000,${signature}`],
    ['without a signature', time],
    ['with an empty one', `${time},v1=`],
    ['of another version alone', `${time},${signature.replace('v1', 'v2')}`],
    ['cut short', `${time},${signature.slice(0, -2)}`],
    ['with something behind it', `${time},${signature}00`],
    ['behind more parts than are read', `${time},${'v1=00,'.repeat(1000)}${signature}`],
    ['that is missing', undefined],
  ])('is refused %s', (_title, header) => {
    expect(() => check(header)).toThrow(expect.objectContaining({ code: 'token_signature' }))
  })
})
