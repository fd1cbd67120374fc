import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect } from 'node:net'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { connectTrouble } from '../../../src/doctor/relay/explain.ts'
import { startAuthority } from '../../support/authority.ts'
import { postfixMissing, startPostfix } from '../../support/postfix.ts'
import { scriptedRelay, type Script } from '../../support/relay.ts'
import { type TokenAct, tokenEndpoint } from '../../support/token-endpoint.ts'
import {
  certificate,
  deployment,
  examine,
  folder,
  good,
  goodRelay,
  lines,
  listening,
  type Patient,
  password,
  rawServer,
  secret,
  untilTheEnd,
} from '../healthy-deployment.ts'
import { examineDeployment } from '../../../src/doctor/deployment.ts'
import { titled } from '../../support/missing.ts'

const noAddon = {
  MAILERTOGO_SMTP_HOST: undefined,
  MAILERTOGO_SMTP_PORT: undefined,
  MAILERTOGO_SMTP_USER: undefined,
  MAILERTOGO_SMTP_PASSWORD: undefined,
}
const login = `user:${encodeURIComponent(password)}`

/** What is ✗ about the relay at this address; the rest of the deployment is healthy. */
async function trouble(url: string, options: Pick<Patient, 'stageMs'> = {}): Promise<string> {
  const bad = lines(await examine({ ...options, env: { ...noAddon, SMTP_URL: url } }), 'bad')
  expect(bad).toHaveLength(1)
  return bad[0] ?? ''
}

async function script(acts: Script): Promise<string> {
  const relay = await scriptedRelay(acts)
  untilTheEnd(() => relay.close())
  return `smtp://${login}@localhost:${relay.port}?tls=off`
}

describe('the doctor looks at a relay that cannot be reached', () => {
  it('and says that its name does not exist', async () => {
    expect(await trouble(`smtp://${login}@relay.invalid:587`)).toMatch(
      /^relay smtp: (there is no host named relay\.invalid →|the name relay\.invalid could not be looked up)/,
    )
  })

  it('and says that nobody listens', async () => {
    expect(await trouble(`smtp://${login}@localhost:1`)).toMatchInlineSnapshot(
      `"relay smtp: nothing listens at localhost:PORT → Check host and port (587 with smtp://, 465 with smtps://), and whether the relay is running."`,
    )
  })

  it('and says that a firewall drops the connection', async () => {
    const port = await unansweredPort()
    expect(
      await trouble(`smtp://${login}@127.0.0.1:${port}?tls=off`, { stageMs: 1000 }),
    ).toMatchInlineSnapshot(
      `"relay smtp: no answer from 127.0.0.1:PORT within 1 s: something on the way drops the connection → Open port PORT in the firewall, or use another port of the relay (2525, 465)."`,
    )
  })

  it('and says of port 25 that it is blocked nearly everywhere', () => {
    const relay = {
      name: 'smtp',
      host: 'relay.test',
      port: 25,
      tls: 'starttls',
      auth: undefined,
    } as const
    const { message, todo } = connectTrouble(relay, 'SILENCE', 5000)
    expect(`${message} → ${todo}`).toMatchInlineSnapshot(
      `"no answer from relay.test:25 within 5 s: something on the way drops the connection → Most hosts and clouds block outgoing port 25: use the submission port of the relay, 587 (smtp://) or 465 (smtps://)."`,
    )
  })
})

