import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examineDeployment } from '../../src/doctor/deployment.ts'
import { examineNode, examineSecrets } from '../../src/doctor/environment.ts'
import { examine, folder, lines, secret } from './healthy-deployment.ts'

describe('the doctor looks at the configuration', () => {
  it('and tells every problem of it, and what it therefore could not look at', async () => {
    const env = { NODE_ENV: 'production', JWT_MAILER_SECRET: secret, SMTP_URL: 'http://relay', PORT: 'many' }
    const findings = await examineDeployment({ env, nodeVersion: '24.21.0' })
    expect(lines(findings, 'bad')).toMatchInlineSnapshot(`
      [
        "configuration: PORT: must be a whole number from 0 to 65535 → Every variable is explained in .env.example.",
        "configuration: SMTP_URL: must look like smtp://user:password@host:587 or smtps://user:password@host:465 → Every variable is explained in .env.example.",
        "configuration: MAIL_FROM: the sender address is missing → Set MAIL_FROM=noreply@your-domain (a domain your relay may send for).",
      ]
    `)
    const mended = await examineDeployment({ env: { ...env, PORT: '80' }, nodeVersion: '24.21.0' })
    expect(lines(mended, 'bad')).toMatchInlineSnapshot(`
      [
        "configuration: SMTP_URL: must look like smtp://user:password@host:587 or smtps://user:password@host:465 → Every variable is explained in .env.example.",
        "configuration: MAIL_FROM: the sender address is missing → Set MAIL_FROM=noreply@your-domain (a domain your relay may send for).",
      ]
    `)
    expect(lines(mended, 'warn')).toMatchInlineSnapshot(`
      [
        "relays: relays, DNS, links, store and clock are not examined yet → Mend the configuration, then run doctor again.",
      ]
    `)
  })

  it('and says how DATABASE_URL is written, without a word of the one there is', async () => {
    const findings = await examine({ env: { DATABASE_URL: 'postgres://user:pa#ssword@db.test/mails' } })
    expect(lines(findings, 'bad')).toEqual([
      'configuration: DATABASE_URL: must look like postgres://user:password@host:5432/database, with "/", "?", "#", "@" and "%" in the password percent-encoded; for a socket postgres://user:password@localhost/database?host=/folder → Every variable is explained in .env.example.',
    ])
  })

  it('and passes its warnings on', async () => {
    const findings = await examine({ env: { DYNO: 'web.1' } })
    expect(lines(findings, 'warn').filter((line) => line.startsWith('configuration'))).toMatchInlineSnapshot(`
      [
        "configuration: DATABASE_URL: is not set, and a dyno loses its disk at every restart, with the mails that still wait → Add Heroku Postgres.",
      ]
    `)
  })

  it('and leaves what is said of a weak secret to the look at secrets', async () => {
    const findings = await examine({ env: { JWT_MAILER_SECRET: 'correct-horse-battery', DYNO: 'web.1' } })
    const areas = findings.filter(({ says }) => says.includes('JWT_MAILER_SECRET')).map(({ area }) => area)
    expect(areas).toEqual(['secrets'])
  })

  it('and says in development that mails go to the inbox', async () => {
    const findings = await examineDeployment({ env: { DATA_DIR: folder() }, nodeVersion: '24.21.0' })
    expect(lines(findings, 'bad')).toEqual([])
    expect(lines(findings, 'warn')).toMatchInlineSnapshot(`
      [
        "secrets: none is set, so one is made up at every start → Set JWT_MAILER_SECRET to what your apps sign with.",
        "relays: none is configured: mails go to the built-in inbox → Set SMTP_URL=smtp://user:password@host:587 before this goes to production.",
        "clock: unknown: neither the database nor the API of a relay could be asked for the time → Compare \`date -u\` with a clock you trust; more than a minute off, and tokens are refused.",
      ]
    `)
  })
})

