/** Owns which transport talks to which kind of relay: a new kind is a file beside this one and a line in here. */
import type { RelayConfig } from '../relay-config.ts'
import type { BuildMime } from '../mime/mime.ts'
import type { Transport } from '../message.ts'
import { brevoTransport } from './brevo.ts'
import { mailgunTransport } from './mailgun.ts'
import { postmarkTransport } from './postmark.ts'
import { resendTransport } from './resend.ts'
import { sendgridTransport } from './sendgrid.ts'
import { sesTransport } from './ses.ts'
import { type SmtpOptions, smtpTransport } from './smtp.ts'

export interface RelayParts {
  readonly buildMime: BuildMime
  /** The sender of mails whose relay has none of its own. */
  readonly sender: string
  readonly smtp?: Pick<SmtpOptions, 'connectMs' | 'onRefusal' | 'onLimit'> | undefined
}

/** The way to one relay; nothing is opened before the first mail. */
export function relayTransport(config: RelayConfig, { buildMime, sender, smtp }: RelayParts): Transport {
  if (config.kind === 'sendgrid') return sendgridTransport(config)
  if (config.kind === 'ses') return sesTransport({ ...config, buildMime })
  if (config.kind === 'postmark') return postmarkTransport(config)
  if (config.kind === 'mailgun') return mailgunTransport({ ...config, buildMime })
  if (config.kind === 'resend') return resendTransport(config)
  if (config.kind === 'brevo') return brevoTransport(config)
  const { from = sender } = config
  // the sender's domain, so that no local host name leaks
  return smtpTransport({ ...config, ehloName: from.slice(from.indexOf('@') + 1), buildMime, ...smtp })
}
