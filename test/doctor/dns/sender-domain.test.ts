import { describe, expect, it } from 'vitest'
import type { Finding } from '../../../src/doctor/finding.ts'
import type { Zone } from '../../support/dns.ts'
import {
  deployment,
  dkimRecord,
  domain,
  examine,
  lines,
  type Patient,
  rawServer,
} from '../healthy-deployment.ts'
import { examineDeployment } from '../../../src/doctor/deployment.ts'

type Changes = Readonly<Record<string, Zone[string] | undefined>>

/** What the doctor says of the sending domain when this is changed in its DNS, all but ✓. */
async function complaints(zone: Changes, selectors = ['key1'], patient: Patient = {}): Promise<string[]> {
  const findings = about(await examine({ zone, selectors, ...patient }))
  return [
    ...lines(findings, 'bad').map((line) => `✗ ${line}`),
    ...lines(findings, 'warn').map((line) => `! ${line}`),
  ]
}

function about(findings: readonly Finding[]): Finding[] {
  return findings
    .filter(({ area }) => area.startsWith('domain '))
    .map((finding) => ({ ...finding, area: 'domain' }))
}

const spf = (record: string, ...more: string[]): Changes => ({
  [domain]: { TXT: [record, ...more], MX: [[10, 'mx.example.com']] },
})
const dkim = (record: string): Changes => ({ 'key1.dkim.relay.test': { TXT: [record] } })
const dmarc = (...records: string[]): Changes => ({ [`_dmarc.${domain}`]: { TXT: records } })

describe('a sending domain that is set up well', () => {
  it('gets a ✓ for SPF, DKIM, DMARC and MX', async () => {
    expect(await complaints({})).toEqual([])
    expect(lines(about(await examine()), 'ok')).toMatchInlineSnapshot(`
      [
        "domain: SPF is sound (1 of 10 lookups)",
        "domain: SPF includes MailerToGo",
        "domain: DKIM key key1._domainkey.mail.example.com is good (RSA, 2048 bits)",
        "domain: DMARC at _dmarc.mail.example.com: reject",
        "domain: mails by MailerToGo pass DMARC by SPF and DKIM",
        "domain: bounces go to mx.example.com",
      ]
    `)
  })

  it('may have other records and an SPF of many includes below the limit', async () => {
    const chain = Array.from(
      { length: 7 },
      (_, n) => [`s${n}.test`, { TXT: ['v=spf1 ip4:192.0.2.1 -all'] }] as const,
    )
    const record = `v=spf1 include:_spf.mailertogo.net ${chain.map(([name]) => `include:${name}`).join(' ')} a mx -all`
    expect(
      await complaints({ ...Object.fromEntries(chain), ...spf(record, 'google-site-verification=abc') }),
    ).toEqual([])
  })

  it('may include MailerToGo by an include of an include, or by a redirect', async () => {
    const nested = {
      'spf.example.com': { TXT: ['v=spf1 include:mailertogo.net -all'] },
      'mailertogo.net': { TXT: ['v=spf1 include:_spf.mailertogo.net ~all'] },
    }
    expect(await complaints({ ...nested, ...spf('v=spf1 redirect=spf.example.com') })).toEqual([])
  })

  it('may take its DMARC policy and its DKIM key from the domain above', async () => {
    const above = {
      [`_dmarc.${domain}`]: undefined,
      '_dmarc.example.com': { TXT: ['v=DMARC1; p=reject; sp=quarantine'] },
      'key1._domainkey.mail.example.com': undefined,
      'key1._domainkey.example.com': { TXT: [dkimRecord.good] },
    }
    expect(await complaints(above)).toEqual([])
    expect(lines(about(await examine({ zone: above })), 'ok').join('\n')).toContain(
      'DMARC at _dmarc.example.com: quarantine',
    )
  })
})

