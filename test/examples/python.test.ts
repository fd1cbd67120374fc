/** The Flask application and the module it is made of, against the real service; a Python of the machine runs them. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { browserTest } from '../support/browser.ts'
import { freePort } from '../support/port.ts'
import { type Service, startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'
import { required, titled } from '../support/missing.ts'

const run = promisify(execFile)
const folder = resolve(import.meta.dirname, '../../examples/python')
const python = ['/usr/bin/python3', 'python3'].find((name) => {
  try {
    execFileSync(name, ['-c', 'import flask, jwt, requests'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})
const missing = required('REQUIRE_PYTHON', python ? undefined : 'no python3 with Flask, PyJWT and requests')

/** Runs lines of Python in the folder of the example. */
async function say(lines: string): Promise<string> {
  const { stdout } = await run(python!, ['-c', lines], {
    cwd: folder,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  })
  return stdout.trim()
}

describe.skipIf(missing !== undefined)(titled('in Python', missing), () => {
  let service: Service
  let site = ''
  let stopSite = async () => {}

  beforeAll(async () => {
    const home = await mkdtemp(join(tmpdir(), 'jwt-mailer-flask-'))
    const port = await freePort()
    site = `http://127.0.0.1:${port}`
    service = await startService({ mode: 'development', env: { JWT_MAILER_SECRET: secret } })
    const flask = spawn(python!, ['-m', 'flask', 'run', '--port', String(port)], {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        PYTHONDONTWRITEBYTECODE: '1',
        JWT_MAILER_URL: service.url,
        JWT_MAILER_SECRET: secret,
        LINK_SECRET: 'of the Flask application alone, long enough',
        SECRET_KEY: 'for its sessions',
        SITE_URL: site,
        DATABASE: join(home, 'users.sqlite'),
      },
    })
    stopSite = async () => {
      flask.kill()
      await rm(home, { recursive: true, force: true })
    }
    const answers = () =>
      fetch(site).then(
        ({ ok }) => ok,
        () => false,
      )
    while (!(await answers())) {
      if (flask.exitCode !== null) throw new Error('Flask did not start')
      await new Promise((done) => setTimeout(done, 50))
    }
  })

  afterAll(async () => {
    await stopSite()
    await service?.stop()
  })

  function visitor() {
    const cookies = new Map<string, string>()
    const ask = async (path: string, init: RequestInit = {}) => {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(new URL(path, site), { redirect: 'manual', ...init, headers: { cookie } })
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        cookies.set(name, value)
      }
      return { status: response.status, text: await response.text() }
    }
    const post = async (path: string, fields: Record<string, string> = {}) => {
      const [, csrf = ''] = /name="csrf" value="([^"]+)"/.exec((await ask('/signup')).text) ?? []
      return ask(path, { method: 'POST', body: new URLSearchParams({ csrf, ...fields }) })
    }
    return { ask, post }
  }

  async function mailTo(address: string, howMany = 1): Promise<string> {
    const mails = async () => {
      const all = (await (await fetch(`${service.url}/inbox/messages`)).json()) as { id: string }[]
      return all.filter((mail) => JSON.stringify(mail).includes(address))
    }
    await expect.poll(async () => (await mails()).length).toBe(howMany)
    const [newest] = await mails()
    return (await fetch(`${service.url}/inbox/messages/${newest!.id}`)).text()
  }
  const linkIn = (mail: string) => /http:\/\/127\.0\.0\.1:\d+\/confirm\/[\w.-]+/.exec(mail)![0]
  const codeIn = (mail: string) => /\b\d{6}\b/.exec(mail)![0]

  async function member(address: string, key: string) {
    const person = visitor()
    await person.post('/signup', { address })
    expect((await person.post(linkIn(await mailTo(address)), { key })).status).toBe(200)
    return person
  }

  test('sign-up: refused until the button is pressed, and a scanner does not press it', async () => {
    const person = visitor()
    const account = { address: 'ada@example.com', key: 'correct horse' }
    expect((await person.post('/signup', account)).status).toBe(200)
    expect((await person.post('/login', account)).status).toBe(401)
    const link = linkIn(await mailTo(account.address))
    for (const method of ['HEAD', 'GET']) expect((await fetch(link, { method })).status).toBe(200)
    expect((await person.post('/login', account)).status).toBe(401)
    expect((await person.post(link, { key: 'short' })).status).toBe(422)
    expect((await person.post(link, account)).text).toContain('Your address is confirmed')
    expect((await person.post(link, account)).status).toBe(410)
    expect((await person.post('/login', account)).status).toBe(303)
    expect((await person.ask('/')).text).toContain('signed in as ada@example.com')
  })

  browserTest('in a browser: what the mail holds is what its page accepts', async ({ browser }) => {
    const address = 'hedy@example.com'
    const context = await browser.newContext()
    const page = await context.newPage()
    const press = (name: string) => page.getByRole('button', { name }).click()
    const key = page.getByLabel('Access key')
    await page.goto(`${site}/signup`)
    await page.getByLabel('Email address').fill(address)
    await press('Sign up')
    await page.getByText('A mail is on its way').waitFor()
    const found = await fetch(`${service.url}/inbox/messages?to=${address}&wait=10s`)
    const [mail] = (await found.json()) as [{ link: string; code: string | null; text: string }]
    expect(mail.code).toBeNull()
    expect(mail.text).not.toContain('access key')
    await page.goto(mail.link)
    await key.fill('her own key')
    await press('Confirm')
    await page.getByText('Your address is confirmed').waitFor()
    await page.goto(`${site}/login`)
    await page.getByLabel('Email address').fill(address)
    await key.fill('her own key')
    await press('Sign in')
    await page.getByText(`You are signed in as ${address}`).waitFor()
    await page.goto(`${site}/resetkey`)
    await page.getByLabel('Email address').fill(address)
    await press('Send me a code')
    const typed = codeIn(await mailTo(address, 2))
    await page.getByLabel('Code from the mail').fill(typed)
    await key.fill('her second key')
    await press('Save')
    await page.getByText('Your key is saved').waitFor()
    await context.close()
  })

  test('key reset: the code works once, in the browser that asked', async () => {
    const address = 'grace@example.com'
    const person = await member(address, 'the first key')
    const thief = visitor()
    await thief.post('/resetkey', { address })
    await mailTo(address, 2)
    await person.post('/resetkey', { address })
    const mail = await mailTo(address, 3)
    expect(mail).toContain('It expires on')
    const code = codeIn(mail)
    expect((await thief.post('/newkey', { code, key: 'of a thief' })).status).toBe(401)
    expect((await person.post('/newkey', { code, key: 'the second key' })).text).toContain(
      'Your key is saved',
    )
    expect((await person.post('/newkey', { code, key: 'the third key' })).status).toBe(401)
    expect((await person.post('/login', { address, key: 'the first key' })).status).toBe(401)
    expect((await person.post('/login', { address, key: 'the second key' })).status).toBe(303)
  })

  test('a key that somebody else chose before is worth nothing, and an account stays as it is', async () => {
    const address = 'joan@example.com'
    const early = { address, key: 'of an early bird' }
    await visitor().post('/signup', early)
    const first = linkIn(await mailTo(address))
    await visitor().post('/signup', { address })
    const second = linkIn(await mailTo(address, 2))
    expect((await visitor().post(second, { key: 'her own key' })).status).toBe(200)
    expect((await visitor().post(first, early)).status).toBe(410)
    expect((await visitor().post('/login', early)).status).toBe(401)
    expect((await visitor().post('/login', { address, key: 'her own key' })).status).toBe(303)
    const again = await visitor().post('/signup', early)
    expect(again.text).toContain('A mail is on its way')
    expect(await mailTo(address, 3)).toContain('You already have an account')
  })

  test('a new key ends every session', async () => {
    const address = 'mary@example.com'
    const person = await member(address, 'the first key')
    const thief = visitor()
    await thief.post('/login', { address, key: 'the first key' })
    expect((await thief.ask('/')).text).toContain(address)
    await person.post('/resetkey', { address })
    const code = codeIn(await mailTo(address, 2))
    expect((await person.post('/newkey', { code, key: 'the second key' })).status).toBe(200)
    expect((await thief.ask('/')).text).not.toContain(address)
  })

  test('nobody waits for the mailer, so that the time does not tell whether there is an account', async () => {
    const lines = `import os, tempfile, threading
os.environ.update(JWT_MAILER_URL='http://127.0.0.1:1', JWT_MAILER_SECRET='s', LINK_SECRET='l', SECRET_KEY='k', DATABASE=tempfile.mktemp())
import app
sent = []
app.mailer.send = lambda *words, **rest: (sent.append(threading.current_thread() is threading.main_thread()), ('sent', 'x'))[1]
client = app.app.test_client()
with app.database() as db: db.execute("insert into users (address, key) values ('a@example.com', 'x')")
for path, form in (('/signup', {'address': 'new@example.com'}), ('/signup', {'address': 'a@example.com'}), ('/resetkey', {'address': 'a@example.com'})):
    client.get(path)
    with client.session_transaction() as session: form['csrf'] = session['csrf']
    client.post(path, data=form)
for thread in threading.enumerate():
    if thread is not threading.main_thread(): thread.join()
print(sent)`
    expect(await say(lines)).toBe('[False, False, False]')
  })

  test('forged forms and links, and too much, are refused', async () => {
    const body = new URLSearchParams({ address: 'eve@example.com', key: 'correct horse' })
    expect((await visitor().ask('/signup', { method: 'POST', body })).status).toBe(403)
    for (const csrf of ['guessed', 'perché'])
      expect((await visitor().post('/signup?', { csrf })).status).toBe(403)
    expect((await visitor().ask('/confirm/eyJhbGciOiJub25lIn0.e30.')).status).toBe(410)
    const statuses: number[] = []
    for (let times = 0; times < 6; times++)
      statuses.push((await visitor().post('/resetkey', { address: 'nobody@example.com' })).status)
    expect(statuses).toEqual([303, 303, 303, 303, 303, 429])
  })

  test('the module is short enough to copy', () => {
    expect(readFileSync(join(folder, 'jwt_mailer.py'), 'utf8').split('\n').length).toBeLessThanOrEqual(60)
  })

  test('the module sends a mail once, and tells a refusal and an absence by their codes', async () => {
    const send = (url: string, words: string) =>
      say(
        `from jwt_mailer import Mailer\nprint(Mailer(${JSON.stringify(url)}, ${JSON.stringify(secret)}).send(${words}))`,
      )
    const once = "'resetkey', 'kay@example.com', key='493027', idempotency_key='one'"
    const [first, second] = [await send(service.url, once), await send(service.url, once)]
    expect(first).toMatch(/^\('sent', '[\w-]+'\)$/)
    expect(second).toBe(first)
    await mailTo('kay@example.com')
    expect(await send(service.url, "'resetkey', 'kay@example.com'")).toBe("('claims_invalid', None)")
    expect(await send(`http://127.0.0.1:${await freePort()}`, once)).toBe("('unreachable', None)")
  })

  test.each(['store_unavailable', 'store_unknown'])(
    'the module tries again what may pass, with the same token: %s',
    async (code) => {
      const bodies: string[] = []
      const busy = createServer(async (request, response) => {
        let body = ''
        for await (const chunk of request) body += String(chunk)
        bodies.push(body)
        response.end(`{"error":2,"msg":"Could not send","code":"${code}"}`)
      }).listen(0, '127.0.0.1')
      await new Promise((done) => busy.once('listening', done))
      const { port } = busy.address() as AddressInfo
      const lines = `from jwt_mailer import Mailer\nprint(Mailer('http://127.0.0.1:${port}', 's').send('reset', 'a@example.com')[0])`
      expect(await say(lines)).toBe(code)
      expect(bodies).toHaveLength(3)
      expect(new Set(bodies).size).toBe(1)
      busy.closeAllConnections()
      busy.close()
    },
  )

  test.each([
    ["verify_link(sign_link('confirm', 7, 's'), 'confirm', 's')['sub']", '7'],
    ["verify_link(sign_link('reset', 7, 's'), 'confirm', 's')", 'InvalidAudienceError'],
    ["verify_link(sign_link('confirm', 7, 'x'), 'confirm', 's')", 'InvalidSignatureError'],
    ["verify_link(sign_link('confirm', 7, 's', -1), 'confirm', 's')", 'ExpiredSignatureError'],
  ])('links are for one purpose and for a time: %s', async (words, answer) => {
    const lines = `from jwt_mailer import *\ntry: print(${words})\nexcept Exception as error: print(type(error).__name__)`
    expect(await say(lines)).toBe(answer)
  })
})
