import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { ConfigError, type ConfigProblem, problemLine } from '../../src/config/config-error.ts'
import { environmentSchema } from '../../src/config/environment.ts'
import { verifyToken } from '../../src/token.ts'
import { sampleClaims, secret, signToken } from '../support/tokens.ts'

const relay = { SMTP_URL: 'smtp://user:pa%24s@smtp.example.com:587', MAIL_FROM: 'noreply@example.com' }
const aws = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret/key+=' }
const tokenUrl = 'https://login.microsoftonline.com/tenant/oauth2/v2.0/token'
const oauthUrl = 'smtp://user@smtp.office365.com:587?auth=xoauth2'
const client = {
  SMTP_OAUTH_TOKEN_URL: tokenUrl,
  SMTP_OAUTH_CLIENT_ID: 'id',
  SMTP_OAUTH_CLIENT_SECRET: 'client-secret',
}
const production = { NODE_ENV: 'production', JWT_MAILER_SECRET: secret, ...relay }

/** The lines a start with this environment ends with. */
function linesOf(env: NodeJS.ProcessEnv): string[] {
  return problemsOf(env).map(problemLine)
}

function problemsOf(env: NodeJS.ProcessEnv): readonly ConfigProblem[] {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** What happens to a value on its way, and the words for it. */
const altered = [
  ['a line break', (value: string) => `${value}\n`, 'ends with a line break'],
  ['one of Windows', (value: string) => `${value}\r\n`, 'ends with a line break'],
  ['a space before it', (value: string) => ` ${value}`, 'begins or ends with white space'],
  ['a no-break space', (value: string) => `${value}\u00a0`, 'begins or ends with white space'],
  ['a byte order mark', (value: string) => `\ufeff${value}`, 'begins or ends with white space'],
  ['double quotes', (value: string) => `"${value}"`, 'is in quotes, which belong to its value'],
  ['single quotes', (value: string) => `'${value}'`, 'is in quotes, which belong to its value'],
  [
    'typographic quotes',
    (value: string) => `\u201c${value}\u201d`,
    'is in quotes, which belong to its value',
  ],
  [
    'the letters of a line break',
    (value: string) => `${value}\\n`,
    'ends with a backslash and a letter that stand for a line break',
  ],
] as const

describe.each(altered)('a value that arrives with %s', (_title, alter, says) => {
  it.each(['JWT_MAILER_SECRET', 'JWT_MAILER_SECRET_SHOP', 'APP_NAME', 'ADMIN_TOKEN'])(
    'is told: %s',
    (variable) => {
      const env = { ...production, [variable]: alter(secret) }
      const told = [...problemsOf(env), ...(problemsOf(env).length > 0 ? [] : readConfig(env).warnings)]
      expect(told.map((problem) => `${problem.variable} ${problem.says}`)).toContain(`${variable} ${says}`)
      expect(JSON.stringify(told)).not.toContain(secret)
    },
  )

  it('is told beside the fault that it makes', () => {
    const lines = linesOf({ ...production, PORT: alter('8080') })
    expect(lines).toEqual([
      'PORT: must be a whole number from 0 to 65535.',
      `PORT: ${says}. Set it to the bare value.`,
    ])
  })
})

it('a value with spaces, quotes or backslashes inside has not been altered', () => {
  const fine = ['a b', `it's`, 'say "x" now', 'back\\nslash', '"']
  expect(fine.flatMap((name) => readConfig({ ...production, APP_NAME: name }).warnings)).toEqual([])
})

describe('a start in production', () => {
  it('needs a secret, a relay and a sender, and no more', () => {
    expect(readConfig(production)).toMatchObject({
      production: true,
      host: '0.0.0.0',
      port: 8080,
      allowHttpLinks: false,
      trustedProxies: 0,
      sender: { name: '', address: 'noreply@example.com' },
      appName: 'example.com',
      relays: [
        {
          kind: 'smtp',
          name: 'smtp',
          host: 'smtp.example.com',
          port: 587,
          tls: 'starttls',
          auth: { user: 'user', pass: 'pa$s' },
          connections: 10,
          rate: undefined,
          from: undefined,
        },
      ],
      warnings: [],
    })
  })

  it('takes what the MailerToGo add-on sets', () => {
    const config = readConfig({
      NODE_ENV: 'production',
      DYNO: 'web.1',
      JWT_MAILER_SECRET: secret,
      MAILERTOGO_SMTP_HOST: 'smtp.us-west-1.mailertogo.net',
      MAILERTOGO_SMTP_USER: 'user',
      MAILERTOGO_SMTP_PASSWORD: 'password',
      MAILERTOGO_DOMAIN: 'mail.example.com',
      SENDER_NAME: 'Example',
    })
    expect(config).toMatchObject({
      heroku: true,
      trustedProxies: 1,
      sender: { name: 'Example', address: 'noreply@mail.example.com' },
      appName: 'Example',
      relays: [{ name: 'mailertogo', port: 587, tls: 'starttls', auth: { user: 'user', pass: 'password' } }],
    })
  })

  it.each([
    [{ JWT_MAILER_SECRET: undefined }, /^JWT_MAILER_SECRET: is missing.*openssl rand/],
    [{ JWT_MAILER_SECRET: '' }, /^JWT_MAILER_SECRET: is empty/],
    [{ JWT_MAILER_SECRET: '  ' }, /^JWT_MAILER_SECRET: is empty/],
    [{ JWT_MAILER_SECRET_SHOP: '' }, /^JWT_MAILER_SECRET_SHOP: is empty/],
    [{ SMTP_URL: undefined }, /^SMTP_URL: no relay is configured.*MAILERTOGO_SMTP_HOST/],
    [{ SMTP_URL: 'smtp.example.com' }, /^SMTP_URL: must look like/],
    [{ SMTP_URL: 'https://smtp.example.com' }, /^SMTP_URL: must look like/],
    [{ SMTP_URL: 'smtp://u:p@smtp.example.com?tls=off' }, /^SMTP_URL: allows only tls=off.*this machine/],
    [{ SMTP_URL: 'smtp://u:p@localhost.evil.example?tls=off' }, /^SMTP_URL: allows only tls=off/],
    [{ SMTP_URL: 'smtp://u:p@127.0.0.999?tls=off' }, /^SMTP_URL: allows only tls=off/],
    [{ SMTP_URL: 'smtp://u:p@smtp%20.example.com' }, /^SMTP_URL: must look like/],
    [
      { SMTP_URL: 'smtp://u:p@localhost?requireTLS=false' },
      /^SMTP_URL: does not know the option "requireTLS"/,
    ],
    [{ SMTP_URL: 'smtp://user@smtp.example.com' }, /^SMTP_URL: has a user without a password/],
    [{ SMTP_URL: 'smtp://u:100%@smtp.example.com' }, /^SMTP_URL: .*percent-encoded/],
    [{ SMTP_URL_2: 'smtp://u@smtp.example.com' }, /^SMTP_URL_2: has a user without a password/],
    [{ SMTP_URL: `${relay.SMTP_URL}?rate=off` }, /^SMTP_URL: rate must be .*rate=14\/1s/],
    [{ SMTP_URL: `${relay.SMTP_URL}?rate=10001/1s` }, /^SMTP_URL: rate must be .*at most 10000/],
    [
      { SMTP_URL: `${relay.SMTP_URL}?rate=1/1s&rate=9/1s` },
      /^SMTP_URL: has the option "rate" twice\. There are, each at most once: tls, /,
    ],
    [{ SMTP_URL: `${relay.SMTP_URL}?connections=0` }, /^SMTP_URL: connections must be .* from 1 to 100/],
    [{ SMTP_URL: `${relay.SMTP_URL}?connections=ten` }, /^SMTP_URL: connections must be/],
    [{ SMTP_URL: `${relay.SMTP_URL}?from=a@b.example,c@d.example` }, /^SMTP_URL: from must be one plain/],
    [
      { RELAYS: 'smtp,sparkpost' },
      /^RELAYS: does not know "sparkpost"\. There are mailertogo, .*, resend, brevo/,
    ],
    [
      { RELAYS: 'smtp,postmark' },
      /^RELAYS: names "postmark", which is not configured\. Set POSTMARK_SERVER_TOKEN/,
    ],
    [{ RELAYS: 'constructor' }, /^RELAYS: does not know "constructor"/],
    [{ RELAYS: 'smtp2' }, /^RELAYS: names "smtp2", which is not configured. Set SMTP_URL_2/],
    [{ RELAYS: 'smtp,smtp' }, /^RELAYS: names "smtp" twice/],
    [{ SMTP_URL: oauthUrl }, /^SMTP_OAUTH_TOKEN_URL: is missing, and an SMTP_URL says auth=xoauth2\./],
    [
      { SMTP_URL: oauthUrl, SMTP_OAUTH_TOKEN_URL: tokenUrl, SMTP_OAUTH_CLIENT_ID: 'id' },
      /^SMTP_OAUTH_CLIENT_SECRET: is missing/,
    ],
    [
      { SMTP_URL: oauthUrl, ...client, SMTP_OAUTH_TOKEN_URL: 'http://login.example.com/token' },
      /^SMTP_OAUTH_TOKEN_URL: must look like https.*always https but to this machine/,
    ],
    [
      { SMTP_URL: oauthUrl, ...client, SMTP_OAUTH_CLIENT_SECRET: 'a b' },
      /^SMTP_OAUTH_CLIENT_SECRET: must be the bare value/,
    ],
    [{ SMTP_URL: oauthUrl, ...client, SMTP_OAUTH_SCOPE: 'a  b' }, /^SMTP_OAUTH_SCOPE: must look like https/],
    [
      { SMTP_URL: oauthUrl.replace('user', 'user:password'), ...client },
      /^SMTP_URL: must have a user and no/,
    ],
    [{ SMTP_URL: oauthUrl.replace('user@', ''), ...client }, /^SMTP_URL: must have a user and no password/],
    [{ SMTP_URL: oauthUrl.replace('user', 'us%01er'), ...client }, /^SMTP_URL: has a control character/],
    [{ SMTP_URL: oauthUrl.replace('xoauth2', 'ntlm'), ...client }, /^SMTP_URL: auth can only be xoauth2/],
    [client, /^SMTP_OAUTH_TOKEN_URL: is set, and no SMTP_URL says auth=xoauth2/],
    [
      { SMTP_URL: oauthUrl, ...client, SMTP_OAUTH_SERVICE_ACCOUNT: '{}' },
      /^SMTP_OAUTH_CLIENT_ID: is set beside SMTP_OAUTH_SERVICE_ACCOUNT/,
    ],
    [{ SMTP_URL: oauthUrl, SMTP_OAUTH_SERVICE_ACCOUNT: 'hunter2' }, /^SMTP_OAUTH_SERVICE_ACCOUNT: must be/],
    [
      {
        SMTP_URL: oauthUrl,
        SMTP_OAUTH_SERVICE_ACCOUNT: JSON.stringify({ client_email: 'a@b.example', private_key: 'hunter2' }),
      },
      /^SMTP_OAUTH_SERVICE_ACCOUNT: must be the JSON .*its private_key is none\./,
    ],
    [{ SENDGRID_API_KEY: 'SG.key with a space' }, /^SENDGRID_API_KEY: must be the key alone/],
    [{ SENDGRID_API_KEY: 'SG.x', SENDGRID_API_URL: 'http://127.0.0.1' }, /^SENDGRID_API_URL: .*always https/],
    [{ SENDGRID_API_KEY: 'SG.x', SENDGRID_API_URL: 'api.sendgrid.com' }, /^SENDGRID_API_URL: must look like/],
    [{ SENDGRID_API_URL: 'https://api.eu.sendgrid.com' }, /^SENDGRID_API_KEY: is missing/],
    [{ SES_REGION: 'eu-central-1' }, /^AWS_ACCESS_KEY_ID: is missing, and SES_REGION is set/],
    [
      { SES_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'AK' },
      /^AWS_SECRET_ACCESS_KEY: is missing, and SES_REGION/,
    ],
    [{ SES_REGION: 'Frankfurt', ...aws }, /^SES_REGION: must be a region such as eu-central-1/],
    [{ SES_REGION: 'x.example.com/', ...aws }, /^SES_REGION: must be a region/],
    [
      { SES_REGION: 'eu-central-1', ...aws, SES_CONFIGURATION_SET: 'my set' },
      /^SES_CONFIGURATION_SET: must be/,
    ],
    [{ SES_CONFIGURATION_SET: 'mails' }, /^SES_REGION: is missing, and SES_CONFIGURATION_SET is set/],
    [
      { POSTMARK_MESSAGE_STREAM: 'outbound' },
      /^POSTMARK_SERVER_TOKEN: is missing, and POSTMARK_MESSAGE_STREAM/,
    ],
    [{ POSTMARK_SERVER_TOKEN: 'to ken' }, /^POSTMARK_SERVER_TOKEN: must be the key alone/],
    [
      { POSTMARK_SERVER_TOKEN: 'x', POSTMARK_MESSAGE_STREAM: 'a/b' },
      /^POSTMARK_MESSAGE_STREAM: must be the id/,
    ],
    [{ MAILGUN_API_KEY: 'key' }, /^MAILGUN_DOMAIN: is missing, and MAILGUN_API_KEY is set/],
    [{ MAILGUN_API_KEY: 'key', MAILGUN_DOMAIN: 'a.example/../b' }, /^MAILGUN_DOMAIN: must be a domain/],
    [{ MAILGUN_DOMAIN: 'mg.example.com' }, /^MAILGUN_API_KEY: is missing, and MAILGUN_DOMAIN is set/],
    [{ RESEND_API_KEY: 're', RESEND_API_URL: 'http://localhost' }, /^RESEND_API_URL: .*always https/],
    [
      { BREVO_API_KEY: 'x', BREVO_API_URL: 'https://api.brevo.com/v3' },
      /^BREVO_API_URL: must look like https/,
    ],
    [
      { BREVO_API_URL: 'https://user:secret@api.brevo.com', BREVO_API_KEY: 'x' },
      /^BREVO_API_URL: must look like/,
    ],
    [
      { MAILERTOGO_SMTP_HOST: 'smtp.mailertogo.net' },
      /^MAILERTOGO_SMTP_HOST: belongs together with MAILERTOGO_SMTP_USER/,
    ],
    [{ MAIL_FROM: undefined }, /^MAIL_FROM: the sender address is missing/],
    [{ MAIL_FROM: 'Example <noreply@example.com>' }, /^MAIL_FROM: must be one plain address/],
    [{ MAIL_FROM: undefined, MAILERTOGO_DOMAIN: 'localhost' }, /^MAILERTOGO_DOMAIN: must be a domain/],
    [{ SENDER_NAME: 'Eve\r\nBcc: eve@evil.example' }, /^SENDER_NAME: must be a single line/],
    [{ APP_NAME: 'x'.repeat(101) }, /^APP_NAME: must be at most 100/],
    [{ NODE_ENV: 'Production' }, /^NODE_ENV: must be written "production"/],
    [{ JWT_MAILER_SECRET_shop: secret }, /^JWT_MAILER_SECRET_shop: is not read.*JWT_MAILER_SECRET_SHOP/],
    [{ PORT: 'http' }, /^PORT: must be a whole number from 0 to 65535/],
    [{ PORT: '70000' }, /^PORT: must be a whole number/],
    [{ RELAY_CONNECTIONS: '0' }, /^RELAY_CONNECTIONS: must be a whole number from 1 to 100/],
    [{ ALLOW_HTTP_LINKS: 'yes' }, /^ALLOW_HTTP_LINKS: must be "on" or "off"/],
    [{ LOG_LEVEL: 'loud' }, /^LOG_LEVEL: must be one of/],
    [{ ADMIN_TOKEN: 'short' }, /^ADMIN_TOKEN: is shorter than 16 bytes and can be guessed\. .*openssl rand/],
    [{ ADMIN_TOKEN: 'a'.repeat(16) }, /^ADMIN_TOKEN: repeats the same few characters/],
    [{ JWT_MAILER_SECRET: 'short' }, /^JWT_MAILER_SECRET: is shorter than 16 bytes and can be guessed\. /],
    [{ JWT_MAILER_SECRET: 'ab'.repeat(20) }, /^JWT_MAILER_SECRET: repeats the same few characters/],
    [{ JWT_MAILER_SECRET_SHOP: 'fifteen bytes !' }, /^JWT_MAILER_SECRET_SHOP: is shorter than 16 bytes/],
    [
      { DATABASE_URL: 'postgres://user:pass@one/db?target_session_attrs=read-only' },
      /^DATABASE_URL: target_session_attrs must be one of any, read-write, primary/,
    ],
    [{ ADMIN_WRITE: 'on' }, /^ADMIN_WRITE: is on without ADMIN_TOKEN.* Set ADMIN_TOKEN too .*openssl rand/],
    [{ PREVIEW: 'on' }, /^ADMIN_TOKEN: is missing, and PREVIEW=on shows every mail\. .*openssl rand/],
  ])('is refused with %o, by a sentence that names the variable', (changes, sentence) => {
    expect(linesOf({ ...production, ...changes }).join('\n')).toMatch(sentence)
  })

  it.each([
    'postgres://user:pass@one:5432,two:5432,three/db?target_session_attrs=read-write',
    'postgres://user:pass@one,two/db',
    'postgres://user:pass@localhost/db?host=one,two',
    'postgres://user:pass@localhost/db?host=one%2Ctwo',
  ])('is refused with several hosts in %s, by a sentence that says what to put there', (url) => {
    const told = linesOf({ ...production, DATABASE_URL: url }).join()
    expect(told).toMatch(/^DATABASE_URL: names several hosts, and must name one that leads to the primary/)
    expect(told).not.toContain('pass@')
  })

  it('tells everything that is wrong at once', () => {
    const problems = problemsOf({ NODE_ENV: 'production' })
    expect(problems.map(({ variable }) => variable)).toEqual(['SMTP_URL', 'MAIL_FROM', 'JWT_MAILER_SECRET'])
  })

  it('never repeats a secret in its sentence', () => {
    const told = linesOf({
      ...production,
      SMTP_URL: 'smtp://user:hunter2@smtp.example.com?hunter2=1',
    }).join()
    expect(told).not.toContain('hunter2@')
    expect(linesOf({ ...production, SMTP_URL: 'hunter2' }).join()).not.toContain('hunter2')
  })

  it.each(['?', '#', '/'])('refuses a password with a bare "%s", and does not repeat it', (character) => {
    const told = linesOf({
      ...production,
      SMTP_URL: `smtp://user:1${character}hunter2=x@smtp.example.com`,
    })
    expect(told.join()).toMatch(/^SMTP_URL: .*percent-encoded/)
    expect(told.join()).not.toContain('hunter2')
  })

  it.each([
    'postgres://user:hun#ter2@db.example.com/mails',
    'postgres://user:hun?ter2@db.example.com/mails',
    'postgres://user:hun/ter2@db.example.com/mails',
    'postgres://user:12#ter2@db.example.com/mails',
    'postgres://user:12?ter2@db.example.com/mails',
    'postgres://user:12/ter2@db.example.com/mails',
    'postgres://user:ter2%@db.example.com/mails',
    'postgres://user:ter2%ff@db.example.com/mails',
    'postgres://user:ter 2@db.example.com/mails',
    'postgres://user:ter2@db.example.com:port/mails',
    'postgres://user:ter2@db.example.com/mails#ter2',
    'postgres://user:ter2@/mails?host=/var/run/postgresql',
    'postgres:///mails',
    'postgres://',
    'mysql://user:ter2@db.example.com/mails',
    'db.example.com',
  ])('refuses %s as DATABASE_URL, and does not repeat it', (url) => {
    expect(linesOf({ ...production, DATABASE_URL: url })).toEqual([
      'DATABASE_URL: must look like postgres://user:password@host:5432/database, with "/", "?", "#", "@" and "%" in the password percent-encoded; for a socket postgres://user:password@localhost/database?host=/folder.',
    ])
  })

  it.each([
    [
      'sslmode=verfy-full',
      'sslmode must be one of disable, allow, prefer, require, no-verify, verify-ca, verify-full',
    ],
    [
      'sslmode=disable&sslmode=on',
      'sslmode must be one of disable, allow, prefer, require, no-verify, verify-ca, verify-full',
    ],
    [
      'sslmode=disable&sslmode=verify-full',
      'sslmode and ssl say the same in two ways: give one of them, once',
    ],
    ['ssl=0&sslmode=verify-full', 'sslmode and ssl say the same in two ways: give one of them, once'],
    ['sslnegotiation=soon', 'sslnegotiation must be one of postgres, direct'],
    ['ssl=false', 'ssl must be one of true, 1, 0, no-verify'],
    ['sslmode=verify-full&sslrootcert=/nowhere/ca.crt', 'the file that its sslrootcert names does not exist'],
  ])('refuses a DATABASE_URL with %s', (options, sentence) => {
    expect(linesOf({ ...production, DATABASE_URL: `postgres://db.example.com/mails?${options}` })).toEqual([
      `DATABASE_URL: ${sentence}.`,
    ])
  })

  it.each([
    'postgres://user:ter%2F%3F%23%40%252@db.example.com:5432/mails?sslmode=verify-full',
    'postgres://user:t@r2@db.example.com/mails',
    'postgres://user:a,b@db.example.com/mails?target_session_attrs=read-write',
    'postgresql://[::1]/mails',
    'postgres:///mails?host=/var/run/postgresql&user=mailer',
    'postgres://mailer@%2Fvar%2Frun%2Fpostgresql/mails',
  ])('takes %s as DATABASE_URL', (url) => {
    expect(readConfig({ ...production, DATABASE_URL: url }).databaseUrl).toBe(url)
  })

  it.each([
    'smtp://user:1?hunter2@smtp.example.com?rate=1/1s&from=noreply@example.com',
    'smtp://user:1@2:3?hunter2@smtp.example.com',
  ])('does not take the end of a password for an option: %s', (url) => {
    const told = linesOf({ ...production, SMTP_URL: url }).join()
    expect(told).toMatch(/^SMTP_URL: .*percent-encoded/)
    expect(told).not.toContain('hunter2')
  })

  it.each([
    [
      { JWT_MAILER_SECRET: 'sixteen bytes !!' },
      'JWT_MAILER_SECRET: is shorter than 32 bytes. A new one: openssl rand -base64 32',
    ],
    [
      { JWT_MAILER_SECRET_PREVIOUS: 'short' },
      'JWT_MAILER_SECRET_PREVIOUS: is shorter than 16 bytes and can be guessed. A new one: openssl rand -base64 32',
    ],
    [
      { ADMIN_TOKEN: 'sixteen bytes !!' },
      'ADMIN_TOKEN: is shorter than 32 bytes. A new one: openssl rand -hex 16',
    ],
    [
      { METRICS: 'on' },
      'METRICS: is on without ADMIN_TOKEN, so everybody who reaches this port can read the numbers. Set ADMIN_TOKEN, and let Prometheus send it as Authorization: Bearer.',
    ],
  ])('warns of what is weak: %o', (env, line) => {
    expect(readConfig({ ...production, ...env }).warnings.map(problemLine)).toEqual([line])
  })

  it('takes what is strong without a word', () => {
    const strong = { ADMIN_TOKEN: '0123456789abcdef0123456789abcdef', METRICS: 'on' }
    expect(readConfig({ ...production, ...strong }).warnings).toEqual([])
  })
})

describe('a relay without a login', () => {
  it('is warned of, unless it stands on this machine', () => {
    const warningsOf = (url: string) => readConfig({ ...production, SMTP_URL: url }).warnings.map(problemLine)
    expect(warningsOf('smtp://relay.example.com')).toEqual([
      'SMTP_URL: has no user and password: mails go there without a login. Write smtp://user:password@host:587, unless the relay asks for none.',
    ])
    expect(warningsOf('smtp://localhost?tls=off')).toEqual([])
  })
})

describe('a start in development', () => {
  it('needs nothing: a secret is made up and the inbox takes the place of the relay', () => {
    const one = readConfig({})
    const two = readConfig({ JWT_MAILER_SECRET: undefined })
    expect(one.relays).toEqual([])
    expect(one.allowHttpLinks).toBe(true)
    expect(one.warnings).toHaveLength(1)
    expect(one.keysOf('default')[0]?.export().toString()).not.toBe(
      two.keysOf('default')[0]?.export().toString(),
    )
  })

  it('takes a variable set to nothing for unset, but never a secret', () => {
    expect(readConfig({ PORT: '', SMTP_URL: '', ALLOW_HTTP_LINKS: '', MAILS_DIR: '' }).port).toBe(8080)
    expect(linesOf({ JWT_MAILER_SECRET: '' })).toHaveLength(1)
  })

  it('may have a relay on this machine without TLS', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(
        readConfig({ SMTP_URL: `smtp://${host}:1025?tls=off`, MAIL_FROM: 'a@example.com' }).relays,
      ).toMatchObject([{ tls: 'off', auth: undefined }])
    }
  })
})