describe('the doctor looks at a port that is not what it was taken for', () => {
  it('and says that it begins with TLS', async () => {
    const { port } = await goodRelay({ secure: true })
    expect(await trouble(`smtp://${login}@localhost:${port}`, { stageMs: 2000 })).toMatchInlineSnapshot(
      `"relay smtp: port PORT begins with TLS, but is configured to begin in plain text and turn to TLS by STARTTLS → Write smtps:// instead of smtp:// in SMTP_URL: port 587 is for smtp://, 465 for smtps://."`,
    )
  })

  it('and says how to tell MailerToGo so, which has no URL', async () => {
    const implicit = await goodRelay({ secure: true })
    const env = { MAILERTOGO_SMTP_PORT: String(implicit.port) }
    expect(lines(await examine({ stageMs: 2000, env }), 'bad')).toMatchInlineSnapshot(`
      [
        "relay mailertogo: port PORT begins with TLS, but is configured to begin in plain text and turn to TLS by STARTTLS → Set MAILERTOGO_SMTP_PORT to 465: the service begins with TLS on that port only.",
      ]
    `)
  })

  it('and says that it begins in plain text', async () => {
    const { port } = await goodRelay()
    expect(await trouble(`smtps://${login}@localhost:${port}`)).toMatchInlineSnapshot(
      `"relay smtp: port PORT begins in plain text and turns to TLS by STARTTLS, but is configured to begin with TLS → Write smtp:// instead of smtps:// in SMTP_URL: port 587 is for smtp://, 465 for smtps://."`,
    )
  })

  it('and says that it is no mail server', async () => {
    const server = createHttpServer((_request, answer) => answer.end('hello'))
    untilTheEnd(() => server.close())
    const port = await listening(server)
    expect(await trouble(`smtp://${login}@localhost:${port}`, { stageMs: 2000 })).toMatchInlineSnapshot(
      `"relay smtp: localhost:PORT takes the connection and then sends nothing → Check the port; some relays also greet addresses they distrust very slowly."`,
    )
    const talkative = await rawServer((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await trouble(`smtp://${login}@localhost:${talkative}`)).toMatchInlineSnapshot(
      `"relay smtp: the server at localhost:PORT does not speak SMTP → Check host and port."`,
    )
  })

  it('and says that it closes at once', async () => {
    const port = await rawServer((socket) => socket.end())
    expect(await trouble(`smtp://${login}@localhost:${port}`)).toMatchInlineSnapshot(
      `"relay smtp: localhost:PORT takes the connection and closes it at once → The relay may block the address of this machine; ask its operator."`,
    )
  })
})

describe('the doctor looks at a relay whose TLS is not good', () => {
  it('and says that there is none', async () => {
    const { port, logins } = await goodRelay({ disabledCommands: ['STARTTLS'] })
    expect(await trouble(`smtp://${login}@localhost:${port}`)).toMatchInlineSnapshot(
      `"relay smtp: the relay does not offer STARTTLS on port PORT, so passwords and mails would travel unencrypted → Use its port 587 or, with smtps://, 465. When it offers STARTTLS elsewhere, something on the way strips it here."`,
    )
    expect(logins).toBe(0)
  })

  it('and says that its certificate has expired, and keeps the password to itself', async () => {
    const relay = await goodRelay({ key: good.key, cert: certificate('expired.crt') })
    expect(await trouble(`smtp://${login}@localhost:${relay.port}`)).toMatchInlineSnapshot(
      `"relay smtp: its certificate expired N days ago → Tell the operator of the relay; until then nothing is sent there."`,
    )
    expect(relay.logins).toBe(0)
  })

  it('and says that its certificate is for somebody else, and keeps the password to itself', async () => {
    const relay = await goodRelay({ key: certificate('elsewhere.key'), cert: certificate('elsewhere.crt') })
    expect(await trouble(`smtp://${login}@localhost:${relay.port}`)).toMatchInlineSnapshot(
      `"relay smtp: its certificate is for elsewhere.example, not for localhost → Write the host name the certificate is for. If you do not know that name, somebody may intercept the connection."`,
    )
    expect(relay.logins).toBe(0)
  })

  it('and says that nobody it trusts has signed the certificate', async () => {
    const authority = await startAuthority(folder())
    const { key, cert } = await authority.certify('localhost')
    const relay = await goodRelay({ secure: true, key, cert })
    expect(await trouble(`smtps://${login}@localhost:${relay.port}`)).toMatchInlineSnapshot(
      `"relay smtp: its certificate is signed by an authority this machine does not trust (UNABLE_TO_VERIFY_LEAF_SIGNATURE) → A private authority is trusted by NODE_EXTRA_CA_CERTS=/path/to/ca.pem; a public relay must not need that."`,
    )
    expect(relay.logins).toBe(0)
  })

  it('and warns three weeks before the certificate ends', async () => {
    const authority = await startAuthority(folder())
    trust(readFileSync(authority.caFile, 'utf8'))
    const findings = await examine({ relay: await authority.certify('localhost') })
    expect(lines(findings, 'bad')).toEqual([])
    expect(lines(findings, 'warn').filter((line) => line.startsWith('relay'))).toMatchInlineSnapshot(`
      [
        "relay mailertogo: TLSv1.3, certificate valid for N more days → Renew the certificate, or ask the operator of the relay whether it is renewed by itself.",
      ]
    `)
  })

  it('and says that it speaks only an old TLS', async () => {
    const old = tls.createServer({
      ...good,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    untilTheEnd(() => old.close())
    expect(
      await trouble(`smtps://${login}@localhost:${await listening(old)}`, { stageMs: 2000 }),
    ).toMatchInlineSnapshot(
      `"relay smtp: localhost:PORT speaks only a TLS older than 1.2 (ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION) → Use another relay, or have this one brought up to date; older TLS is not safe."`,
    )
  })
})

describe('the doctor looks at a relay that does not want us', () => {
  it('and tells the refusal of the greeting', async () => {
    const url = await script({ connect: () => '554 5.7.1 your address is listed' })
    expect(await trouble(url)).toMatchInlineSnapshot(
      `"relay smtp: the relay refuses the connection: 554 5.7.1 your address is listed → The address of this machine may be on a blocklist; ask the operator of the relay."`,
    )
    const busy = await script({ connect: () => '421 too many connections' })
    expect(await trouble(busy)).toMatchInlineSnapshot(
      `"relay smtp: the relay refuses the connection: 421 too many connections → The relay says that this is temporary: try again in a few minutes."`,
    )
  })

  it('and says that the login is wrong, without repeating it when the relay does', async () => {
    const { port } = await goodRelay()
    const wrong = await trouble(`smtp://user:not-the-one@localhost:${port}`)
    expect(wrong).toMatchInlineSnapshot(
      `"relay smtp: login refused: 535 535 wrong password *** for user → Check user and password in SMTP_URL; in a URL they are percent-encoded."`,
    )
    expect(wrong).not.toContain('not-the-one')
  })

  it('and says that no login is offered', async () => {
    const url = await script({ EHLO: () => '250 relay.test' })
    expect(await trouble(url)).toMatchInlineSnapshot(
      `"relay smtp: a login is configured, but the relay offers no login at all → Use the relay's submission port (587 or 465), or take the login out of SMTP_URL when the relay needs none."`,
    )
  })

  it('and says that it asks for a login that is not configured', async () => {
    const url = await script({ MAIL: () => '530 5.7.0 Authentication required' })
    expect(await trouble(url.replace(`${login}@`, ''))).toMatchInlineSnapshot(
      `"relay smtp: the relay asks for a login: 530 5.7.0 Authentication required → Configure its user and password."`,
    )
  })

  it('and says that our sender address is refused', async () => {
    const url = await script({ MAIL: () => '550 5.7.1 sender not verified' })
    expect(await trouble(url)).toMatchInlineSnapshot(
      `"relay smtp: the relay refuses mail from noreply@mail.example.com: 550 5.7.1 sender not verified → Verify mail.example.com as sending domain at the relay, or set MAIL_FROM to an address it may send for."`,
    )
  })

  it.each(['EHLO', 'AUTH', 'MAIL'] as const)('and says that it falls silent at %s', async (stage) => {
    expect(await trouble(await script({ [stage]: () => 'hang' }), { stageMs: 2000 })).toMatch(
      /the relay does not answer (EHLO|AUTH|MAIL FROM) → /,
    )
  })
})

const noPostfix = postfixMissing()

describe('the doctor looks at a relay that is well', () => {
  it.skipIf(noPostfix !== undefined)(titled('and finds a real Postfix so', noPostfix), async () => {
    const postfix = await startPostfix()
    untilTheEnd(() => postfix.stop())
    trust(readFileSync(postfix.authority.caFile, 'utf8'))
    const [user, pass] = [postfix.user, postfix.password].map(encodeURIComponent)
    const SMTP_URL = `smtp://${user}:${pass}@${postfix.host}:${postfix.port}`
    const findings = await examine({ env: { ...noAddon, SMTP_URL } })
    expect(lines(findings, 'bad')).toEqual([])
    expect(
      [...lines(findings, 'ok'), ...lines(findings, 'warn')].filter((line) => line.startsWith('relay')),
    ).toMatchInlineSnapshot(`
      [
        "relay smtp: localhost:PORT (ADDRESS) takes connections",
        "relay smtp: login accepted (PLAIN)",
        "relay smtp: takes mail from noreply@mail.example.com",
        "relay smtp: TLSv1.3, certificate valid for N more days → Renew the certificate, or ask the operator of the relay whether it is renewed by itself.",
      ]
    `)
    const wrong = { SMTP_URL: SMTP_URL.replace(`:${pass}@`, ':wrong-password@') }
    const [refusal] = lines(await examine({ env: { ...noAddon, ...wrong } }), 'bad')
    expect(refusal).toMatch(/^relay smtp: login refused: 535 /)
  })

  it('and leaves no mail there', async () => {
    const { relay, options } = await deployment()
    expect(lines(await examineDeployment(options), 'bad')).toEqual([])
    expect(relay.mails).toEqual([])
    expect(relay.logins).toBe(1)
    await expect.poll(relay.open).toBe(0)
  })

  it('and sends one when asked to', async () => {
    const { relay, options } = await deployment({ sendTo: 'ada@example.org' })
    expect(lines(await examineDeployment(options), 'ok').join('\n')).toContain(
      'took a mail to ada@example.org',
    )
    expect(relay.mails).toEqual(['ada@example.org'])
    await expect.poll(relay.open).toBe(0)
  })

  it('and tells what became of a mail that was not taken', async () => {
    const onRcptTo: Parameters<typeof goodRelay>[0] = {
      onRcptTo: (_address, _session, done) =>
        done(new Error('no such user <eva.marker@example.net>, ask postmaster@example.net')),
    }
    const findings = await examine({ relay: onRcptTo, sendTo: 'ada@example.org' })
    expect(lines(findings, 'bad')).toMatchInlineSnapshot(`
      [
        "relay mailertogo: did not take a mail to ada@example.org (refused: recipient, 550); it says: 550 no such user <***@example.net>, ask ***@example.net → The relay refuses this recipient, not us: try another address.",
      ]
    `)
  })

  it('and stops waiting for a relay that is silent after DATA, long before the whole check would be broken off', async () => {
    const silent: Parameters<typeof goodRelay>[0] = { onData: (stream) => void stream.resume() }
    const findings = await examine({ relay: silent, sendTo: 'ada@example.org', sendMs: 1_000 })
    expect(lines(findings, 'bad')).toEqual([
      expect.stringMatching(
        /^relay mailertogo: did not take a mail to ada@example\.org \(unknown: timeout\) →/,
      ),
    ])
  })

  it.each(['LOGIN', 'CRAM-MD5'])('and logs in by %s where there is no PLAIN', async (mechanism) => {
    const findings = await examine({
      relay: {
        authMethods: [mechanism],
        onAuth: (auth, _session, done) => {
          const right =
            auth.method === 'CRAM-MD5' ? auth.validatePassword(password) : auth.password === password
          done(right ? null : new Error('wrong'), { user: 'user' })
        },
      },
    })
    expect(lines(findings, 'ok')).toContain(`relay mailertogo: login accepted (${mechanism})`)
  })

  it('and never says a secret', async () => {
    const findings = await examine({
      relay: { onMailFrom: (_a, _s, done) => done(new Error(`550 ${password} ${secret}`)) },
    })
    const said = JSON.stringify(findings)
    expect(said).toContain('the relay refuses mail from')
    for (const hidden of [password, secret, encodeURIComponent(password)]) expect(said).not.toContain(hidden)
  })
})

/** Until the end of the test. */
function trust(authority: string): void {
  const trusted = tls.getCACertificates('default')
  untilTheEnd(() => tls.setDefaultCACertificates(trusted))
  tls.setDefaultCACertificates([...trusted, authority])
}

/** A listening socket nobody accepts from, its line full: the kernel drops what comes, as a firewall does. */
async function unansweredPort(): Promise<number> {
  const blocked = new Worker(
    `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:worker_threads').parentPort.postMessage(server.address().port)
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50)
    })`,
    { eval: true },
  )
  untilTheEnd(() => blocked.terminate())
  const [port] = await once(blocked, 'message')
  await new Promise((resolve) => setTimeout(resolve, 150))
  for (let count = 0; count < 3; count++) {
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    untilTheEnd(() => socket.destroy())
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  return Number(port)
}

describe('the doctor logs in by XOAUTH2', () => {
  async function examined(acts: Script, act?: (count: number) => TokenAct): Promise<readonly string[]> {
    const relay = await scriptedRelay({ EHLO: () => '250-relay.test\r\n250 AUTH LOGIN XOAUTH2', ...acts })
    const tokens = await tokenEndpoint(act)
    untilTheEnd(() => relay.close())
    untilTheEnd(() => tokens.close())
    const findings = await examine({
      env: {
        ...noAddon,
        SMTP_URL: `smtp://user@localhost:${relay.port}?tls=off&auth=xoauth2`,
        SMTP_OAUTH_TOKEN_URL: tokens.url,
        SMTP_OAUTH_CLIENT_ID: 'client',
        SMTP_OAUTH_CLIENT_SECRET: 'a-client-secret',
      },
    })
    expect(JSON.stringify(findings)).not.toMatch(/token-1|a-client-secret/)
    return [...lines(findings, 'ok'), ...lines(findings, 'bad')].filter((line) => line.includes('relay smtp'))
  }

  it('with a token', async () => {
    expect((await examined({})).join('\n')).toContain('relay smtp: login accepted (XOAUTH2)')
  })

  it('and says that the relay refuses the token, without its words', async () => {
    const found = await examined({ AUTH: () => '535 5.7.139 token-1 is no good' })
    expect(found.at(-1)).toMatch(
      /^relay smtp: there is an access token, but the relay refuses it: 535 5\.7\.139 → Check the user in SMTP_URL/,
    )
  })

  it('and says that the relay does not offer it', async () => {
    const found = await examined({ EHLO: () => '250-relay.test\r\n250 AUTH PLAIN' })
    expect(found.at(-1)).toMatch(
      /^relay smtp: a login by XOAUTH2 is configured, but the relay offers only PLAIN/,
    )
  })

  it('and says that the token endpoint refuses us', async () => {
    const found = await examined({}, () => (response) => void response.writeHead(401).end('a-client-secret'))
    expect(found.at(-1)).toMatch(
      /^relay smtp: the token endpoint refuses us with 401 → Check SMTP_OAUTH_CLIENT_ID/,
    )
  })

  it('and says that the token endpoint does not answer', async () => {
    const found = await examined({}, () => (response) => void response.destroy())
    expect(found.at(-1)).toMatch(/^relay smtp: the token endpoint does not answer \(ECONNRESET\)/)
  })
})
