import { describe, expect, it } from 'vitest'
import { usualCheckMs } from '../../src/doctor/run.ts'
import {
  certificate,
  domain,
  examine,
  goodRelay,
  lines,
  password,
  rawServer,
  secret,
  table,
} from './healthy-deployment.ts'

describe('a deployment', () => {
  it('is ✓ for everything of a healthy deployment, but for what it cannot know', async () => {
    await expect(table(await examine())).toMatchFileSnapshot('tables/healthy.txt')
  })

  it('that is broken gets a table of what is wrong and what to do', async () => {
    const stranger = await goodRelay({
      key: certificate('elsewhere.key'),
      cert: certificate('elsewhere.crt'),
    })
    const implicit = await goodRelay({ secure: true })
    const findings = await examine({
      stageMs: 2000,
      nodeVersion: '20.19.5',
      relay: { onMailFrom: (_address, _session, done) => done(new Error('sender not verified')) },
      env: {
        JWT_MAILER_SECRET: 'correct-horse-battery',
        SMTP_URL: `smtp://user:pass@localhost:${implicit.port}`,
        SMTP_URL_2: `smtp://user:pass@localhost:${stranger.port}`,
        SMTP_URL_3: `smtp://user:pass@localhost:1`,
        DATABASE_URL: 'postgres://mailer:geheim@127.0.0.1:1/mails',
      },
      zone: {
        [domain]: { TXT: ['v=spf1 include:other.test ~all'], MX: [[0, '.']] },
        'other.test': { TXT: [`v=spf1 ${'a:x.test '.repeat(11)}-all`] },
        [`_dmarc.${domain}`]: { TXT: ['v=DMARC1; p=none'] },
        [`key1._domainkey.${domain}`]: undefined,
      },
    })
    await expect(table(findings)).toMatchFileSnapshot('tables/broken.txt')
    for (const hidden of [password, secret, 'geheim', 'correct-horse'])
      expect(table(findings)).not.toContain(hidden)
  })

  it('where nobody answers at all is examined in less than 30 seconds: no check waits longer than it may', async () => {
    const silent = await rawServer(() => {})
    const findings = await examine({
      checkMs: 1_000,
      stageMs: 60_000,
      zone: { [domain]: 'silent', [`key1._domainkey.${domain}`]: 'silent' },
      env: {
        MAILERTOGO_SMTP_PORT: String(silent),
        SMTP_URL: `smtps://user:pass@localhost:${silent}`,
        SENDGRID_API_KEY: 'SG.nobody-home',
        SENDGRID_API_URL: `https://localhost:${silent}`,
        DATABASE_URL: `postgres://mailer:geheim@127.0.0.1:${silent}/mails`,
      },
    })
    const late = lines(findings, 'bad').filter((line) => line.includes('no end within 1 s'))
    expect(late.map((line) => line.slice(0, line.indexOf(':')))).toEqual([
      'relay mailertogo',
      'relay smtp',
      'relay sendgrid',
      `domain ${domain}`,
      'store',
      'clock',
    ])
    expect(usualCheckMs).toBeLessThan(30_000)
  })
})