it('says all at once: what is written wrongly, and what is missing', () => {
  const wrong = { LOG_LEVEL: 'loud', PORT: 'http', ADMIN_TOKEN: 'changeme', SMTP_URL: 'ftp://x' }
  const told = problemsOf({ NODE_ENV: 'production', ...wrong }).map(({ variable }) => variable)
  expect(told).toEqual(expect.arrayContaining([...Object.keys(wrong), 'MAIL_FROM', 'JWT_MAILER_SECRET']))
  expect(new Set(told).size).toBe(told.length)
})

describe('several relays', () => {
  const all = {
    ...production,
    MAILERTOGO_SMTP_HOST: 'smtp.mailertogo.net',
    MAILERTOGO_SMTP_USER: 'user',
    MAILERTOGO_SMTP_PASSWORD: 'password',
    SMTP_URL_2: 'smtps://two.example.com?connections=3&rate=14/1s&from=noreply@two.example.com',
    SMTP_URL_3: 'smtp://three.example.com',
    SENDGRID_API_KEY: 'SG.key',
    RELAY_CONNECTIONS: '20',
  }
  const namesIn = (env: NodeJS.ProcessEnv) => readConfig(env).relays.map(({ name }) => name)

  it('are tried in the usual order, whichever are configured', () => {
    expect(namesIn(all)).toEqual(['mailertogo', 'smtp', 'smtp2', 'smtp3', 'sendgrid'])
    expect(namesIn({ ...all, SMTP_URL: undefined, SMTP_URL_3: '' })).toEqual([
      'mailertogo',
      'smtp2',
      'sendgrid',
    ])
  })

  it('are tried in the order of RELAYS, which leaves none out unnoticed', () => {
    const { relays, warnings } = readConfig({ ...all, RELAYS: 'sendgrid, smtp2,mailertogo' })
    expect(relays.map(({ name }) => name)).toEqual(['sendgrid', 'smtp2', 'mailertogo'])
    const idle = warnings.filter(({ says }) => says.includes('RELAYS'))
    expect(idle.map(problemLine)).toEqual([
      'SMTP_URL: is set, but RELAYS leaves "smtp" out: it gets no mail. Add smtp to RELAYS, or remove SMTP_URL.',
      'SMTP_URL_3: is set, but RELAYS leaves "smtp3" out: it gets no mail. Add smtp3 to RELAYS, or remove SMTP_URL_3.',
    ])
  })

  it('have each their connections, pace and sender', () => {
    expect(readConfig(all).relays).toMatchObject([
      { connections: 20 },
      { connections: 20 },
      {
        tls: 'implicit',
        port: 465,
        connections: 3,
        rate: { max: 14, windowMs: 1_000 },
        from: 'noreply@two.example.com',
      },
      { rate: undefined, from: undefined },
      { kind: 'sendgrid', baseUrl: 'https://api.sendgrid.com', apiKey: 'SG.key', connections: 20 },
    ])
  })

  it('may all be APIs, in any order, each at its usual place unless told otherwise', () => {
    const apis = {
      SES_REGION: 'eu-central-1',
      ...aws,
      POSTMARK_SERVER_TOKEN: 'token',
      MAILGUN_API_KEY: 'key',
      MAILGUN_DOMAIN: 'mg.example.com',
      MAILGUN_API_URL: 'https://api.eu.mailgun.net/',
      RESEND_API_KEY: 're_key',
      BREVO_API_KEY: 'xkeysib',
    }
    expect(namesIn({ ...all, ...apis })).toEqual([
      ...namesIn(all),
      'ses',
      'postmark',
      'mailgun',
      'resend',
      'brevo',
    ])
    const { relays } = readConfig({ ...all, ...apis, RELAYS: 'brevo,resend,ses,mailgun,postmark' })
    expect(relays).toMatchObject([
      { kind: 'brevo', baseUrl: 'https://api.brevo.com', apiKey: 'xkeysib', connections: 20 },
      { kind: 'resend', baseUrl: 'https://api.resend.com', apiKey: 're_key' },
      {
        kind: 'ses',
        baseUrl: 'https://email.eu-central-1.amazonaws.com',
        region: 'eu-central-1',
        credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret/key+=', sessionToken: undefined },
        configurationSet: undefined,
      },
      { kind: 'mailgun', baseUrl: 'https://api.eu.mailgun.net', apiKey: 'key', domain: 'mg.example.com' },
      {
        kind: 'postmark',
        baseUrl: 'https://api.postmarkapp.com',
        serverToken: 'token',
        messageStream: 'outbound',
      },
    ])
  })

  it('do not begin to use SES because AWS is configured for something else', () => {
    expect(namesIn({ ...all, ...aws, AWS_SESSION_TOKEN: 'token' })).not.toContain('ses')
  })

  it('may be SendGrid alone, in Europe', () => {
    const env = {
      NODE_ENV: 'production',
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@example.com',
      SENDGRID_API_KEY: 'SG.key',
      SENDGRID_API_URL: 'https://api.eu.sendgrid.com/',
    }
    expect(readConfig(env).relays).toMatchObject([{ baseUrl: 'https://api.eu.sendgrid.com' }])
  })
})

