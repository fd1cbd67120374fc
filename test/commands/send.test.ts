/** `jwt-mailer send`: one mail through a real service, to a relay that says what the test tells it to. */
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { runHere } from '../support/command.ts'
import { freePort, portOf } from '../support/port.ts'
import { scriptedRelay, type ScriptedRelay } from '../support/relay.ts'
import { type Service, startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'
import { mailWords } from './mail-words.ts'
import { runBeside } from './program.ts'

const runSend = (words: readonly string[], url?: string) =>
  runHere(['send', ...words], { JWT_MAILER_SECRET: secret, ...(url && { JWT_MAILER_URL: url }) })

describe('jwt-mailer send', () => {
  let relay: ScriptedRelay
  let service: Service
  let slow = false
  const login = 'postmark:1d5fa87c902b43e6'
  beforeAll(async () => {
    relay = await scriptedRelay({ MAIL: () => (slow ? '451 later' : '250 ok') })
    service = await startService({
      mode: 'production',
      env: {
        JWT_MAILER_SECRET: secret,
        SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
        MAIL_FROM: 'noreply@example.com',
        POSTMARK_FEEDBACK_LOGIN: login,
      },
    })
  })
  afterAll(async () => {
    await service.stop()
    await relay.close()
  })
  const send = (...words: string[]) => runSend(words, service.url)

  test('sends a mail and says so', async () => {
    const env = { JWT_MAILER_SECRET: secret, JWT_MAILER_URL: service.url }
    const { status, stdout } = await runBeside(['send', ...mailWords], env)
    expect(stdout).toMatch(/^sent {2}[\w-]+\n$/)
    expect(status).toBe(0)
    expect(relay.mails).toHaveLength(1)
  })

  test('tells a refusal with the claim at fault and what it means', async () => {
    const { status, stdout, stderr } = await send('--to', 'ada@example.com')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(
      /^claims_invalid \(email_link_url, --link-url\): Problem with token: email_link_url is missing: give both halves/,
    )
    expect((await send('--to', 'ada@example.com', '--kind', 'confirmatoin')).stderr).toMatch(
      /^mail_unknown: there is no such app or kind\. .*confirmation/,
    )
    expect(JSON.parse((await send('--to', 'ada@example.com', '--json')).stdout)).toMatchObject({
      ok: false,
      code: 'claims_invalid',
      claim: 'email_link_url',
    })
  })

  test('follows a queued mail until it is sent', async () => {
    slow = true
    const sending = send(...mailWords, '--wait', '--json')
    await expect
      .poll(() => relay.commands.filter((command) => command.startsWith('MAIL')).length)
      .toBeGreaterThan(1)
    slow = false
    const { status, stdout } = await sending
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, state: 'sent', attempts: 2 })
    expect(status).toBe(0)
  })

  test('waits for what the relay reports, when it is asked to', async () => {
    const taken = relay.mails.length
    const sending = send(...mailWords, '--to', 'bounces@example.com', '--feedback')
    await expect.poll(() => relay.mails.length).toBe(taken + 1)
    const [, mail] = /^Message-ID: <([^@]+)@/im.exec(relay.mails.at(-1)?.source ?? '') ?? []
    const { status: noted } = await fetch(`${service.url}/feedback/postmark`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
      body: JSON.stringify({ RecordType: 'Bounce', Type: 'HardBounce', Metadata: { mail } }),
    })
    expect(noted).toBe(200)
    const { status, stdout } = await sending
    expect(stdout).toMatch(/^sent \(accepted\), bounced hard {2}[\w-]+\n$/)
    expect(status).toBe(1)
  })

  test('stops waiting when it has waited long enough, and the mail is still queued', async () => {
    slow = true
    const { status, stdout } = await send(...mailWords, '--wait', '--timeout', '1', '--json')
    slow = false
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, state: 'queued' })
    expect(status).toBe(1)
  })

  test.each([
    ['ours', 308, { error: 1, msg: 'Use https', code: 'bad_request' }],
    ["a proxy's", 301, undefined],
  ])('names the address to which requests are sent on: %s', async (_title, status, answer) => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(status, { location: `https://mailer.test${request.url}` })
      response.end(answer && JSON.stringify(answer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${portOf(server)}`
    const { stderr } = await runSend([...mailWords, '--url', url])
    expect(stderr).toContain(
      `${url} sends every request on to https://mailer.test: set JWT_MAILER_URL or --url to where the service is`,
    )
    expect(asked).toEqual(['POST /emailservice/confirmation', 'GET /health/live'])
  })

  test('names the address where nothing listens', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    const { status, stderr } = await runSend([...mailWords, '--url', url])
    expect(status).toBe(2)
    expect(stderr).toContain(`nothing listens at ${url}`)
    const wrong = await runSend([...mailWords, '--url', 'localhost'])
    expect(wrong.stderr).toMatch(/^jwt-mailer: url must be where the mailer listens/)
  })
})