describe('SPF', () => {
  it('that is missing is ✗', async () => {
    expect(await complaints({ [domain]: { MX: [[10, 'mx.example.com']] } })).toMatchInlineSnapshot(`
      [
        "✗ domain: no SPF record: nothing says who may send its mail → Add a TXT record at mail.example.com: "v=spf1 include:_spf.mailertogo.net ~all"",
      ]
    `)
  })

  it('that does not include the relay is ✗', async () => {
    expect(await complaints(spf('v=spf1 mx ~all'))).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF does not include MailerToGo (_spf.mailertogo.net) → Add include:_spf.mailertogo.net to the SPF record of mail.example.com.",
      ]
    `)
  })

  it('that needs more than ten lookups is ✗, counted through its includes', async () => {
    const nested = { 'big.test': { TXT: [`v=spf1 ${'a:x.test mx:y.test '.repeat(5)}-all`] } }
    expect(
      await complaints({ ...nested, ...spf('v=spf1 include:_spf.mailertogo.net include:big.test ~all') }),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF needs 12 DNS lookups and receivers give up after 10 (RFC 7208 4.6.4) → Remove includes of services that send no mail for you any more.",
      ]
    `)
  })

  it('that includes itself comes to an end', async () => {
    expect(
      await complaints(spf(`v=spf1 include:_spf.mailertogo.net include:${domain} ~all`)),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF: mail.example.com includes itself → Correct or remove it; receivers take it as no SPF at all.",
      ]
    `)
  })

  it('that includes what has no SPF, or has a misspelt mechanism, is ✗', async () => {
    expect(
      await complaints(spf('v=spf1 include:_spf.mailertogo.net include:gone.test ipv4:192.0.2.1 ~all')),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF: gone.test is included and has no SPF record → Correct or remove it; receivers take it as no SPF at all.",
        "✗ domain: SPF: "ipv4:192.0.2.1" at mail.example.com is no known mechanism → Correct or remove it; receivers take it as no SPF at all.",
      ]
    `)
  })

  it('that stands there twice is ✗', async () => {
    expect(
      await complaints(spf('v=spf1 include:_spf.mailertogo.net ~all', 'v=spf1 mx -all')),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: 2 SPF records, so receivers take none (RFC 7208 4.5) → Merge them into one: all includes in one record, one "all" at its end.",
      ]
    `)
  })

  it('that lets everybody send is ✗, and one that does not decide is !', async () => {
    expect(await complaints(spf('v=spf1 include:_spf.mailertogo.net +all'))).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF ends in +all: anybody may send its mail → End it in ~all or -all.",
      ]
    `)
    expect(await complaints(spf('v=spf1 include:_spf.mailertogo.net'))).toMatchInlineSnapshot(`
      [
        "! domain: SPF forbids no other server to send its mail → End it in ~all or -all.",
      ]
    `)
  })
})

describe('DKIM', () => {
  it('whose key is not there is ✗', async () => {
    expect(await complaints({ 'key1._domainkey.mail.example.com': undefined })).toMatchInlineSnapshot(`
      [
        "✗ domain: no DKIM key at key1._domainkey.mail.example.com → Add the record for key1 that your relay shows, or correct --dkim-selector.",
      ]
    `)
  })

  it('whose key is revoked, cut off or weak is told apart', async () => {
    expect(await complaints(dkim('v=DKIM1; p='))).toMatchInlineSnapshot(`
      [
        "✗ domain: DKIM key key1._domainkey.mail.example.com is revoked (p= is empty) → Let the relay make a new key, and replace the record by the one it shows.",
      ]
    `)
    expect(await complaints(dkim(dkimRecord.good.slice(0, 200)))).toMatchInlineSnapshot(`
      [
        "✗ domain: DKIM key key1._domainkey.mail.example.com is cut off or garbled → Copy the record again; long ones must be split into strings of 255 characters.",
      ]
    `)
    expect(await complaints(dkim(dkimRecord.short))).toMatchInlineSnapshot(`
      [
        "! domain: DKIM key key1._domainkey.mail.example.com has 1024 bits → Ask the relay for a key of 2048 bits.",
      ]
    `)
    expect(await complaints(dkim(`${dkimRecord.good}; t=y`))).toMatchInlineSnapshot(`
      [
        "! domain: DKIM key key1._domainkey.mail.example.com is in test mode (t=y) → Remove t=y from the record once mails pass.",
      ]
    `)
  })

  it('is a ! while nobody has named a selector', async () => {
    expect(await complaints({}, [])).toMatchInlineSnapshot(`
      [
        "! domain: DKIM is not examined: the selectors of MailerToGo are not known → Run doctor with --dkim-selector NAME: the part before ._domainkey in the record your relay shows, or s= in the DKIM-Signature of a received mail.",
      ]
    `)
  })
})

