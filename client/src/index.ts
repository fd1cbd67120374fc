/**
 * `jwt-mailer/client`: what an application needs to send confirmation mails and to take their links back. Depends on
 * jsonwebtoken only; Node 20 or newer.
 */
export type { ClientFailure, ClientFailureCode } from './answer.ts'
export { confirmationPage, type ConfirmationPageOptions, type Page } from './confirmation-page.ts'
export {
  linkToken,
  type BadLink,
  type GoodLink,
  type LinkTokenOptions,
  type Secrets,
  type VerifyOptions,
} from './link-token.ts'
export {
  createMailer,
  type Accepted,
  type CallOptions,
  type Kinds,
  type Mailer,
  type MailerOptions,
  type Status,
} from './mailer.ts'
export { mintToken, type Link, type MailContent, type MintOptions, type Recipient } from './mint.ts'
