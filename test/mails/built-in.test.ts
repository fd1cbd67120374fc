/** What holds for every built-in mail, whatever its words: the inbox line, punctuation, one way to address the reader. */
import { describe, expect, test } from 'vitest'
import type { MailTemplate } from '../../src/mails/catalogue.ts'
import { sampleClaims } from '../../src/mails/sample.ts'
import { builtIn, render, today } from './catalogues.ts'
import { textOfHtml } from './structure.ts'

const { mails } = builtIn()
const named = mails.map((mail) => ({ name: `${mail.kind}.${mail.locale}`, mail }))
const article = (mail: MailTemplate) => render(mail, { ...sampleClaims(mail, today), inviter_name: '' })

/** Text without the sample values, whose spelling is their owner's. */
function words(mail: MailTemplate): string {
  const { subject, text, html } = article(mail)
  const { email_link_url, email_link_token } = sampleClaims(mail, today)
  return `${subject}\n${text}\n${textOfHtml(html)}`.replaceAll(`${email_link_url}${email_link_token}`, '')
}

/** Words that address the reader in the other way than the mails of this language do. */
const otherAddress: Record<string, RegExp> = {
  de: /\b(?:du|dir|dich|deine?[nmrs]?)\b/i,
  it: /\b(?:Lei|Suo|Sua|Suoi|voi|vostr[oaie])\b/,
  // `\b` takes the ê of "êtes" for no letter
  fr: /(?<!\p{L})(?:tu|toi|ton|ta|tes)(?!\p{L})/iu,
  es: /\b(?:usted|ustedes|vosotros|vuestr[oa]s?)\b/i,
}

describe.each(named)('$name', ({ mail }) => {
  test('has a subject of at most 50 characters that names the app', () => {
    const { subject } = article(mail)
    expect(subject).toContain('CatLoader')
    expect(subject.length).toBeLessThanOrEqual(50)
  })

  test('uses the quotes, apostrophes and spaces of its language, and shouts nowhere', () => {
    expect(words(mail)).not.toMatch(/["'!]/)
    if (mail.locale === 'fr') expect(words(mail)).not.toMatch(/[^\u00a0\d][?:;](?=\s|$)/m)
    else expect(words(mail)).not.toContain('\u00a0')
  })

  test('addresses the reader in one way', () => {
    expect(words(mail)).not.toMatch(otherAddress[mail.locale] ?? /^$/)
  })
})

test.each(['en', 'it', 'de', 'fr', 'es'])('a changed factor says what was removed, in %s', (locale) => {
  const mail = builtIn().find('default', 'factor-changed', locale)
  const { text } = render(mail, { user_email: 'ada@example.com', factor_removed: 'Passkey' })
  expect(text).toMatch(/^\p{L}+\u00a0?: Passkey$/mu)
})

test.each(['confirmation', 'signup', 'change', 'account-created'])('%s does without a key', (kind) => {
  for (const { locale } of mails.filter((mail) => mail.kind === kind)) {
    const mail = builtIn().find('default', kind, locale)
    const { user_aut_key_or_otp: key, ...claims } = sampleClaims(mail, today)
    expect(render(mail, { ...claims, user_aut_key_or_otp: key }).html).toContain('class="k" dir')
    const without = render(mail, claims)
    expect(without.html).not.toContain('class="k" dir')
    expect(without.text).not.toMatch(/access key|chiave|schlüssel|clé|clave/i)
  }
})