describe('secrets', () => {
  const verified = (env: NodeJS.ProcessEnv, app: string, key: string): boolean => {
    try {
      verifyToken(signToken(sampleClaims(), key), readConfig({ ...production, ...env }).keysOf(app))
      return true
    } catch {
      return false
    }
  }
  const previous = 'the previous secret, still in some callers'
  const shop = 'the secret of the shop and of nobody else'

  it('both the current and the previous one are accepted', () => {
    expect(verified({ JWT_MAILER_SECRET_PREVIOUS: previous }, 'default', secret)).toBe(true)
    expect(verified({ JWT_MAILER_SECRET_PREVIOUS: previous }, 'default', previous)).toBe(true)
    expect(verified({}, 'default', previous)).toBe(false)
  })

  it('of one app open that app only, and then the shared one does not', () => {
    const env = { JWT_MAILER_SECRET_MY_SHOP: shop, JWT_MAILER_SECRET_MY_SHOP_PREVIOUS: previous }
    expect(verified(env, 'my-shop', shop)).toBe(true)
    expect(verified(env, 'my-shop', previous)).toBe(true)
    expect(verified(env, 'my-shop', secret)).toBe(false)
    expect(verified(env, 'default', shop)).toBe(false)
    expect(verified(env, 'default', secret)).toBe(true)
  })
})

