/** Owns an example site as a person starts it, in front of a real service whose mails can be read. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import PostalMime from 'postal-mime'
import { expect, onTestFinished } from 'vitest'
import { freePort } from '../support/port.ts'
import { scriptedRelay } from '../support/relay.ts'
import { startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'

const project = resolve(import.meta.dirname, '../..')

/** `script` is a script of package.json. */
export async function startSite(script: string) {
  const relay = await scriptedRelay()
  onTestFinished(() => relay.close())
  const service = await startService({
    mode: 'development',
    env: {
      JWT_MAILER_SECRET: secret,
      SMTP_URL: `smtp://user:pass@127.0.0.1:${relay.port}?tls=off`,
      MAIL_FROM: 'noreply@example.com',
    },
  })
  onTestFinished(async () => void (await service.stop()))
  const port = await freePort()
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, PORT: String(port), MAILER_URL: `${service.url}/`, JWT_MAILER_SECRET: secret }
  const child = spawn('npm', ['run', '--silent', script], {
    cwd: project,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const killGroup = () => void process.kill(-child.pid!, 'SIGKILL')
  process.once('exit', killGroup)
  onTestFinished(async () => {
    process.off('exit', killGroup)
    const ended = once(child, 'exit')
    killGroup()
    await ended
  })
  for await (const line of createInterface({ input: child.stdout }))
    if (line.includes('The site is at')) break
  const origin = `http://localhost:${port}`
  const cookies = new Map<string, string>()

  /** As a browser asks, without following what it is sent to. */
  async function ask(path: string, body?: { json: object } | { form: Record<string, string> }) {
    const headers = { origin, cookie: [...cookies].map((pair) => pair.join('=')).join('; ') }
    const isJson = body && 'json' in body
    const posted = body && {
      method: 'POST',
      body: isJson ? JSON.stringify(body.json) : new URLSearchParams(body.form),
    }
    const type = isJson ? { 'content-type': 'application/json' } : {}
    const url = new URL(path, origin)
    const response = await fetch(url, { ...posted, headers: { ...headers, ...type }, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return response
  }

  /** The link in the mail with this number, which leads to the site. */
  async function linkOf(count: number): Promise<string> {
    await expect.poll(() => relay.mails.length).toBe(count)
    const { text = '' } = await PostalMime.parse(relay.mails[count - 1]!.source)
    return new RegExp(`${origin}\\S+`).exec(text)?.[0] ?? ''
  }
  return { ask, linkOf }
}
