/** Owns what a transport has to know of its relay: where it is, how to log in, and what it can take. */
import type { Rate } from './rate.ts'

/** Where one SMTP relay is, how to log in, and what it can take. */
export interface SmtpRelayConfig {
  readonly kind: 'smtp'
  readonly name: string
  readonly host: string
  readonly port: number
  /** `starttls` and `implicit` verify the certificate; `off` is for loopback only, which the configuration checks. */
  readonly tls: 'starttls' | 'implicit' | 'off'
  readonly auth: { readonly user: string; readonly pass: string } | undefined
  readonly connections: number
  /** `undefined`: as fast as it takes them. */
  readonly rate: Rate | undefined
  /** `undefined`: the sender of every mail. */
  readonly from: string | undefined
}

export interface SendgridRelayConfig {
  readonly kind: 'sendgrid'
  readonly name: 'sendgrid'
  readonly baseUrl: string
  readonly apiKey: string
  readonly connections: number
}

export type RelayConfig = SmtpRelayConfig | SendgridRelayConfig
