import { describe, expect, it, onTestFinished } from 'vitest'
import { nameServer } from '../../../src/doctor/dns/name-server.ts'
import { providerOf } from '../../../src/doctor/dns/provider.ts'
import { examineSenderDomain } from '../../../src/doctor/dns/sender-domain.ts'
import { startDns, type Zone } from '../../support/dns.ts'
import { dkimRecord, domain, goodZone } from '../healthy-deployment.ts'

const own: Zone = {
  ...goodZone,
  [domain]: { TXT: ['v=spf1 ip4:192.0.2.9 -all'], MX: [[10, 'mx.example.com']] },
  'key1._domainkey.mail.example.com': {},
}
const key = (selector: string): Zone => ({ [`${selector}._domainkey.${domain}`]: { TXT: [dkimRecord.good] } })

/** What the doctor says of a domain that sends by this relay: level and sentence, without what MX and the policy say. */
async function saidOf(name: string, host: string, more: Zone = {}, selectors: string[] = []) {
  const dns = await startDns({ ...own, ...more })
  onTestFinished(() => dns.close())
  const { signal } = new AbortController()
  const said: string[] = []
  const providers = [providerOf({ name, host })]
  for await (const { level, says } of examineSenderDomain({
    domain,
    providers,
    selectors,
    dns: nameServer(dns.address, signal),
  }))
    said.push(`${level}: ${says}`)
  return said.filter((line) => !/bounces go to mx|DMARC at|SPF is sound|is good/.test(line))
}

describe('the sending domain of a provider', () => {
  it('may be recognised by the host of its SMTP', () => {
    const titles = [
      'email-smtp.eu-west-1.amazonaws.com',
      'email.us-east-1.amazonaws.com',
      'smtp.postmarkapp.com',
      'smtp.eu.mailgun.org',
      'smtp.resend.com',
      'smtp-relay.brevo.com',
      'smtp.sendgrid.net',
      'sendgrid.net.example.com',
    ].map((host) => providerOf({ name: 'smtp', host }).title)
    expect(titles).toEqual([
      'Amazon SES',
      'Amazon SES',
      'Postmark',
      'Mailgun',
      'Resend',
      'Brevo',
      'SendGrid',
      'relay smtp',
    ])
  })

  it('Amazon SES: SPF is SES’s own, and DKIM carries DMARC', async () => {
    expect(await saidOf('ses', 'email.eu-west-1.amazonaws.com', key('abc'), ['abc'])).toEqual([
      'ok: bounces of Amazon SES go to a domain of its own, with its SPF',
      'ok: mails by Amazon SES pass DMARC by DKIM',
    ])
    expect(await saidOf('ses', 'email.eu-west-1.amazonaws.com')).toEqual([
      'ok: bounces of Amazon SES go to a domain of its own, with its SPF',
      'warn: DKIM is not examined: the selectors of Amazon SES are not known',
      'warn: whether mails by Amazon SES pass DMARC cannot be told from here',
    ])
  })

  it('Postmark and Resend: SPF counts once their subdomain is there', async () => {
    const spf = { TXT: ['v=spf1 include:amazonses.com ~all'] }
    expect(await saidOf('resend', 'api.resend.com', { ...key('resend'), [`send.${domain}`]: spf })).toEqual([
      'ok: bounces of Resend go to send.mail.example.com, which has SPF',
      'ok: mails by Resend pass DMARC by SPF and DKIM',
    ])
    expect(await saidOf('resend', 'api.resend.com')).toEqual([
      'warn: send.mail.example.com has no SPF record, so bounces of Resend go to a domain of its own, and only DKIM counts for DMARC',
      'bad: no DKIM key of Resend (resend._domainkey.mail.example.com)',
      'bad: mails by Resend fail DMARC, and receivers reject them',
    ])
    const there = {
      [`pm-bounces.${domain}`]: { CNAME: 'pm.mtasv.net' },
      'pm.mtasv.net': { TXT: ['v=spf1 ip4:192.0.2.3 -all'] },
    }
    expect(
      (await saidOf('postmark', 'api.postmarkapp.com', { ...there, ...key('2026pm') }, ['2026pm'])).at(-1),
    ).toBe('ok: mails by Postmark pass DMARC by SPF and DKIM')
  })

  it('Brevo: one of its keys is enough, and no SPF record is needed', async () => {
    const bare = { [domain]: { MX: [[10, 'mx.example.com']] } } as const
    expect(await saidOf('brevo', 'api.brevo.com', { ...bare, ...key('brevo2') })).toEqual([
      'warn: no SPF record: its relays need none, but nothing says that others may not send its mail',
      'ok: bounces of Brevo go to a domain of its own, with its SPF',
      'ok: mails by Brevo pass DMARC by DKIM',
    ])
  })

  it('Mailgun: its servers belong into the SPF record', async () => {
    const said = await saidOf('mailgun', 'api.mailgun.net')
    expect(said[0]).toBe('bad: SPF does not include Mailgun (mailgun.org)')
  })
})
