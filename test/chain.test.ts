/**
 * The whole chain with nothing of ours but the service: a caller's program, the service in production mode, a real
 * Postfix, a mailbox, curl as the browser that opens the link, and the caller's web server behind it.
 */
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import jwt from 'jsonwebtoken'
import PostalMime from 'postal-mime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Certificate } from './support/authority.ts'
import { required, titled } from './support/missing.ts'
import { type Postfix, postfixMissing, startPostfix } from './support/postfix.ts'
import { type Service, startService } from './support/service.ts'
import { portOf } from './support/port.ts'

const run = promisify(execFile)
const examples = resolve(import.meta.dirname, '../examples')
const sharedSecret = 'shared between the caller and the mailer, 32 bytes and more'
const callerSecret = 'known to the caller alone, 32 bytes and more'
const callerHost = 'app.caller.example'

const python = ['/usr/bin/python3', 'python3'].find(hasPyJwt)
const noPython = python === undefined ? 'no python3 with PyJWT and requests' : undefined
const missing = postfixMissing() ?? required('REQUIRE_PYTHON', noPython)

const title = titled('the real chain, through Postfix with STARTTLS and SASL', missing)
describe.skipIf(missing !== undefined)(title, () => {
  let postfix: Postfix
  let caller: Caller
  let service: Service

  beforeAll(async () => {
    postfix = await startPostfix()
    caller = await startCaller(await postfix.authority.certify(callerHost))
    service = await startService({
      mode: 'production',
      env: {
        JWT_MAILER_SECRET: sharedSecret,
        MAILERTOGO_SMTP_HOST: postfix.host,
        MAILERTOGO_SMTP_PORT: String(postfix.port),
        MAILERTOGO_SMTP_USER: postfix.user,
        MAILERTOGO_SMTP_PASSWORD: postfix.password,
        MAILERTOGO_DOMAIN: 'sender.example',
        NODE_EXTRA_CA_CERTS: postfix.authority.caFile,
      },
    })
  })

  afterAll(async () => {
    await service?.stop()
    await postfix?.stop()
    caller?.server.close()
  })

  test('a Python caller of the article gets its own link token back when the mail is opened', async () => {
    const recipient = `ada@${postfix.mailDomain}`
    const sent = await runPython(recipient)
    expect(sent.answer).toMatchObject({ error: 0, msg: 'Ok', code: 'sent' })
    await expectLinkToLeadHome(recipient, sent.link_token)
  })

  test('a shell with openssl and curl gets its own link token back when the mail is opened', async () => {
    const recipient = `grace.o'hopper+list@${postfix.mailDomain}`
    const linkToken = jwt.sign({ user_email: recipient }, callerSecret, { expiresIn: '1 day' })
    const { stdout } = await run(
      join(examples, 'shell/send.sh'),
      [recipient, '481516', caller.linkUrl, linkToken],
      { env: callerEnv() },
    )
    expect(JSON.parse(stdout)).toMatchObject({ error: 0, msg: 'Ok', code: 'sent' })
    await expectLinkToLeadHome(recipient, linkToken)
  })

  test('a caller with another secret is told so by the example, and no mail leaves', async () => {
    const recipient = `mallory@${postfix.mailDomain}`
    const env = { ...callerEnv(), JWT_MAILER_SECRET: 'a guess that is also 32 bytes long or more' }
    const failure = await run(python!, [join(examples, 'python/send.py'), recipient, '1'], { env }).catch(
      (error: { code: number; stdout: string }) => error,
    )
    expect(failure).toMatchObject({ code: 1, stdout: 'token_signature Problem with token\n' })
    expect(await postfix.log()).not.toContain(recipient)
  })

  test('each mail arrived once, and nobody else got one', async () => {
    expect(await postfix.mails()).toHaveLength(2)
  })

  test('the password went to the relay only after TLS, and no secret is in the log of the service', async () => {
    const relayLog = await postfix.log()
    expect(relayLog).toMatch(
      /Anonymous TLS connection established[^]*sasl_method=\w+, sasl_username=mailer@relay/,
    )
    const log = service.output()
    expect(log).toContain('"sent"')
    for (const secret of [
      sharedSecret,
      callerSecret,
      postfix.password,
      '481516',
      callerHost,
      'ada@',
      'eyJ',
    ]) {
      expect(log).not.toContain(secret)
    }
  })

  test('the service ends by itself when it is told to stop', async () => {
    expect(await service.stop()).toBe(0)
  })

  /** Opens both links of the mail as a reader would, and holds what arrives against what the caller had signed. */
  async function expectLinkToLeadHome(recipient: string, linkToken: string): Promise<void> {
    const source = await postfix.mailTo(recipient)
    expect(source).toContain('Return-Path: <noreply@sender.example>')
    const mail = await PostalMime.parse(source)
    expect(mail.to?.[0]?.address).toBe(recipient)
    expect(mail.from?.address).toBe('noreply@sender.example')
    expect(mail.text).toContain('481516')
    expect(mail.html).toContain('481516')

    for (const link of [linkOfText(mail.text ?? ''), linkOfHtml(mail.html ?? '')]) {
      const opened = await open(link)
      expect(opened).toBe(`Confirmed: ${recipient}`)
      expect(caller.tokens.at(-1)).toBe(linkToken)
    }
  }

  /** The exact URL over real TLS; only the name is looked up here instead of in the DNS. */
  async function open(link: string): Promise<string> {
    const resolved = `${callerHost}:${caller.port}:127.0.0.1`
    const options = ['--silent', '--show-error', '--max-time', '10', '--resolve', resolved]
    const { stdout } = await run('curl', [...options, '--cacert', postfix.authority.caFile, link])
    return stdout
  }

  function callerEnv(): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      JWT_MAILER_URL: service.url,
      JWT_MAILER_SECRET: sharedSecret,
      APP_SECRET: callerSecret,
      APP_LINK_URL: caller.linkUrl,
    }
  }

  /** Uses the example as a web app would: it keeps the link token that it sends. */
  async function runPython(recipient: string): Promise<z.infer<typeof pythonResult>> {
    const app = `
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import send
link_token = send.make_link_token(sys.argv[2])
answer = send.send_confirmation(sys.argv[2], "481516", link_token)
print(json.dumps({"answer": answer, "link_token": link_token}))`
    const { stdout } = await run(python!, ['-c', app, join(examples, 'python'), recipient], {
      env: callerEnv(),
    })
    return pythonResult.parse(JSON.parse(stdout))
  }
})

