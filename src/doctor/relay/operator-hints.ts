/** Owns how the doctor names a relay to its operator: its variables, its address, and how to correct them. */
import type { SmtpRelayConfig } from '../../relay-config.ts'

/** What the doctor has to know of an SMTP relay. */
export type SmtpRelay = Pick<SmtpRelayConfig, 'name' | 'host' | 'port' | 'tls' | 'auth'>

const apiVariables: Readonly<Record<string, string>> = {
  sendgrid: 'SENDGRID_API_KEY and SENDGRID_API_URL',
  ses: 'SES_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and SES_API_URL',
  postmark: 'POSTMARK_SERVER_TOKEN and POSTMARK_API_URL',
  mailgun: 'MAILGUN_API_KEY, MAILGUN_DOMAIN and MAILGUN_API_URL',
  resend: 'RESEND_API_KEY and RESEND_API_URL',
  brevo: 'BREVO_API_KEY and BREVO_API_URL',
}

/** The variables that configure a relay. */
export function variableOf({ name }: Pick<SmtpRelay, 'name'>): string {
  if (name === 'mailertogo') return 'MAILERTOGO_SMTP_HOST, _PORT, _USER and _PASSWORD'
  const ofApi = apiVariables[name]
  if (ofApi !== undefined) return ofApi
  return name.replace(/^smtp(\d*)$/, (_, number: string) => (number ? `SMTP_URL_${number}` : 'SMTP_URL'))
}

/** `host:port`, as in a URL. */
export function hostAndPort({ host, port }: Pick<SmtpRelay, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** What to configure for a port that begins in this way. */
export function todoToBegin(begin: 'tls' | 'plain text', relay: SmtpRelay): string {
  const tls = begin === 'tls'
  if (relay.name === 'mailertogo') {
    const why = tls
      ? 'the service begins with TLS on that port only'
      : 'on port 465 the service begins with TLS'
    return `Set MAILERTOGO_SMTP_PORT to ${tls ? 465 : 587}: ${why}.`
  }
  const [right, wrong] = tls ? ['smtps', 'smtp'] : ['smtp', 'smtps']
  return `Write ${right}:// instead of ${wrong}:// in ${variableOf(relay)}: port 587 is for smtp://, 465 for smtps://.`
}