describe('DMARC', () => {
  it('that is missing is !', async () => {
    expect(await complaints({ [`_dmarc.${domain}`]: undefined })).toMatchInlineSnapshot(`
      [
        "! domain: no DMARC record: Gmail and Yahoo ask for one, and anybody may write as this domain → Add a TXT record at _dmarc.mail.example.com: "v=DMARC1; p=none; rua=mailto:dmarc@mail.example.com", and p=quarantine once the reports look right.",
      ]
    `)
  })

  it('that only watches is !, and one that says nothing valid, or twice, is ✗', async () => {
    expect(await complaints(dmarc('v=DMARC1; p=none'))).toMatchInlineSnapshot(`
      [
        "! domain: DMARC at _dmarc.mail.example.com: none → Anybody may still write as this domain: when the reports look right, set p=quarantine.",
      ]
    `)
    expect(await complaints(dmarc('v=DMARC1; rua=mailto:x@example.com'))).toMatchInlineSnapshot(`
      [
        "✗ domain: the DMARC record at _dmarc.mail.example.com has no valid policy → Write p=none, p=quarantine or p=reject.",
      ]
    `)
    expect(await complaints(dmarc('v=DMARC1; p=none', 'v=DMARC1; p=reject'))).toMatchInlineSnapshot(`
      [
        "✗ domain: 2 DMARC records at _dmarc.mail.example.com, so receivers take none → Leave one.",
      ]
    `)
  })

  it('that asks for exact domains is ✗ when the mails are signed by the domain above', async () => {
    const strict = {
      ...dmarc('v=DMARC1; p=reject; adkim=s'),
      ...spf('v=spf1 mx ~all'),
      'key1._domainkey.mail.example.com': undefined,
      'key1._domainkey.example.com': { TXT: [dkimRecord.good] },
    }
    expect(await complaints(strict)).toMatchInlineSnapshot(`
      [
        "✗ domain: SPF does not include MailerToGo (_spf.mailertogo.net) → Add include:_spf.mailertogo.net to the SPF record of mail.example.com.",
        "✗ domain: mails by MailerToGo fail DMARC (adkim=s, and they are signed by example.com), and receivers reject them → Let the relay sign with mail.example.com, or remove adkim=s.",
      ]
    `)
  })
})

describe('the way back of bounces', () => {
  it('is ✗ with a null MX', async () => {
    expect(
      await complaints({ [domain]: { TXT: ['v=spf1 include:_spf.mailertogo.net ~all'], MX: [[0, '.']] } }),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: null MX: it says that it takes no mail, so receivers refuse mail from it (RFC 7505 4.2) → Remove the null MX, or send from a domain that can take the bounces.",
      ]
    `)
  })

  it('is ✗ without MX and address, or with an MX that does not exist, and ! without MX', async () => {
    const TXT = ['v=spf1 include:_spf.mailertogo.net ~all']
    expect(await complaints({ [domain]: { TXT } })).toMatchInlineSnapshot(`
      [
        "✗ domain: has neither MX nor address: receivers think that it does not exist and refuse its mail → Is mail.example.com spelt right and registered? Then add an MX record.",
      ]
    `)
    expect(await complaints({ 'mx.example.com': undefined })).toMatchInlineSnapshot(`
      [
        "✗ domain: its MX mx.example.com has no address, so bounces and checks of receivers fail → Correct the MX record.",
      ]
    `)
    expect(await complaints({ [domain]: { TXT, A: ['192.0.2.9'] } })).toMatchInlineSnapshot(`
      [
        "! domain: no MX record: bounces go to its web server → Add an MX record of a server that takes the bounces.",
      ]
    `)
  })
})

describe('a DNS server', () => {
  it('that does not answer is told as such, once, and not as missing records', async () => {
    expect(
      await complaints({ [domain]: 'silent' }, ['key1'], { dnsMs: 300, checkMs: 6_000 }),
    ).toMatchInlineSnapshot(`
      [
        "✗ domain: DNS has no answer about mail.example.com (ETIMEOUT) → Check that 127.0.0.1:PORT answers to this machine.",
      ]
    `)
    expect(await complaints({ [domain]: 'fails' })).toMatchInlineSnapshot(`
      [
        "✗ domain: DNS has no answer about mail.example.com (ESERVFAIL) → Check that 127.0.0.1:PORT answers to this machine.",
      ]
    `)
  })

  it('that is not there is told as such', async () => {
    const { options } = await deployment()
    const port = await rawServer(() => {})
    const findings = about(await examineDeployment({ ...options, dns: `127.0.0.1:${port}` }))
    expect(lines(findings, 'bad')).toMatchInlineSnapshot(`
      [
        "domain: DNS has no answer about mail.example.com (ECONNREFUSED) → Check that 127.0.0.1:PORT answers to this machine.",
      ]
    `)
  })
})
