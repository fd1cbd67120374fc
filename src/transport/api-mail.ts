/** Owns the parts of a mail that most APIs want in the same form: headers, names, mailboxes. */
import { automatic, messageId, oneLine } from '../mime/mime.ts'
import type { Mailbox, Message } from '../message.ts'

/** The headers that our own MIME has beside sender, recipient, subject and date. */
export function apiHeaders(message: Message): Record<string, string> {
  return {
    'Message-ID': messageId(message),
    'Content-Language': message.locale,
    'X-Entity-Ref-ID': message.id,
    ...automatic,
  }
}

/** Where an API does not quote a recipient's name, a comma in it would begin another address. Such a name stays away. */
export function recipientName({ to }: Message): string {
  return /^[\p{L}\p{M}\p{N} '’_-]+$/u.test(to.name) ? to.name : ''
}

/** `{ email, name }`, as SendGrid and Brevo write a mailbox. */
export function namedMailbox({ name, address }: Mailbox): { email: string; name?: string } {
  return name === '' ? { email: address } : { email: address, name: oneLine(name) }
}

/** `"Name" <address>`, as Postmark and Resend write one. */
export function quotedMailbox({ name, address }: Mailbox): string {
  const quoted = oneLine(name).replace(/["\\<>]/g, '')
  return quoted === '' ? address : `"${quoted}" <${address}>`
}
