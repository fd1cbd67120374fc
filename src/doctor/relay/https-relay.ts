/** Owns which examination belongs to which relay by HTTPS. */
import type { HttpsRelayConfig } from '../../relay-config.ts'
import { type Finding, untilStopped } from '../finding.ts'
import { brevoSteps } from './brevo.ts'
import { mailgunSteps } from './mailgun.ts'
import { postmarkSteps } from './postmark.ts'
import { resendSteps } from './resend.ts'
import { sendgridSteps } from './sendgrid.ts'
import { sesSteps } from './ses.ts'

/** Returns whether a mail can be sent there. `senders`: the addresses that mails come from. */
export function examineHttpsRelay(
  relay: HttpsRelayConfig,
  senders: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  return untilStopped(`relay ${relay.name}`, stepsOf(relay, senders, signal))
}

function stepsOf(
  relay: HttpsRelayConfig,
  senders: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  if (relay.kind === 'sendgrid') return sendgridSteps(relay, signal)
  if (relay.kind === 'ses') return sesSteps(relay, signal, senders)
  if (relay.kind === 'postmark') return postmarkSteps(relay, signal)
  if (relay.kind === 'mailgun') return mailgunSteps(relay, signal)
  if (relay.kind === 'resend') return resendSteps(relay, signal, senders)
  return brevoSteps(relay, signal, senders)
}
