/**
 * `jwt-mailer-client/authjs`: the email provider of Auth.js (`@auth/core`, next-auth 5, SvelteKit, Express …). It returns
 * at once, and the mail goes out behind it.
 */
import { type BackgroundOptions, sendBehind } from './background.ts'

export type { BackgroundOptions, LostMail } from './background.ts'

export interface JwtMailerOptions extends BackgroundOptions {
  /** The provider's name in `signIn('…')` and in the link, `jwt-mailer` without. */
  readonly id?: string | undefined
  /** What the button of the sign-in page says, `Email` without. */
  readonly name?: string | undefined
  /** Seconds that a link works, a day without. */
  readonly maxAge?: number | undefined
  /** The kind of mail, `magic-link` without. */
  readonly kind?: string | undefined
}

export interface VerificationRequest {
  readonly identifier: string
  readonly url: string
  readonly expires: Date
  readonly request?: Request | undefined
}

/** Throws a `TypeError` when the URL or the secret cannot be meant. */
export function jwtMailer(options: JwtMailerOptions) {
  const { id = 'jwt-mailer', name = 'Email', maxAge = 86_400, kind = 'magic-link' } = options
  const send = sendBehind(options)

  async function sendVerificationRequest(asked: VerificationRequest): Promise<void> {
    const { identifier, url, expires, request } = asked
    send(kind, { to: identifier, link: url, linkExpires: expires }, { request })
  }

  return { id, name, type: 'email' as const, maxAge, sendVerificationRequest }
}
