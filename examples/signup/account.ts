/** Owns the home page, and the change of an address: confirmed at the new one, announced to the old one. */
import type { FastifyReply } from 'fastify'
import type { User } from './accounts.ts'
import { isItRight, undelivered } from './correct.ts'
import { addressIn, field, mayAsk, type Routes, sessionOf, tooOften } from './request.ts'
import { explain, showButton, targetOf } from './links.ts'
import { addressField, form, html, page, passwordField } from './pages.ts'
import { verifyPassword } from './passwords.ts'

const again = ['Change my address', '/address'] as const
const texts = {
  title: 'Use this address',
  text: 'From now on your account will use ADDRESS.',
  button: 'Yes, use it',
  again,
}

export const accountRoutes: Routes = (app, site) => {
  const { accounts, mails } = site

  app.get('/', async (request, reply) => {
    const user = accounts.userOf(sessionOf(request))
    if (!user)
      return page({
        title: 'Good evening',
        body: html`<p>Fresh roses for who has an account.</p>`,
        links: [
          ['Create an account', '/register'],
          ['Sign in', '/login'],
        ],
      })
    const isUnreachable = accounts.isUnreachable(user)
    const signedIn = `You are signed in as ${user.address}.`
    const signOut = form('/logout', reply.generateCsrf(), html``, 'Sign out')
    return page({
      title: 'Welcome back',
      told: isUnreachable ? undelivered(user) : signedIn,
      body: isUnreachable ? html`<p>${signedIn}</p>${signOut}` : signOut,
      links: [isUnreachable ? ['Correct the address', '/address'] : again],
    })
  })

  const addressPage = (csrf: string, user: User, told?: string) => {
    const isUnreachable = accounts.isUnreachable(user)
    const asked = isUnreachable ? html`${addressField(user.address)}${isItRight}` : addressField()
    return page({
      title: isUnreachable ? 'Correct your address' : 'Change your address',
      told: told ?? (isUnreachable ? undelivered(user) : undefined),
      body: form(
        '/address',
        csrf,
        html`${asked}${passwordField('Your password', 'current-password')}`,
        isUnreachable ? 'Send me a mail' : 'Send me a link',
      ),
      links: [['Home', '/']],
    })
  }

  app.get('/address', async (request, reply) => {
    const user = accounts.userOf(sessionOf(request))
    return user ? addressPage(reply.generateCsrf(), user) : reply.redirect('/login', 303)
  })

  app.post('/address', async (request, reply) => {
    const user = accounts.userOf(sessionOf(request))
    if (!user) return reply.redirect('/login', 303)
    const address = addressIn(request)
    if (address === undefined)
      return reply.code(422).send(addressPage(reply.generateCsrf(), user, 'That is no email address.'))
    if (!mayAsk(site, request, 'change', user.address)) return tooOften(reply)
    // a machine left open is not enough to take an account away
    if (!(await verifyPassword(field(request, 'password'), user.password)))
      return reply.code(401).send(addressPage(reply.generateCsrf(), user, 'The password is wrong.'))
    if (address === user.address) {
      mails.sendCheck(user)
      const told = `A mail is on its way to ${address}. When it is there, all is well.`
      return page({ title: 'Look into your mail', told, links: [['Home', '/']] })
    }
    // the same page when somebody else has the address; its owner learns that there is an account already
    const owner = accounts.userAt(address)
    if (!owner) mails.sendChange(user, address)
    else if (owner.verified) mails.sendRegistered(owner)
    const told = `If ${address} is free, a mail with a link is on its way there. Until you open it, nothing changes.`
    return page({ title: 'Look into your mail', told, links: [['Home', '/']] })
  })

  showButton(app, site, 'change', texts)

  app.post<{ Params: { token: string } }>('/change/:token', async (request, reply) => {
    const known = await targetOf(site, 'change', request.params.token, 'look')
    if (typeof known === 'string') return explain(reply, known, again)
    // else somebody could put a stranger's address on an account of their own, and the stranger would confirm it
    if (accounts.userOf(sessionOf(request))?.id !== known.user.id) return signInFirst(reply)
    const target = await targetOf(site, 'change', request.params.token, 'take')
    if (typeof target === 'string') return explain(reply, target, again)
    const { user, version, address } = target
    if (!accounts.setAddress(user.id, version, address)) return explain(reply, 'used', again)
    mails.sendChanged(user, address)
    return page({
      title: 'Your address has changed',
      told: `Your account uses ${address} now.`,
      links: [['Home', '/']],
    })
  })
}

function signInFirst(reply: FastifyReply): FastifyReply {
  const told =
    'Sign in with the account whose address you are changing, then open the link once more. You have none, or did not ask for this? Then do nothing.'
  return reply.code(401).send(page({ title: 'Sign in first', told, links: [['Sign in', '/login']] }))
}
