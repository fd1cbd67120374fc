/**
 * `jwt-mailer-client/better-auth`: the callbacks by which better-auth asks for mails. Each returns at once, and the mail
 * goes out behind it.
 */
import { type Asked, type BackgroundOptions, sendBehind } from './background.ts'
import { readClaims } from './sign.ts'

export type { BackgroundOptions, LostMail } from './background.ts'

/** The kinds of mail, by the callback that asks for them. `mails/default` of the service has them all. */
const ownKinds = {
  sendVerificationEmail: 'confirmation',
  /** The same callback, when the link confirms another address. */
  sendVerificationEmailOfChange: 'change',
  sendResetPassword: 'reset',
  onPasswordReset: 'password-changed',
  onExistingUserSignUp: 'account-exists',
  sendChangeEmailConfirmation: 'change-approval',
  sendDeleteAccountVerification: 'delete-account',
  sendMagicLink: 'magic-link',
  'sendVerificationOTP.sign-in': 'login-code',
  'sendVerificationOTP.email-verification': 'verify-code',
  'sendVerificationOTP.forget-password': 'reset-code',
  'sendVerificationOTP.change-email': 'verify-code',
  sendOTP: 'mfa-code',
  sendInvitationEmail: 'invite',
} as const

export interface BetterAuthMailsOptions extends BackgroundOptions {
  /** Kinds of yours instead of the built-in ones. */
  readonly kinds?: Partial<Record<keyof typeof ownKinds, string>> | undefined
  /**
   * Seconds that a link or a code works, where you tell better-auth so: the mail names the time, and is given up after it.
   * Confirmations and invitations say it by themselves.
   */
  readonly lifeS?:
    | Partial<Record<'resetPassword' | 'magicLink' | 'otp' | 'twoFactor' | 'deleteAccount', number>>
    | undefined
  /** Where an invitation leads: better-auth makes no address of it. */
  readonly invitationUrl?: ((id: string) => string) | undefined
}

interface User {
  readonly email: string
  readonly name?: string | null | undefined
}
export interface UserLink {
  readonly user: User
  readonly url: string
  readonly token: string
}
export interface Invitation {
  readonly id: string
  readonly email: string
  readonly role: string
  readonly organization: { readonly name: string }
  readonly inviter: { readonly user: User }
  readonly invitation?: { readonly expiresAt?: Date | undefined } | undefined
}

/** Throws a `TypeError` when the URL or the secret cannot be meant. */
export function betterAuthMails(options: BetterAuthMailsOptions) {
  const { kinds, lifeS = {}, invitationUrl } = options
  const send = sendBehind(options)
  const kindOf = (callback: keyof typeof ownKinds) => kinds?.[callback] ?? ownKinds[callback]
  const toUser = ({ email, name }: User) => ({ to: email, name: name || undefined })

  async function sendVerificationEmail({ user, url, token }: UserLink, request?: Request): Promise<void> {
    const { exp, updateTo } = readClaims(token)
    const kind = kindOf(updateTo === undefined ? 'sendVerificationEmail' : 'sendVerificationEmailOfChange')
    send(kind, { ...toUser(user), link: url, linkExpires: dateOf(exp) }, asked(request))
  }

  async function sendResetPassword({ user, url }: UserLink, request?: Request): Promise<void> {
    const linkExpires = inSeconds(lifeS.resetPassword)
    send(kindOf('sendResetPassword'), { ...toUser(user), link: url, linkExpires }, asked(request))
  }

  async function onPasswordReset({ user }: { user: User }, request?: Request): Promise<void> {
    send(kindOf('onPasswordReset'), toUser(user), asked(request))
  }

  async function onExistingUserSignUp({ user }: { user: User }, request?: Request): Promise<void> {
    send(kindOf('onExistingUserSignUp'), toUser(user), asked(request))
  }

  /** To the old address, which has to agree. */
  async function sendChangeEmailConfirmation(
    { user, newEmail, url, token }: UserLink & { readonly newEmail: string },
    request?: Request,
  ): Promise<void> {
    const linkExpires = dateOf(readClaims(token)['exp'])
    const mail = { ...toUser(user), link: url, linkExpires, data: { new_email: newEmail } }
    send(kindOf('sendChangeEmailConfirmation'), mail, asked(request))
  }

  async function sendDeleteAccountVerification({ user, url }: UserLink, request?: Request): Promise<void> {
    const linkExpires = inSeconds(lifeS.deleteAccount)
    send(kindOf('sendDeleteAccountVerification'), { ...toUser(user), link: url, linkExpires }, asked(request))
  }

  async function sendMagicLink(
    { email, url }: { readonly email: string; readonly url: string },
    ctx?: Asked,
  ): Promise<void> {
    send(kindOf('sendMagicLink'), { to: email, link: url, linkExpires: inSeconds(lifeS.magicLink) }, ctx)
  }

  async function sendVerificationOTP(
    {
      email,
      otp,
      type,
    }: {
      readonly email: string
      readonly otp: string
      readonly type: 'sign-in' | 'email-verification' | 'forget-password' | 'change-email'
    },
    ctx?: Asked,
  ): Promise<void> {
    const mail = { to: email, accessKey: otp, linkExpires: inSeconds(lifeS.otp) }
    send(kindOf(`sendVerificationOTP.${type}`), mail, ctx)
  }

  async function sendOTP(
    { user, otp }: { readonly user: User; readonly otp: string },
    ctx?: Asked,
  ): Promise<void> {
    const mail = { ...toUser(user), accessKey: otp, linkExpires: inSeconds(lifeS.twoFactor) }
    send(kindOf('sendOTP'), mail, ctx)
  }

  async function sendInvitationEmail(invitation: Invitation, request?: Request): Promise<void> {
    if (!invitationUrl) throw new TypeError('invitationUrl of betterAuthMails says where an invitation leads')
    const { id, email, role, organization, inviter } = invitation
    const data = {
      inviter_name: inviter.user.name || inviter.user.email,
      organisation: organization.name,
      role,
    }
    const linkExpires = invitation.invitation?.expiresAt
    send(
      kindOf('sendInvitationEmail'),
      { to: email, link: invitationUrl(id), linkExpires, data },
      asked(request),
    )
  }

  return {
    sendVerificationEmail,
    sendResetPassword,
    onPasswordReset,
    onExistingUserSignUp,
    sendChangeEmailConfirmation,
    /** Its name before better-auth 1.4. */
    sendChangeEmailVerification: sendChangeEmailConfirmation,
    sendDeleteAccountVerification,
    sendMagicLink,
    sendVerificationOTP,
    sendOTP,
    sendInvitationEmail,
  }
}

function asked(request: Request | undefined): Asked | undefined {
  return request && { request }
}

function inSeconds(seconds: number | undefined): Date | undefined {
  return seconds === undefined ? undefined : new Date(Date.now() + seconds * 1000)
}

function dateOf(exp: unknown): Date | undefined {
  return typeof exp === 'number' ? new Date(exp * 1000) : undefined
}
