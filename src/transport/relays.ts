/** Owns which transport talks to which kind of relay: a new kind is a file beside this one and a line in here. */
import type { RelayConfig, SmtpRelayConfig } from '../relay-config.ts'
import type { BuildMime } from '../mime/mime.ts'
import type { Transport } from '../message.ts'
import { brevoTransport } from './brevo.ts'
import { mailgunTransport } from './mailgun.ts'
import { tokenSource } from './oauth-token.ts'
import { postmarkTransport } from './postmark.ts'
import { resendTransport } from './resend.ts'
import { sendgridTransport } from './sendgrid.ts'
import { sesTransport } from './ses.ts'
import { type SmtpOptions, smtpTransport } from './smtp.ts'

export interface RelayParts {
  readonly buildMime: BuildMime
  /** The sender of mails whose relay has none of its own. */
  readonly sender: string
  readonly smtp?: Pick<SmtpOptions, 'connectMs' | 'onLimit'> | undefined
  /** For a person who asks: what the relay says about a mail it did not take. */
  readonly onRefusal?: SmtpOptions['onRefusal']
}

/** The way to one relay; nothing is opened before the first mail. */
export function relayTransport(config: RelayConfig, parts: RelayParts): Transport {
  const { buildMime, sender, smtp, onRefusal } = parts
  if (config.kind === 'sendgrid') return sendgridTransport({ ...config, onRefusal })
  if (config.kind === 'ses') return sesTransport({ ...config, buildMime, onRefusal })
  if (config.kind === 'postmark') return postmarkTransport({ ...config, onRefusal })
  if (config.kind === 'mailgun') return mailgunTransport({ ...config, buildMime, onRefusal })
  if (config.kind === 'resend') return resendTransport({ ...config, onRefusal })
  if (config.kind === 'brevo') return brevoTransport({ ...config, onRefusal })
  const { from = sender } = config
  // the sender's domain, so that no local host name leaks
  const ehloName = from.slice(from.indexOf('@') + 1)
  return smtpTransport({ ...config, auth: loginOf(config), ehloName, buildMime, onRefusal, ...smtp })
}

/** All connections of a relay share the source of its tokens. */
function loginOf({ auth }: SmtpRelayConfig): SmtpOptions['auth'] {
  if (!auth || 'pass' in auth) return auth
  return { user: auth.user, tokens: tokenSource(auth.oauth, auth.user) }
}
