/**
 * `jwt-mailer-client`: what an application needs to send confirmation mails and to take their links back. It depends on
 * nothing but what Node 20, Deno, Bun and edge runtimes have in common.
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
  type Feedback,
  type Kinds,
  type Mailer,
  type MailerOptions,
  type Status,
} from './mailer.ts'
export {
  mailClaims,
  mintToken,
  type ClaimValue,
  type Link,
  type MailContent,
  type MintOptions,
  type Recipient,
} from './mint.ts'
export type { PrivateKey } from './sign.ts'
export {
  webhook,
  type BadCall,
  type CallHeaders,
  type GoodCall,
  type MailEvent,
  type MailEventType,
  type WebhookOptions,
} from './webhook.ts'