describe('a previous secret without a current one', () => {
  it('of an app is refused: it would lock the shared secret out', () => {
    expect(linesOf({ ...production, JWT_MAILER_SECRET_SHOP_PREVIOUS: secret })).toEqual([
      'JWT_MAILER_SECRET_SHOP_PREVIOUS: is set without JWT_MAILER_SECRET_SHOP. Set that to what the app signs with now, or remove this one: then JWT_MAILER_SECRET opens the app.',
    ])
  })

  it('is refused: the current one would be made up', () => {
    expect(linesOf({ JWT_MAILER_SECRET_PREVIOUS: secret })).toEqual([
      'JWT_MAILER_SECRET_PREVIOUS: is set without JWT_MAILER_SECRET. Set that to what your apps sign with now, or remove this one.',
    ])
  })
})

describe('every variable', () => {
  /** Set by the platform, the add-on or the image, never by the operator of a Heroku app. */
  const notAsked = /^(?:PORT|DYNO|NODE_ENV|MAILERTOGO_.*|DATABASE_URL)$/
  const names = Object.keys(environmentSchema.shape)
  const file = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')

  it('is in .env.example, and nothing else is', () => {
    const listed = [...file('.env.example').matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name)
    expect(listed.filter((name) => !name?.startsWith('JWT_MAILER_SECRET_SHOP')).toSorted()).toEqual(
      names.filter((name) => name !== 'DYNO').toSorted(),
    )
  })

  it('is in the reference, and nothing else is', () => {
    const table = file('docs/reference/configuration.md')
    const listed = [...table.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map(([, name]) => name),
    )
    expect(listed.toSorted()).toEqual(names.toSorted())
  })

  it('an operator may set is offered by app.json, and nothing else is', () => {
    const { env } = JSON.parse(file('app.json')) as { env: Record<string, unknown> }
    expect(Object.keys(env).toSorted()).toEqual(names.filter((name) => !notAsked.test(name)).toSorted())
  })
})

