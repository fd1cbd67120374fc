/** Everything of this site that talks to the mailer: seven mails, what a link that comes back is worth, and what a call is worth. */
import { randomUUID } from 'node:crypto'
import { type CallHeaders, createMailer, linkToken, type Recipient, webhook } from 'jwt-mailer/client'
import type { SentMail, User } from './accounts.ts'
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
  /** Signs what the mailer tells of our mails: its `JWT_MAILER_WEBHOOK_SECRET`. */
  readonly webhookSecret: string
  /** Keeps whose mail it is. */
  readonly noteMail: (mail: SentMail) => void
}

type Kinds = Mails['default']
export type Purpose = 'confirm' | 'reset' | 'change' | 'correct'

export function openMails({
  siteUrl,
  mailerUrl,
  mailerSecret,
  linkSecret: secret,
  ...options
}: MailsOptions) {
  const mailer = createMailer<Kinds>({ url: mailerUrl, secret: mailerSecret })

  function tokenFor(purpose: Purpose, user: User, address = user.address): string {
    // the version ends every older token as soon as the password or the address changes
    const data = { version: user.version, address }
    const subject = String(user.id)
    return linkToken.sign({ purpose, subject, data, secret, expiresInS: options.linkLifeS })
  }

  function linkTo(purpose: Purpose, user: User, address?: string) {
    return { url: `${siteUrl}/${purpose}/`, token: tokenFor(purpose, user, address) }
  }

  /** Nobody waits for it: how long an answer takes must not tell whether there is an account. */
  function send<Kind extends keyof Kinds>(kind: Kind, user: User, mail: Recipient & Kinds[Kind]): void {
    sendAndNote(kind, user, mail).catch(console.error)
  }

  async function sendAndNote<Kind extends keyof Kinds>(
    kind: Kind,
    user: User,
    mail: Recipient & Kinds[Kind],
  ): Promise<void> {
    const sent = Date.now()
    const answer = await mailer.send(kind, mail)
    if (!answer.ok) console.error(`no ${kind} mail: ${answer.code}`)
    const isLost = !answer.ok && answer.code === 'suppressed'
    // a suppressed mail was never stored, so it has no id
    const id = answer.id ?? (isLost ? randomUUID() : undefined)
    if (id !== undefined) options.noteMail({ id, user: user.id, address: mail.to, sent, isLost })
  }

  return {
    /** `retrySuppressed`: the person says that the address is right although a mail to it has bounced. */
    sendConfirm: (user: User, retrySuppressed = false) =>
      send('confirm', user, { to: user.address, link: linkTo('confirm', user), retrySuppressed }),
    sendCheck: (user: User) => send('check', user, { to: user.address, retrySuppressed: true }),
    sendRegistered: (user: User) => send('registered', user, { to: user.address }),
    sendReset: (user: User) => send('reset', user, { to: user.address, link: linkTo('reset', user) }),
    sendCode: (user: User, code: string) => send('reset-code', user, { to: user.address, accessKey: code }),
    sendChange: (user: User, to: string) => send('change', user, { to, link: linkTo('change', user, to) }),
    sendChanged: (user: User, now: string) =>
      send('changed', user, { to: user.address, data: { new_email: now } }),
    /** For a form that only who knew the password a moment ago may send. */
    tokenFor,
    /** For the page of a GET: looks, and burns nothing. */
    look: (purpose: Purpose, token: string) => linkToken.verify(token, { purpose, secret }),
    /** For the POST of its button. */
    take: (purpose: Purpose, token: string) => linkToken.verify(token, { purpose, secret, use: options.use }),
    /** `body` as it came: its signature is over the bytes. */
    readCall: (body: Uint8Array, headers: CallHeaders) =>
      webhook.verify(body, headers, options.webhookSecret),
  }
}
