/** Owns what is publicly known of relay providers: what their customers put into DNS. A new provider is one entry. */
export interface Provider {
  readonly title: string
  /** Names in an SPF record that stand for its servers; the first is the one to add. */
  readonly spf: readonly string[]
  /** Its DKIM selectors, where every customer gets the same ones. */
  readonly selectors: readonly string[]
  /** Bounces may go to a subdomain with an SPF record of its own, so ours need not name it. */
  readonly ownReturnPath: boolean
}

const mailerToGo: Provider = {
  title: 'MailerToGo',
  spf: ['_spf.mailertogo.net', 'mailertogo.net'],
  selectors: [],
  ownReturnPath: false,
}

/** s1 and s2: "Automated Security", the usual way to authenticate a domain there. */
const sendGrid: Provider = {
  title: 'SendGrid',
  spf: ['sendgrid.net'],
  selectors: ['s1', 's2'],
  ownReturnPath: true,
}

/** By name or host, since SendGrid's SMTP is configured like any other. */
export function providerOf(relay: { readonly name: string; readonly host: string }): Provider {
  const host = `.${relay.host.toLowerCase()}`
  if (relay.name === 'mailertogo' || host.endsWith('.mailertogo.net')) return mailerToGo
  if (relay.name === 'sendgrid' || host.endsWith('.sendgrid.net') || host.endsWith('.sendgrid.com'))
    return sendGrid
  return { title: `relay ${relay.name}`, spf: [], selectors: [], ownReturnPath: false }
}
