/** Owns what a person reads whose mail did not arrive, and how an address is put right that is not confirmed yet. */
import type { User } from './accounts.ts'
import { targetOf } from './links.ts'
import { addressField, form, html, page } from './pages.ts'
import { checkYourMail, registerAt } from './register.ts'
import { addressIn, field, mayAsk, type Routes, tooOften } from './request.ts'

export const undelivered = ({ address }: User) =>
  `We could not deliver mail to ${address}. Correct the address.`

/** Beside the field that holds it. */
export const isItRight = html`<p>It is right, and the mailbox works now? Then leave it as it is.</p>`

export interface CorrectPageOptions {
  readonly csrf: string
  /** Says whose address it is. The page is shown to who has just typed the password, and asks for it no second time. */
  readonly token: string
  readonly address: string
  readonly told: string
}

export const correctPage = ({ csrf, token, address, told }: CorrectPageOptions) =>
  page({
    title: 'Our mail did not arrive',
    told,
    body: form(
      '/correct',
      csrf,
      html`<input type="hidden" name="token" value="${token}">${addressField(address)}${isItRight}`,
      'Send the mail again',
    ),
    links: [['Sign in', '/login']],
  })

export const correctRoutes: Routes = (app, site) => {
  app.post('/correct', async (request, reply) => {
    const token = field(request, 'token')
    // before the token is burned
    const known = await targetOf(site, 'correct', token, 'look')
    if (typeof known === 'string' || known.user.verified) return reply.redirect('/login', 303)
    const { user } = known
    const address = addressIn(request)
    if (address === undefined) {
      const shown = { csrf: reply.generateCsrf(), token, address: field(request, 'address') }
      return reply.code(422).send(correctPage({ ...shown, told: 'That is no email address.' }))
    }
    if (!mayAsk(site, request, 'correct', user.address)) return tooOften(reply)
    if (typeof (await targetOf(site, 'correct', token, 'take')) === 'string')
      return reply.redirect('/login', 303)
    if (address === user.address) site.mails.sendConfirm(user, true)
    // nobody has confirmed the wrong one, so the account begins anew at the right one, with the same password
    else registerAt(site, address, user.password)
    return checkYourMail(address)
  })
}
