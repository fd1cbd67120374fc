/** Owns which transport talks to which kind of relay: a new kind is a file beside this one and a line in here. */
import type { RelayConfig } from '../relay-config.ts'
import type { BuildMime } from '../mime/mime.ts'
import type { Transport } from '../message.ts'
import { sendgridTransport } from './sendgrid.ts'
import { type SmtpOptions, smtpTransport } from './smtp.ts'

export interface RelayParts {
  readonly buildMime: BuildMime
  /** The sender of mails whose relay has none of its own. */
  readonly sender: string
  readonly smtp?: Pick<SmtpOptions, 'connectMs'> | undefined
}

/** The way to one relay; nothing is opened before the first mail. */
export function relayTransport(config: RelayConfig, { buildMime, sender, smtp }: RelayParts): Transport {
  if (config.kind === 'sendgrid') return sendgridTransport(config)
  const { from = sender } = config
  // the sender's domain, so that no local host name leaks
  return smtpTransport({ ...config, ehloName: from.slice(from.indexOf('@') + 1), buildMime, ...smtp })
}