describe('a login by XOAUTH2', () => {
  const readWith = (env: NodeJS.ProcessEnv) => readConfig({ ...production, ...env }).relays[0]

  it('has the client credentials of Microsoft', () => {
    expect(readWith({ SMTP_URL: oauthUrl.replace('user', 'mailer%40example.com'), ...client })).toMatchObject(
      {
        auth: {
          user: 'mailer@example.com',
          oauth: {
            grant: 'client_credentials',
            tokenUrl,
            clientId: 'id',
            clientSecret: 'client-secret',
            scope: 'https://outlook.office365.com/.default',
          },
        },
      },
    )
  })

  it('has the service account of Google', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const account = {
      client_email: 'a@b.example',
      private_key: pem,
      private_key_id: 'one',
      type: 'service_account',
    }
    expect(
      readWith({ SMTP_URL: oauthUrl, SMTP_OAUTH_SERVICE_ACCOUNT: JSON.stringify(account) }),
    ).toMatchObject({
      auth: {
        user: 'user',
        oauth: {
          grant: 'jwt_bearer',
          tokenUrl: 'https://oauth2.googleapis.com/token',
          issuer: 'a@b.example',
          keyId: 'one',
          privateKey: pem,
          scope: 'https://mail.google.com/',
        },
      },
    })
  })

  it.each(['http://127.0.0.1:8080/token', 'http://localhost/token'])(
    'may get its tokens on this machine: %s',
    (url) => {
      expect(readWith({ SMTP_URL: oauthUrl, ...client, SMTP_OAUTH_TOKEN_URL: url })).toMatchObject({
        auth: { oauth: { tokenUrl: url } },
      })
    },
  )
})
