/** Owns what the doctor has to know of a relay, and how its operator finds it again. */

/** An SMTP relay, as the configuration has it. */
export interface SmtpRelay {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly tls: 'starttls' | 'implicit' | 'off'
  readonly auth: { readonly user: string; readonly pass: string } | undefined
}

/** The variables that configure a relay. */
export function variableOf({ name }: Pick<SmtpRelay, 'name'>): string {
  if (name === 'mailertogo') return 'MAILERTOGO_SMTP_HOST, _PORT, _USER and _PASSWORD'
  if (name === 'sendgrid') return 'SENDGRID_API_KEY and SENDGRID_API_URL'
  return name.replace(/^smtp(\d*)$/, (_, number: string) => (number ? `SMTP_URL_${number}` : 'SMTP_URL'))
}

/** `host:port`, as in a URL. */
export function placeOf({ host, port }: Pick<SmtpRelay, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** How to make the configuration begin as the port does. */
export function beginWith(begin: 'tls' | 'plain text', relay: SmtpRelay): string {
  const tls = begin === 'tls'
  if (relay.name === 'mailertogo') {
    const why = tls ? 'only that port is taken to begin with TLS' : 'port 465 is taken to begin with TLS'
    return `Set MAILERTOGO_SMTP_PORT to ${tls ? 465 : 587}: ${why}.`
  }
  const [right, wrong] = tls ? ['smtps', 'smtp'] : ['smtp', 'smtps']
  return `Write ${right}:// instead of ${wrong}:// in ${variableOf(relay)}: port 587 is for smtp://, 465 for smtps://.`
}
