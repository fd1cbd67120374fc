/** Owns how somebody gets an account: register, confirm the address, ask for that mail again. */
import { addressIn, field, mayAsk, type Routes, type Site, tooOften } from './request.ts'
import { explain, targetOf } from './links.ts'
import { addressField, form, html, page, passwordField } from './pages.ts'
import { hashPassword, isPassword, verifyPassword } from './passwords.ts'

const again = ['Send me a new one', '/confirm-again'] as const
const quarterMs = 15 * 60_000

export const registerRoutes: Routes = (app, site) => {
  const { accounts, mails } = site
  const registerPage = (csrf: string, address = '', told?: string) =>
    page({
      title: 'Create an account',
      told,
      body: form(
        '/register',
        csrf,
        html`${addressField(address)}${passwordField('Password, 8 characters or more', 'new-password')}`,
        'Create account',
      ),
      links: [['I have one: sign in', '/login']],
    })

  app.get('/register', async (_request, reply) => registerPage(reply.generateCsrf()))

  app.post('/register', async (request, reply) => {
    const address = addressIn(request)
    const password = field(request, 'password')
    if (address === undefined || !isPassword(password)) {
      const told = address === undefined ? 'That is no email address.' : 'A password has 8 to 200 characters.'
      return reply.code(422).send(registerPage(reply.generateCsrf(), field(request, 'address'), told))
    }
    if (!mayAsk(site, request, 'register', address)) return tooOften(reply)
    registerAt(site, address, await hashPassword(password))
    return checkYourMail(address)
  })

  /**
   * Who reads the mail must also know the password: else whoever registers somebody else's address first, with a
   * password of their own, is let into the account that its owner confirms.
   */
  const confirmPage = (token: string, address: string, csrf: string, told?: string) =>
    page({
      title: 'Confirm your address',
      told,
      body: html`<p>${address} is yours, and you have just registered? Then your password makes the account ready.</p>
${form(`/confirm/${token}`, csrf, passwordField('The password you have chosen', 'current-password'), 'Yes, confirm')}`,
      links: [
        ['It was not me who registered: choose another password', '/reset'],
        ['Sign in', '/login'],
      ],
    })

  app.get<{ Params: { token: string } }>('/confirm/:token', async (request, reply) => {
    const { token } = request.params
    const target = await targetOf(site, 'confirm', token, 'look')
    if (typeof target === 'string') return explain(reply, target, again)
    return reply
      .header('x-robots-tag', 'noindex')
      .send(confirmPage(token, target.address, reply.generateCsrf()))
  })

  app.post<{ Params: { token: string } }>('/confirm/:token', async (request, reply) => {
    const { token } = request.params
    // before the link is burned
    const known = await targetOf(site, 'confirm', token, 'look')
    if (typeof known === 'string') return explain(reply, known, again)
    if (!accounts.mayGoOn(`confirm for ${known.address}`, 10, quarterMs)) return tooOften(reply)
    if (!(await verifyPassword(field(request, 'password'), known.user.password))) {
      const told = 'That is not the password with which this address was registered.'
      return reply.code(401).send(confirmPage(token, known.address, reply.generateCsrf(), told))
    }
    const target = await targetOf(site, 'confirm', token, 'take')
    if (typeof target === 'string') return explain(reply, target, again)
    if (!accounts.confirm(target.user.id, target.version)) return explain(reply, 'used', again)
    return page({
      title: 'Your address is confirmed',
      told: 'You can sign in now.',
      links: [['Sign in', '/login']],
    })
  })

  app.get('/confirm-again', async (_request, reply) =>
    page({
      title: 'Send the confirmation again',
      body: form('/confirm-again', reply.generateCsrf(), addressField(), 'Send it again'),
      links: [['Sign in', '/login']],
    }),
  )

  app.post('/confirm-again', async (request, reply) => {
    const address = addressIn(request)
    if (address === undefined) return reply.redirect('/confirm-again', 303)
    if (!mayAsk(site, request, 'confirm again', address)) return tooOften(reply)
    const user = accounts.userAt(address)
    if (user?.verified === 0) mails.sendConfirm(user)
    return checkYourMail(address)
  })
}

/** The same work whether or not the address has an account: only its owner reads which. */
export function registerAt({ accounts, mails }: Site, address: string, password: string): void {
  const user = accounts.register(address, password)
  const owner = user ?? accounts.userAt(address)
  if (user) mails.sendConfirm(user)
  else if (owner) mails.sendRegistered(owner)
}

/** The same page, too. */
export function checkYourMail(address: string): string {
  return page({
    title: 'Look into your mail',
    told: `If ${address} can be confirmed, a mail with a link is on its way there.`,
    body: html`<p>Nothing there after a minute? Look among the unwanted ones.</p>`,
    links: [
      ['Send it again', '/confirm-again'],
      ['Sign in', '/login'],
    ],
  })
}
