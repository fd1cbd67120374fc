/** Owns what is publicly known of relay providers: what their customers put into DNS. A new provider is one entry. */
export interface Provider {
  readonly title: string
  /** Names in an SPF record that stand for its servers; the first is the one to add. Empty where no record of ours names them. */
  readonly spf: readonly string[]
  /** Its DKIM selectors, where every customer gets the same ones. */
  readonly selectors: readonly string[]
  /**
   * Where bounces go. `ours`: to the sending domain, so its SPF record must name the provider. A label: there, or to this
   * subdomain, which has an SPF record of its own. `theirs`: to a domain of the provider, and to the subdomain `label`
   * where the customer has set that up; only then does SPF count for DMARC.
   */
  readonly bounces: 'ours' | { readonly label: string } | { readonly theirs: true; readonly label?: string }
}

/** The documents of each: what its dashboard asks a customer to put into DNS. */
const mailerToGo: Provider = {
  title: 'MailerToGo',
  spf: ['_spf.mailertogo.net', 'mailertogo.net'],
  selectors: [],
  bounces: 'ours',
}

/** s1 and s2: "Automated Security", the usual way to authenticate a domain there. */
const sendGrid: Provider = {
  title: 'SendGrid',
  spf: ['sendgrid.net'],
  selectors: ['s1', 's2'],
  bounces: { label: 'em…' },
}

/** Its three selectors are made for each domain. A MAIL FROM domain of our own may have any name. */
const ses: Provider = { title: 'Amazon SES', spf: [], selectors: [], bounces: { theirs: true } }

/** Selectors hold the date of the key. */
const postmark: Provider = {
  title: 'Postmark',
  spf: [],
  selectors: [],
  bounces: { theirs: true, label: 'pm-bounces' },
}

/** Bounces go to the domain that sends, which is often a subdomain of the one in From. */
const mailgun: Provider = {
  title: 'Mailgun',
  spf: ['mailgun.org'],
  selectors: [],
  bounces: { label: 'mg' },
}

/** Sends by Amazon SES, with a MAIL FROM domain that it asks every customer for. */
const resend: Provider = {
  title: 'Resend',
  spf: [],
  selectors: ['resend'],
  bounces: { theirs: true, label: 'send' },
}

/** brevo1 and brevo2: the records as CNAME. mail: the older TXT. */
const brevo: Provider = {
  title: 'Brevo',
  spf: [],
  selectors: ['brevo1', 'brevo2', 'mail'],
  bounces: { theirs: true },
}

const byName: Readonly<Record<string, Provider>> = {
  mailertogo: mailerToGo,
  sendgrid: sendGrid,
  ses,
  postmark,
  mailgun,
  resend,
  brevo,
}

const byHost: readonly [RegExp, Provider][] = [
  [/\.mailertogo\.net$/, mailerToGo],
  [/\.sendgrid\.(?:net|com)$/, sendGrid],
  [/\.email(?:-smtp)?(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com$/, ses],
  [/\.postmarkapp\.com$/, postmark],
  [/\.mailgun\.(?:org|net)$/, mailgun],
  [/\.resend\.com$/, resend],
  [/\.(?:brevo|sendinblue)\.com$/, brevo],
]

/** By name or host, since the SMTP of all of them is configured like any other. */
export function providerOf(relay: { readonly name: string; readonly host: string }): Provider {
  const host = `.${relay.host.toLowerCase()}`
  const known = byName[relay.name] ?? byHost.find(([pattern]) => pattern.test(host))?.[1]
  return known ?? { title: `relay ${relay.name}`, spf: [], selectors: [], bounces: 'ours' }
}

export const bouncesToItself = ({ bounces }: Provider) => bounces !== 'ours' && 'theirs' in bounces
