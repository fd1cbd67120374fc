/** Everything of this site that talks to the mailer: six mails, and what a link that comes back is worth. */
import { createMailer, linkToken, type Recipient } from 'jwt-mailer/client'
import type { User } from './accounts.ts'
import type { Mails } from './mail-types.d.ts'

export interface MailsOptions {
  readonly siteUrl: string
  readonly mailerUrl: string
  /** Shared with the mailer. */
  readonly mailerSecret: string
  /** This site's own: nobody else can make its links. */
  readonly linkSecret: string
  readonly linkLifeS: number
  /** Burns a link: true for the first who asks, false ever after. */
  readonly use: (id: string, expires: Date) => boolean
}

type Kinds = Mails['default']
export type Purpose = 'confirm' | 'reset' | 'change'

export function openMails({
  siteUrl,
  mailerUrl,
  mailerSecret,
  linkSecret: secret,
  ...options
}: MailsOptions) {
  const mailer = createMailer<Kinds>({ url: mailerUrl, secret: mailerSecret })

  function linkTo(purpose: Purpose, user: User, address = user.address) {
    // the version ends every older link as soon as the password or the address changes
    const data = { version: user.version, address }
    const subject = String(user.id)
    const token = linkToken.sign({ purpose, subject, data, secret, expiresInS: options.linkLifeS })
    return { url: `${siteUrl}/${purpose}/`, token }
  }

  /** Nobody waits for it: how long an answer takes must not tell whether there is an account. */
  async function send<Kind extends keyof Kinds>(kind: Kind, mail: Recipient & Kinds[Kind]): Promise<void> {
    const answer = await mailer.send(kind, mail)
    if (!answer.ok) console.error(`no ${kind} mail: ${answer.code}`)
  }

  return {
    sendConfirm: (user: User) => void send('confirm', { to: user.address, link: linkTo('confirm', user) }),
    sendRegistered: (user: User) => void send('registered', { to: user.address }),
    sendReset: (user: User) => void send('reset', { to: user.address, link: linkTo('reset', user) }),
    sendCode: (user: User, code: string) => void send('reset-code', { to: user.address, accessKey: code }),
    sendChange: (user: User, to: string) => void send('change', { to, link: linkTo('change', user, to) }),
    sendChanged: (old: string, now: string) => void send('changed', { to: old, data: { new_email: now } }),
    /** For the page of a GET: looks, and burns nothing. */
    look: (purpose: Purpose, token: string) => linkToken.verify(token, { purpose, secret }),
    /** For the POST of its button. */
    take: (purpose: Purpose, token: string) => linkToken.verify(token, { purpose, secret, use: options.use }),
  }
}