describe('the doctor looks at secrets', () => {
  const judge = (env: NodeJS.ProcessEnv) => [
    ...lines(examineSecrets(env), 'bad'),
    ...lines(examineSecrets(env), 'warn'),
  ]

  it('and takes a random one of 32 bytes for good', () => {
    expect(judge({ JWT_MAILER_SECRET: secret, JWT_MAILER_SECRET_BLOG: secret.toLowerCase() })).toEqual([])
  })

  it('and notices one that was altered on its way', () => {
    expect(judge({ JWT_MAILER_SECRET: `${secret}\n`, JWT_MAILER_SECRET_BLOG: `"${secret}"` })).toEqual([
      'secrets: JWT_MAILER_SECRET ends with a line break → Set it to the bare value; apps whose secret has not the same characters get token_signature.',
      'secrets: JWT_MAILER_SECRET_BLOG is in quotes, which belong to its value → Set it to the bare value; apps whose secret has not the same characters get token_signature.',
    ])
  })

  it('and names the ones that can be guessed, without saying them', () => {
    const said = judge({
      JWT_MAILER_SECRET: 'hunter2',
      JWT_MAILER_SECRET_BLOG: 'change-me-before-production-please!!',
      JWT_MAILER_SECRET_CAT: 'abababababababababababababababababab',
      JWT_MAILER_SECRET_CAT_PREVIOUS: secret.slice(0, 20),
    })
    expect(said).toMatchInlineSnapshot(`
      [
        "secrets: JWT_MAILER_SECRET has only 7 bytes: anybody who sees a token can guess it → Make a new one (openssl rand -base64 32) and rotate: the old one goes to JWT_MAILER_SECRET_PREVIOUS until every app signs with the new one.",
        "secrets: JWT_MAILER_SECRET_BLOG looks like a placeholder: anybody who sees a token can guess it → Make a new one (openssl rand -base64 32) and rotate: the old one goes to JWT_MAILER_SECRET_BLOG_PREVIOUS until every app signs with the new one.",
        "secrets: JWT_MAILER_SECRET_CAT looks like a placeholder: anybody who sees a token can guess it → Make a new one (openssl rand -base64 32) and rotate: the old one goes to JWT_MAILER_SECRET_CAT_PREVIOUS until every app signs with the new one.",
        "secrets: JWT_MAILER_SECRET_CAT_PREVIOUS has 20 bytes; 32 are the least for HS256 (RFC 7518 3.2) → Remove JWT_MAILER_SECRET_CAT_PREVIOUS as soon as no app signs with it any more.",
      ]
    `)
    expect(said.join('\n')).not.toMatch(/hunter2|change-me|abab|q8Jx/)
  })

  it('and says when the previous one is the current one', () => {
    expect(judge({ JWT_MAILER_SECRET: secret, JWT_MAILER_SECRET_PREVIOUS: secret })).toMatchInlineSnapshot(`
      [
        "secrets: JWT_MAILER_SECRET_PREVIOUS is the same as the current one → Remove JWT_MAILER_SECRET_PREVIOUS, or put the older secret there again.",
      ]
    `)
  })
})

describe('the doctor looks at Node', () => {
  it('and wants 24', () => {
    expect(lines([examineNode('20.19.5')], 'bad')).toMatchInlineSnapshot(`
      [
        "node: 20.19.5 is too old → Install Node 24, the version jwt-mailer is made for.",
      ]
    `)
    expect(lines([examineNode('26.0.0')], 'warn')).toMatchInlineSnapshot(`
      [
        "node: 26.0.0 is newer than what jwt-mailer is tested with → Run it with Node 24.",
      ]
    `)
    expect(lines([examineNode('24.0.0')], 'ok')).toEqual(['node: 24.0.0'])
  })
})

describe('the doctor looks at the mails', () => {
  it('and says which file does not compile', async () => {
    const dir = folder()
    mkdirSync(join(dir, 'default'))
    cpSync(new URL('../../mails/layout.html', import.meta.url), join(dir, 'layout.html'))
    writeFileSync(join(dir, 'default/app.json'), '{}')
    writeFileSync(join(dir, 'default/confirmation.en.md'), '---\nsubject: Hello {{ nobody }}\n---\n# Hello\n')
    expect(lines(await examine({ env: { MAILS_DIR: dir } }), 'bad')).toMatchInlineSnapshot(`
      [
        "mails: default/confirmation.en.md:2: \`preheader\`: is needed, as a text → Mend the file; jwt-mailer check tells the same without a deployment.",
      ]
    `)
  })
})
