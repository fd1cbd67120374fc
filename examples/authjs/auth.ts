/** The part to copy: Auth.js as its own documentation sets it up, and jwt-mailer for its mail. */
import type { AuthConfig } from '@auth/core'
import { jwtMailer } from 'jwt-mailer-client/authjs'
import { memoryAdapter } from './memory-adapter.ts'

export interface SiteOptions {
  readonly mailerUrl: string
  /** Shared with the mailer. */
  readonly mailerSecret: string
  /** The site's own, for sessions and links. */
  readonly siteSecret: string
}

export function authConfig({ mailerUrl, mailerSecret, siteSecret }: SiteOptions): AuthConfig {
  return {
    providers: [jwtMailer({ url: mailerUrl, secret: mailerSecret, maxAge: 3600 })],
    // a real site has one of authjs.dev/getting-started/database
    adapter: memoryAdapter(),
    secret: siteSecret,
    session: { strategy: 'jwt' },
    trustHost: true,
    basePath: '/auth',
  }
}
