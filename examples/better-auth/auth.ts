/** The part to copy: better-auth as its own documentation sets it up, and jwt-mailer for every mail. */
import { DatabaseSync } from 'node:sqlite'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { betterAuthMails } from 'jwt-mailer-client/better-auth'

export interface SiteOptions {
  readonly siteUrl: string
  readonly mailerUrl: string
  /** Shared with the mailer. */
  readonly mailerSecret: string
  /** The site's own, for sessions and links. */
  readonly siteSecret: string
  /** A file, or `:memory:`. */
  readonly database: string
}

export async function openAuth({ siteUrl, mailerUrl, mailerSecret, siteSecret, database }: SiteOptions) {
  const mails = betterAuthMails({ url: mailerUrl, secret: mailerSecret })
  const auth = betterAuth({
    baseURL: siteUrl,
    secret: siteSecret,
    database: new DatabaseSync(database),
    emailVerification: { sendVerificationEmail: mails.sendVerificationEmail, sendOnSignIn: true },
    emailAndPassword: {
      enabled: true,
      requireEmailVerification: true,
      sendResetPassword: mails.sendResetPassword,
      onPasswordReset: mails.onPasswordReset,
      onExistingUserSignUp: mails.onExistingUserSignUp,
    },
  })
  // creates the tables; a real site does it when it is deployed
  const { runMigrations } = await getMigrations(auth.options)
  await runMigrations()
  return auth
}