const linkClaims = z.object({ user_email: z.string() })
const pythonResult = z.object({ answer: z.unknown(), link_token: z.string() })

interface Caller {
  readonly server: Server
  readonly port: number
  readonly linkUrl: string
  /** Each link token that came back, as it stood in the URL. */
  readonly tokens: string[]
}

/** The caller's web app: it confirms the address when its own link token comes back intact. */
async function startCaller({ key, cert }: Certificate): Promise<Caller> {
  const tokens: string[] = []
  const server = createServer({ key, cert }, (request, response) => {
    const token = request.url?.split('/verify?token=')[1] ?? ''
    tokens.push(token)
    try {
      const { user_email } = linkClaims.parse(jwt.verify(token, callerSecret, { algorithms: ['HS256'] }))
      response.end(`Confirmed: ${user_email}`)
    } catch {
      response.writeHead(403).end('This link is not ours')
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  return { server, port, linkUrl: `https://${callerHost}:${port}/verify?token=`, tokens }
}

/** As mail programs find it in plain text: from `https://` to the next space. */
function linkOfText(text: string): string {
  return /https:\/\/\S+/.exec(text)?.[0] ?? ''
}

function linkOfHtml(html: string): string {
  const href = /<a\s[^>]*href="(https:[^"]+)"/.exec(html)?.[1] ?? ''
  return href
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/&#x([\da-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&amp;', '&')
}

function hasPyJwt(program: string): boolean {
  try {
    execFileSync(program, ['-c', 'import jwt, requests'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
