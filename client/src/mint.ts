/** Owns the wrapping token: what a caller says about a mail → the claims of the contract, signed. */
import { type PrivateKey, signer } from './sign.ts'

/** Texts, numbers, truth, and lists of texts or of objects that hold them; a date is a text. */
export type ClaimValue = string | number | boolean | null | undefined | readonly unknown[]

/** A link in two halves, one after the other, byte for byte. */
export interface Link {
  /** `https://app.example.com/confirm/` or `https://app.example.com/confirm?token=`. */
  readonly url: string
  /** What you want back when the link is opened, for example from `linkToken.sign`. */
  readonly token: string
}

/** What one mail says. Which of these it needs is written in its Markdown file; `jwt-mailer types` tells the compiler. */
export interface MailContent {
  /** Where the mail leads: a whole URL, or both its halves. */
  readonly link?: Link | string | undefined
  /** When the link or the code stops working. Without it the link token's own `exp` says so, where it is a JWT. */
  readonly linkExpires?: Date | undefined
  /** The access key or one-time code: 1 to 256 printable ASCII characters without spaces. */
  readonly accessKey?: string | undefined
  /** How to address the reader. */
  readonly name?: string | undefined
  /** The language, such as `it` or `it-IT`; without it, or when there is no such mail, the app's own. */
  readonly locale?: string | undefined
  /** Any further claims of the mail, by their names. */
  readonly data?: Readonly<Record<string, ClaimValue>> | undefined
}

/** Whom a mail is for, and which one it is. */
export interface Recipient {
  /** One plain address. */
  readonly to: string
  /**
   * The same key sent again, also from another process, is the same mail, for as long as the token lives: 1 to 200
   * characters. Without one every call is a mail of its own.
   */
  readonly idempotencyKey?: string | undefined
  /** Send although a mail to this address has bounced: the person has put her mailbox right. */
  readonly retrySuppressed?: boolean | undefined
}

export interface MintOptions extends MailContent, Recipient {
  /** The secret you share with the mailer, or a private key of your own. */
  readonly secret: string | PrivateKey
  /** What the service calls itself, where it wants to be named (`JWT_MAILER_AUDIENCE`). */
  readonly audience?: string | undefined
  /** Seconds the token lives, a day without. A repeat within that time is the same mail. */
  readonly expiresInS?: number | undefined
}

const dayS = 86_400
const maxKey = 200

/**
 * The token for one mail, with `jti`, `iat` and `exp`. A `TypeError` when `to` or `secret` is empty or the idempotency
 * key is too long; everything else is for the service to judge.
 */
export async function mintToken({ secret, ...mail }: MintOptions): Promise<string> {
  return signer(secret)(mailClaims(mail))
}

/** What the token says, for a signer of your own, such as a key service. */
export function mailClaims({
  expiresInS,
  audience,
  ...mail
}: Omit<MintOptions, 'secret'>): Record<string, unknown> {
  return { ...claimsOf(mail), ...(audience !== undefined && { aud: audience }), ...lifetime(expiresInS) }
}

export function lifetime(seconds = dayS): { iat: number; exp: number } {
  const iat = Math.floor(Date.now() / 1000)
  return { iat, exp: iat + Math.ceil(seconds) }
}

function claimsOf(mail: MailContent & Recipient): Record<string, unknown> {
  const { to, idempotencyKey = crypto.randomUUID(), link, linkExpires, accessKey, name, locale, data } = mail
  const { retrySuppressed } = mail
  if (typeof to !== 'string' || to === '') throw new TypeError('`to` is empty')
  if (idempotencyKey === '' || idempotencyKey.length > maxKey)
    throw new TypeError(`the idempotency key has 1 to ${maxKey} characters`)
  const claims = {
    // first, so that no claim of the mail can take the place of those the contract knows
    ...data,
    user_email: to,
    user_aut_key: accessKey,
    // the service takes it for the key, before the other
    user_aut_key_or_otp: undefined,
    ...linkClaims(link),
    ...(linkExpires && { email_link_exp: Math.floor(linkExpires.getTime() / 1000) }),
    user_name: name ?? data?.['user_name'],
    locale: locale ?? data?.['locale'],
    retry_suppressed: retrySuppressed === true ? true : undefined,
    jti: idempotencyKey,
    iat: undefined,
    exp: undefined,
    nbf: undefined,
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

/** All three names, so that no claim of the mail can stand beside them. */
function linkClaims(link: MailContent['link']) {
  const [whole, halves] = typeof link === 'string' ? [link] : [undefined, link]
  return { email_link: whole, email_link_url: halves?.url, email_link_token: halves?.token }
}
