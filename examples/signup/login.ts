/** Owns signing in and out. */
import { correctPage, undelivered } from './correct.ts'
import { addressIn, field, type Routes, sessionOf, tooOften } from './request.ts'
import { addressField, form, html, page, passwordField } from './pages.ts'
import { verifyPassword } from './passwords.ts'

const quarterMs = 15 * 60_000

export const loginRoutes: Routes = (app, { accounts, mails }, cookies) => {
  const loginPage = (csrf: string, address = '', told?: string) =>
    page({
      title: 'Sign in',
      told,
      body: form(
        '/login',
        csrf,
        html`${addressField(address)}${passwordField('Password', 'current-password')}`,
        'Sign in',
      ),
      links: [
        ['Create an account', '/register'],
        ['Forgot your password?', '/reset'],
        ['Send the confirmation again', '/confirm-again'],
      ],
    })

  app.get('/login', async (_request, reply) => loginPage(reply.generateCsrf()))

  app.post('/login', async (request, reply) => {
    const address = addressIn(request) ?? ''
    const again = (told: string) =>
      reply.code(401).send(loginPage(reply.generateCsrf(), field(request, 'address'), told))
    const mayTry =
      accounts.mayGoOn(`login from ${request.ip}`, 100, quarterMs) &&
      accounts.mayGoOn(`login for ${address}`, 10, quarterMs)
    if (!mayTry) return tooOften(reply)
    const user = accounts.userAt(address)
    const right = await verifyPassword(field(request, 'password'), user?.password)
    if (!user || !right) return again('Address or password is wrong.')
    // what follows is told only to who knows the password
    if (!user.verified && accounts.isUnreachable(user)) {
      const token = mails.tokenFor('correct', user)
      return reply
        .code(401)
        .send(
          correctPage({ csrf: reply.generateCsrf(), token, address: user.address, told: undelivered(user) }),
        )
    }
    if (!user.verified)
      return again(
        'Confirm your address first: we sent you a link. "Send the confirmation again" sends a new one.',
      )
    // a new name for every session: one that somebody planted before is worth nothing
    accounts.end(sessionOf(request))
    return reply.setCookie('session', accounts.begin(user.id), cookies).redirect('/', 303)
  })

  app.post('/logout', async (request, reply) => {
    accounts.end(sessionOf(request))
    return reply.clearCookie('session', cookies).redirect('/', 303)
  })
}
