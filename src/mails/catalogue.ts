/**
 * Owns which mails exist: app × kind × locale. For now the `default` app's mails, written here.
 */
import type { Claims } from '../contract.ts'
import { MailerError } from '../errors.ts'

/** One kind of one app in one locale, ready to be filled. */
export interface Mail {
  readonly app: string
  readonly kind: string
  readonly locale: string
}

export interface Catalogue {
  readonly mails: readonly Mail[]
  /** The mail for this app and kind (`undefined`: the app's default kind), in the nearest locale. Throws `mail_unknown`. */
  find(app: string, kind: string | undefined, locale: string | undefined): Mail
}
