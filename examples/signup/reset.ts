/** Owns the way back in for who forgot the password: a link, or a code for who reads mail on another device. */
import { randomBytes } from 'node:crypto'
import { addressIn, field, mayAsk, type Routes, tooOften } from './request.ts'
import { explain, targetOf } from './links.ts'
import { addressField, codeField, form, html, page, passwordField } from './pages.ts'
import { hashPassword, isPassword } from './passwords.ts'

const again = ['Send me a new one', '/reset'] as const
const newPassword = passwordField('New password, 8 characters or more', 'new-password')
const tooWeak = 'A password has 8 to 200 characters.'

export const resetRoutes: Routes = (app, site, cookies) => {
  const { accounts, mails } = site

  app.get('/reset', async (_request, reply) => {
    const buttons = html`<button name="by" value="link">Send me a link</button>
<button name="by" value="code" class="quiet">Send me a code</button>`
    return page({
      title: 'Forgot your password?',
      body: form('/reset', reply.generateCsrf(), addressField(), buttons),
      links: [['Sign in', '/login']],
    })
  })

  app.post('/reset', async (request, reply) => {
    const address = addressIn(request)
    if (address === undefined) return reply.redirect('/reset', 303)
    if (!mayAsk(site, request, 'reset', address)) return tooOften(reply)
    const user = accounts.userAt(address)
    if (field(request, 'by') === 'code') {
      // who has read the code still needs the browser that asked for it
      const asked = randomBytes(32).toString('base64url')
      const code = accounts.makeCode(asked, user?.id)
      if (user) mails.sendCode(user, code)
      return reply.setCookie('asked', asked, cookies).redirect('/reset-code', 303)
    }
    if (user) mails.sendReset(user)
    const told = `If ${address} has an account, a mail with a link is on its way there.`
    return page({ title: 'Look into your mail', told, links: [again, ['Sign in', '/login']] })
  })

  const codePage = (csrf: string, told = 'If there is such an account, a mail with a code is on its way.') =>
    page({
      title: 'Type the code',
      told,
      body: form('/reset-code', csrf, html`${codeField}${newPassword}`, 'Save the password'),
      links: [again],
    })

  app.get('/reset-code', async (_request, reply) => codePage(reply.generateCsrf()))

  app.post('/reset-code', async (request, reply) => {
    const password = field(request, 'password')
    if (!isPassword(password)) return reply.code(422).send(codePage(reply.generateCsrf(), tooWeak))
    const user = accounts.takeCode(request.cookies['asked'] ?? '', field(request, 'code').replaceAll(' ', ''))
    // hashed for who has the code only: anybody may ask, and a hash is work
    if (!user || !accounts.setPassword(user.id, user.version, await hashPassword(password))) {
      const told = 'That is not the code, or it is over. After five tries ask for a new one.'
      return reply.code(401).send(codePage(reply.generateCsrf(), told))
    }
    return saved(reply.clearCookie('asked', cookies))
  })

  const linkPage = (token: string, csrf: string, told?: string) =>
    page({
      title: 'Choose a new password',
      told,
      body: form(`/reset/${token}`, csrf, newPassword, 'Save the password'),
    })

  app.get<{ Params: { token: string } }>('/reset/:token', async (request, reply) => {
    const { token } = request.params
    const target = await targetOf(site, 'reset', token, 'look')
    return typeof target === 'string' ? explain(reply, target, again) : linkPage(token, reply.generateCsrf())
  })

  app.post<{ Params: { token: string } }>('/reset/:token', async (request, reply) => {
    const { token } = request.params
    const password = field(request, 'password')
    // before the link is burned
    if (!isPassword(password)) return reply.code(422).send(linkPage(token, reply.generateCsrf(), tooWeak))
    const target = await targetOf(site, 'reset', token, 'take')
    if (typeof target === 'string') return explain(reply, target, again)
    const done = accounts.setPassword(target.user.id, target.version, await hashPassword(password))
    return done ? saved(reply) : explain(reply, 'used', again)
  })

  function saved(reply: Parameters<typeof explain>[0]) {
    reply.clearCookie('session', cookies)
    const told = 'You are signed out everywhere. Sign in with the new one.'
    return reply.send(page({ title: 'Your password is saved', told, links: [['Sign in', '/login']] }))
  }
}
