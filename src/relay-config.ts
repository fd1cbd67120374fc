/** Owns what a transport has to know of its relay: where it is, how to log in, and what it can take. */
import type { AwsCredentials } from './aws-signature.ts'
import type { Rate } from './rate.ts'

/** Where one SMTP relay is, how to log in, and what it can take. */
export interface SmtpRelayConfig {
  readonly kind: 'smtp'
  readonly name: string
  readonly host: string
  readonly port: number
  /** `starttls` and `implicit` verify the certificate; `off` is for loopback only, which the configuration checks. */
  readonly tls: 'starttls' | 'implicit' | 'off'
  readonly auth: PasswordLogin | OauthLogin | undefined
  readonly connections: number
  /** `undefined`: as fast as it takes them. */
  readonly rate: Rate | undefined
  /** `undefined`: the sender of every mail. */
  readonly from: string | undefined
}

export interface PasswordLogin {
  readonly user: string
  readonly pass: string
}

/** A login by XOAUTH2: the user with an access token. */
export interface OauthLogin {
  readonly user: string
  readonly oauth: OauthConfig
}

/** Where access tokens come from. */
export type OauthConfig = {
  readonly tokenUrl: string
  readonly scope: string
} & (
  | { readonly grant: 'client_credentials'; readonly clientId: string; readonly clientSecret: string }
  | {
      readonly grant: 'jwt_bearer'
      readonly issuer: string
      readonly keyId: string | undefined
      readonly privateKey: string
    }
)

/** What all relays by HTTPS have: their address without a slash at its end, and how much of them we use. */
interface ApiRelayConfig<Name extends string> {
  readonly kind: Name
  readonly name: Name
  readonly baseUrl: string
  readonly connections: number
}

interface KeyRelayConfig<Name extends string> extends ApiRelayConfig<Name> {
  readonly apiKey: string
}

export type SendgridRelayConfig = KeyRelayConfig<'sendgrid'>
export type ResendRelayConfig = KeyRelayConfig<'resend'>
export type BrevoRelayConfig = KeyRelayConfig<'brevo'>

export interface SesRelayConfig extends ApiRelayConfig<'ses'> {
  readonly region: string
  readonly credentials: AwsCredentials
  readonly configurationSet: string | undefined
}

export interface PostmarkRelayConfig extends ApiRelayConfig<'postmark'> {
  readonly serverToken: string
  readonly messageStream: string
}

export interface MailgunRelayConfig extends KeyRelayConfig<'mailgun'> {
  readonly domain: string
}

/** The relays that we reach by HTTPS. */
export type HttpsRelayConfig =
  | SendgridRelayConfig
  | SesRelayConfig
  | PostmarkRelayConfig
  | MailgunRelayConfig
  | ResendRelayConfig
  | BrevoRelayConfig

export type RelayConfig = SmtpRelayConfig | HttpsRelayConfig
