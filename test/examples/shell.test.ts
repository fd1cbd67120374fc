/** examples/shell/send.sh as a person calls it, against the real service. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/port.ts'
import { type Service, startService } from '../support/service.ts'
import { secret, signToken } from '../support/tokens.ts'

const script = resolve(import.meta.dirname, '../../examples/shell/send.sh')
let service: Service

beforeAll(async () => {
  service = await startService({ mode: 'development', env: { JWT_MAILER_SECRET: secret } })
})
afterAll(async () => void (await service?.stop()))

function send(words: readonly string[], env: Record<string, string> = {}) {
  const all = { PATH: process.env['PATH'], JWT_MAILER_URL: service.url, JWT_MAILER_SECRET: secret, ...env }
  return spawnSync('sh', [script, ...words], { env: all, encoding: 'utf8', timeout: 60_000 })
}
const mails = async () =>
  (await (await fetch(`${service.url}/inbox/messages`)).json()) as { subject: string }[]

describe('a shell with openssl and curl', () => {
  const link = ['https://app.example.com/c/', 'abc']

  test('sends a mail with a link, and one with a code alone', async () => {
    const { status, stdout } = send(['ada@example.com', '7hK2pQ', ...link])
    expect(JSON.parse(stdout)).toMatchObject({ error: 0, code: 'sent' })
    expect(status).toBe(0)
    expect(send(['ada@example.com', '493027'], { KIND: 'resetkey' }).status).toBe(0)
    expect(await mails()).toHaveLength(2)
  })

  test('takes a base address with slashes at its end', () => {
    for (const slashes of ['/', '//']) {
      const { stdout } = send(['ada@example.com', '7hK2pQ', ...link], {
        JWT_MAILER_URL: service.url + slashes,
      })
      expect(JSON.parse(stdout)).toMatchObject({ error: 0, code: 'sent' })
    }
  })

  test('and so does the line of the README', () => {
    const readme = readFileSync(resolve(import.meta.dirname, '../../README.md'), 'utf8')
    const [line = ''] = /^curl "\$.*emailservice.*$/m.exec(readme) ?? []
    const env = { PATH: process.env['PATH'], JWT_MAILER_URL: `${service.url}/`, TOKEN: signToken() }
    const { stdout } = spawnSync('sh', ['-c', line], { env, encoding: 'utf8', timeout: 60_000 })
    expect(JSON.parse(stdout)).toMatchObject({ error: 0, code: 'sent' })
  })

  test('sends a mail once when it has a name, however often it is run', async () => {
    const before = (await mails()).length
    const answers = [1, 2].map(
      () => send(['ada@example.com', '7hK2pQ', ...link], { MAIL_ID: 'signup-42' }).stdout,
    )
    const [first, second] = answers.map((answer) => (JSON.parse(answer) as { id: string }).id)
    expect(first).toBe(second)
    expect(await mails()).toHaveLength(before + 1)
  })

  test('shows a refusal and ends with an error', () => {
    const { status, stdout } = send(['ada@example.com', 'a key with spaces', ...link])
    expect(JSON.parse(stdout)).toMatchObject({ error: 1, code: 'claims_invalid' })
    expect(status).not.toBe(0)
  })

  test('says how it is called', () => {
    expect(send(['ada@example.com'])).toMatchObject({ status: 2, stderr: expect.stringContaining('usage') })
  })

  test('ends with an error where nobody answers', async () => {
    const url = `http://127.0.0.1:${await freePort()}`
    expect(send(['ada@example.com', '7hK2pQ', ...link], { JWT_MAILER_URL: url }).status).not.toBe(0)
  })
})
