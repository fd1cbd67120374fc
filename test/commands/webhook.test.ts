import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { webhook } from '../../client/src/index.ts'
import { runCommand } from '../../src/cli.ts'
import { portOf } from '../support/port.ts'

const secret = `whsec_${Buffer.from('a secret of thirty-two bytes, no less').toString('base64')}`

const production = {
  JWT_MAILER_SECRET: '4f0d9c1e7a2b58364c0f9e8d7b6a5142',
  SMTP_URL: 'smtp://user:password@relay.example',
  MAIL_FROM: 'noreply@example.com',
}

async function call(env: NodeJS.ProcessEnv, ...words: string[]) {
  const lines = { out: [] as string[], err: [] as string[] }
  const terminal = {
    out: (line: string) => void lines.out.push(line),
    err: (line: string) => void lines.err.push(line),
    paint: (_style: string, text: string) => text,
  }
  return { code: await runCommand(['webhook', ...words], terminal, env), ...lines }
}

test('calls an app with an event that its client understands, and says what came back', async () => {
  let status = 204
  const results: unknown[] = []
  const server = createServer(async (request, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    results.push(await webhook.verify(Buffer.concat(chunks), request.headers, secret))
    reply.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const url = `http://localhost:${portOf(server)}/hook`
  const env = {
    JWT_MAILER_WEBHOOK_BLOG: url,
    JWT_MAILER_WEBHOOK_SECRET: secret,
    MAILS_DIR: 'examples/variance/mails',
  }
  expect(await call(env, 'blog')).toEqual({
    code: 0,
    out: ['The receiver of blog took the test event.'],
    err: [],
  })
  expect(results).toMatchObject([{ ok: true, event: { type: 'webhook.test', app: 'blog' } }])
  status = 500
  expect(await call(env, 'blog', '--json')).toEqual({
    code: 1,
    out: ['{"taken":false,"reply":500,"reason":"status"}'],
    err: [],
  })
  const { code, err } = await call(env, 'blog')
  expect([code, err]).toEqual([
    1,
    ['jwt-mailer: the receiver of blog did not take the test event: reason status, reply 500'],
  ])
  expect(await call(env, 'blogg')).toEqual({
    code: 2,
    out: [],
    err: ['jwt-mailer: there is no app blogg; the apps are blog, cat, default, ntsqr, usr'],
  })
  expect((await call(env, 'cat')).code).toBe(2)
})

test('says what to do about an address that is not public', async () => {
  const env = { JWT_MAILER_WEBHOOK: 'https://127.0.0.1:9/hook', JWT_MAILER_WEBHOOK_SECRET: secret }
  const { code, err } = await call({ ...env, NODE_ENV: 'production', ...production }, 'default')
  expect([code, err]).toEqual([1, [expect.stringContaining('set WEBHOOK_ALLOW_PRIVATE=on')]])
})
