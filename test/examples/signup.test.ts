/** `npm run demo` as a person has it: the real command, a real browser, and what hostile visitors try. */
import { createHook } from 'node:async_hooks'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
// oxlint-disable-next-line no-unassigned-import -- for the type of `request.cookies`
import '@fastify/cookie'
import type { FastifyRequest } from 'fastify'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openAccounts } from '../../examples/signup/accounts.ts'
import { mayAsk, type Site } from '../../examples/signup/request.ts'
import { browserTest } from '../support/browser.ts'
import { freePort } from '../support/port.ts'

const project = resolve(import.meta.dirname, '../..')
const password = 'correct horse battery'
let demo: Demo
let count = 0
const newAddress = () => `ada${++count}@example.com`

interface Demo {
  readonly site: string
  readonly mailer: string
  readonly output: () => string
  /** Types a line into its terminal. */
  type(line: string): void
  stop(): Promise<number | null>
}

/** What `npm run demo` starts once it has built the client. */
const startBuilt = [process.execPath, 'examples/signup/demo.ts'] as const

async function startDemo(
  env: Record<string, string> = {},
  [program, ...words]: readonly [string, ...string[]] = ['npm', 'run', '--silent', 'demo'],
): Promise<Demo> {
  const [sitePort, mailerPort] = [await freePort(), await freePort()]
  const child = spawn(program, words, {
    cwd: project,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      SITE_PORT: String(sitePort),
      MAILER_PORT: String(mailerPort),
      ...env,
    },
    detached: true,
  })
  // nothing may outlive a test run that is cut off; npm ended by a signal has no exit code, so only its end tells
  const killGroup = () => void process.kill(-child.pid!, 'SIGKILL')
  process.once('exit', killGroup)
  child.once('exit', () => process.off('exit', killGroup))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  const [site, mailer] = [`http://localhost:${sitePort}`, `http://localhost:${mailerPort}`]
  for (const until = Date.now() + 60_000; !output.includes('Ctrl-C ends both'); await pause(50))
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`the demo did not start:
${output}`)
  const type = (line: string) => void child.stdin.write(`${line}\n`)
  return { site, mailer, output: () => output, type, stop: () => stopGroup(child) }
}

/** As Ctrl-C does: every process of the group hears it. */
async function stopGroup(child: ChildProcess): Promise<number | null> {
  const ended = new Promise<number | null>((done) => child.once('exit', done))
  process.kill(-child.pid!, 'SIGINT')
  return ended
}

beforeAll(async () => {
  demo = await startDemo()
})
afterAll(async () => void (await demo?.stop()))

interface InboxMail {
  readonly id: string
  readonly to: string
  readonly subject: string
}

async function mailsTo(address: string, mailer = demo.mailer): Promise<InboxMail[]> {
  const all = (await (await fetch(`${mailer}/inbox/messages`)).json()) as {
    id: string
    recipients?: string[]
    to?: unknown
    subject: string
  }[]
  return all.flatMap((mail) =>
    JSON.stringify(mail).includes(address) ? [{ id: mail.id, to: address, subject: mail.subject }] : [],
  )
}

/** The newest mail to an address once there are so many. */
async function mailTo(address: string, howMany = 1, mailer = demo.mailer): Promise<string> {
  await expect.poll(async () => (await mailsTo(address, mailer)).length).toBeGreaterThanOrEqual(howMany)
  const [newest] = await mailsTo(address, mailer)
  return (await fetch(`${mailer}/inbox/messages/${newest!.id}`)).text()
}

const linkIn = (mail: string) => /http:\/\/localhost:\d+\/(?:confirm|reset|change)\/[\w.~-]+/.exec(mail)![0]

/** A browser without its looks: keeps cookies, sends forms with what the page hid in them. */
function visitor(site = demo.site) {
  const cookies = new Map<string, string>()
  const ask = async (path: string, init: RequestInit = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(new URL(path, site), {
      redirect: 'manual',
      ...init,
      headers: { cookie, ...init.headers },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    return {
      status: response.status,
      location: response.headers.get('location'),
      headers: response.headers,
      text: await response.text(),
    }
  }
  const post = async (path: string, fields: Record<string, string> = {}, from = path) => {
    const { text } = await ask(from)
    const [, csrf = ''] = /name="_csrf" value="([^"]+)"/.exec(text) ?? []
    const body = new URLSearchParams({ _csrf: csrf, ...fields })
    return ask(path, { method: 'POST', body })
  }
  return { ask, post, cookies }
}

/** An account whose address is confirmed, and somebody who is signed in with it. */
async function member() {
  const address = newAddress()
  const person = visitor()
  await person.post('/register', { address, password })
  await person.post(linkIn(await mailTo(address)), { password })
  const { status } = await person.post('/login', { address, password })
  expect(status).toBe(303)
  return { address, person }
}

const toldIn = (text: string) => /class="told"[^>]*>([^<]+)/.exec(text)?.[1]
const titleOf = (text: string) => /<h1>(.*?)<\/h1>/.exec(text)?.[1]

describe('in a browser', () => {
  const fillIn = async (page: Page, fields: Record<string, string>, button: string) => {
    for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value)
    await page.getByRole('button', { name: button, exact: true }).click()
  }
  const title = (page: Page) => page.locator('h1').textContent()
  const told = (page: Page) => page.locator('.told').textContent()

  /** The newest mail of that subject, as a person finds it on the inbox's page, and the link that is shown above it. */
  const linkInInbox = async (page: Page, subject: string) => {
    await page.goto(`${demo.mailer}/inbox`)
    await page.locator('#list .subject', { hasText: subject }).first().click()
    await page.getByRole('heading', { level: 2, name: subject }).waitFor()
    return page.locator('#links a').first().getAttribute('href')
  }

  browserTest(
    'register, read the mail, confirm, sign in, change the address, reset by link and by code',
    async ({ browser }) => {
      const page = await (await browser.newContext()).newPage()
      const address = newAddress()
      await page.goto(`${demo.site}/register`)
      await fillIn(
        page,
        { 'Email address': address, 'Password, 8 characters or more': password },
        'Create account',
      )
      expect(await title(page)).toBe('Look into your mail')

      // before the address is confirmed nobody gets in, and can ask for the mail again
      await page.goto(`${demo.site}/login`)
      await fillIn(page, { 'Email address': address, Password: password }, 'Sign in')
      expect(await told(page)).toContain('Confirm your address first')
      await page.getByRole('link', { name: 'Send the confirmation again' }).click()
      await fillIn(page, { 'Email address': address }, 'Send it again')
      expect(await title(page)).toBe('Look into your mail')
      const link = linkIn(await mailTo(address, 2))
      expect(await linkInInbox(page, 'Confirm your email address')).toBe(link)

      // a scanner opens the link first, twice
      for (const method of ['HEAD', 'GET']) expect((await fetch(link, { method })).status).toBe(200)
      await page.goto(link)
      expect(await title(page)).toBe('Confirm your address')
      await fillIn(page, { 'The password you have chosen': 'of somebody else' }, 'Yes, confirm')
      expect(await told(page)).toContain('not the password')
      await fillIn(page, { 'The password you have chosen': password }, 'Yes, confirm')
      expect(await title(page)).toBe('Your address is confirmed')

      // opened a second time
      await page.goto(link)
      await fillIn(page, { 'The password you have chosen': password }, 'Yes, confirm')
      expect(await title(page)).toBe('This link has done its work')

      await page.getByRole('link', { name: 'Sign in' }).click()
      await fillIn(page, { 'Email address': address, Password: password }, 'Sign in')
      expect(await told(page)).toBe(`You are signed in as ${address}.`)

      // another address: confirmed there, announced here
      const next = newAddress()
      await page.getByRole('link', { name: 'Change my address' }).click()
      await fillIn(page, { 'Email address': next, 'Your password': password }, 'Send me a link')
      await page.goto(linkIn(await mailTo(next)))
      await page.getByRole('button', { name: 'Yes, use it' }).click()
      expect(await told(page)).toBe(`Your account uses ${next} now.`)
      expect(await mailTo(address, 3)).toContain(next)
      await page.goto(demo.site)
      expect(await told(page)).toBe(`You are signed in as ${next}.`)

      // forgotten: a link
      await page.goto(`${demo.site}/reset`)
      await fillIn(page, { 'Email address': next }, 'Send me a link')
      await page.goto(linkIn(await mailTo(next, 2)))
      await fillIn(page, { 'New password, 8 characters or more': 'another password' }, 'Save the password')
      expect(await title(page)).toBe('Your password is saved')
      await page.getByRole('link', { name: 'Sign in' }).click()
      await fillIn(page, { 'Email address': next, Password: 'another password' }, 'Sign in')
      expect(await told(page)).toContain(next)
      await page.getByRole('button', { name: 'Sign out' }).click()

      // forgotten again: a code
      await page.goto(`${demo.site}/reset`)
      await fillIn(page, { 'Email address': next }, 'Send me a code')
      const [, code = ''] = /\b(\d{6})\b/.exec(await mailTo(next, 3))!
      await fillIn(
        page,
        { 'Code from the mail': code, 'New password, 8 characters or more': 'a third password' },
        'Save the password',
      )
      expect(await title(page)).toBe('Your password is saved')
      await page.getByRole('link', { name: 'Sign in' }).click()
      await fillIn(page, { 'Email address': next, Password: 'a third password' }, 'Sign in')
      expect(await told(page)).toContain(next)
    },
    120_000,
  )

  browserTest(
    'a link that is over, and one that is not ours, are explained',
    async ({ browser }) => {
      // long enough for a busy machine to send the mail, which is not sent once its link is over
      const brief = await startDemo({ LINK_LIFE_S: '6' }, startBuilt)
      const page = await (await browser.newContext()).newPage()
      await page.goto(`${brief.site}/register`)
      await fillIn(
        page,
        { 'Email address': 'ada@example.com', 'Password, 8 characters or more': password },
        'Create account',
      )
      const mail = await mailTo('ada@example.com', 1, brief.mailer)
      const link = linkIn(mail)
      const titleOfLink = async () => {
        await page.goto(link)
        return title(page)
      }
      await expect.poll(titleOfLink, { interval: 500, timeout: 60_000 }).toBe('This link is over')
      await page.getByRole('link', { name: 'Send me a new one' }).click()
      expect(await title(page)).toBe('Send the confirmation again')
      await page.goto(`${brief.site}/confirm/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.`)
      expect(await title(page)).toBe('This link is not whole')
      await brief.stop()
      const answers = (url: string) =>
        fetch(url).then(
          () => true,
          () => false,
        )
      await expect
        .poll(() => Promise.all([answers(brief.site), answers(brief.mailer)]))
        .toEqual([false, false])
    },
    120_000,
  )
})

describe('whether an address has an account is told to nobody but its owner', () => {
  test.each(['/register', '/confirm-again', '/reset'])('%s answers alike', async (path) => {
    const { address } = await member()
    const waiting = newAddress()
    await visitor().post('/register', { address: waiting, password })
    const answers = await Promise.all(
      [address, waiting, newAddress()].map(async (one) => {
        const { status, text } = await visitor().post(path, { address: one, password, by: 'link' })
        return { status, text: text.replaceAll(one, 'ADDRESS').replace(/_csrf" value="[^"]+/g, '') }
      }),
    )
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).toEqual(answers[0])
  })

  test('a wrong password and an unknown address are refused alike', async () => {
    const { address } = await member()
    const tell = async (one: string) => {
      const { status, text } = await visitor().post('/login', { address: one, password: 'wrong password' })
      return { status, told: toldIn(text) }
    }
    expect(await tell(address)).toEqual({ status: 401, told: 'Address or password is wrong.' })
    expect(await tell(newAddress())).toEqual(await tell(address))
  })

  test('registering an address that has an account changes nothing and writes to its owner', async () => {
    const { address } = await member()
    await visitor().post('/register', { address, password: 'of somebody else' })
    expect(await mailTo(address, 2)).toContain('You already have an account')
    expect((await visitor().post('/login', { address, password: 'of somebody else' })).status).toBe(401)
    expect((await visitor().post('/login', { address, password })).status).toBe(303)
  })
})

describe("somebody else's address", () => {
  const evil = 'of the attacker'

  test('registered first is not opened by who reads its mail and presses the button', async () => {
    const victim = newAddress()
    await visitor().post('/register', { address: victim, password: evil })
    const link = linkIn(await mailTo(victim))
    for (const given of [{}, { password: '' }, { password }])
      expect((await visitor().post(link, given)).status).toBe(401)
    expect((await visitor().post('/login', { address: victim, password: evil })).status).toBe(401)
    // its owner makes it theirs, and the attacker is out for good
    await visitor().post('/reset', { address: victim, by: 'link' })
    expect((await visitor().post(linkIn(await mailTo(victim, 2)), { password })).status).toBe(200)
    expect((await visitor().post('/login', { address: victim, password: evil })).status).toBe(401)
    expect((await visitor().post('/login', { address: victim, password })).status).toBe(303)
    expect((await visitor().ask(link)).status).toBe(410)
  })

  test('given as the new one of an account is not confirmed by who reads its mail', async () => {
    const { address, person } = await member()
    const victim = newAddress()
    await person.post('/address', { address: victim, password })
    const link = linkIn(await mailTo(victim))
    const other = await member()
    for (const reader of [visitor(), other.person]) expect((await reader.post(link)).status).toBe(401)
    expect((await visitor().post('/login', { address: victim, password })).status).toBe(401)
    expect((await person.post(link)).status).toBe(200)
    expect((await visitor().post('/login', { address, password })).status).toBe(401)
  })
})

describe('a form', () => {
  test.each(['/register', '/login', '/logout', '/reset', '/reset-code', '/confirm-again', '/address'])(
    'from another site is refused: %s',
    async (path) => {
      const body = new URLSearchParams({ address: newAddress(), password })
      expect((await visitor().ask(path, { method: 'POST', body })).status).toBe(403)
    },
  )

  test('without measure is refused', async () => {
    const body = new URLSearchParams({ address: 'x'.repeat(20_000) })
    expect((await visitor().ask('/login', { method: 'POST', body })).status).toBe(413)
  })

  test.each([
    ['', password],
    ['ada', password],
    ['ada@example', password],
    ['"ada"@example.com', password],
    ['ada@example.com\r\nBcc: eve@example.com', password],
    ['eve@example.com', 'short'],
    ['eve@example.com', 'x'.repeat(201)],
  ])('with the address %j and the password %j makes no account', async (address, given) => {
    expect((await visitor().post('/register', { address, password: given })).status).toBe(422)
  })

  test('shows hostile texts as texts', async () => {
    const { text } = await visitor().post('/login', { address: '"><script>alert(1)</script>', password })
    expect(text).not.toContain('<script')
  })
})

describe('a link', () => {
  test('is good for one of two who press its button at once', async () => {
    const address = newAddress()
    await visitor().post('/register', { address, password })
    const link = linkIn(await mailTo(address))
    const press = () => visitor().post(link, { password })
    const answers = await Promise.all([press(), press()])
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 410])
  })

  test('for one purpose is not good for another', async () => {
    const { address } = await member()
    await visitor().post('/reset', { address, by: 'link' })
    const link = linkIn(await mailTo(address, 2))
    for (const purpose of ['confirm', 'change'])
      expect(titleOf((await visitor().ask(link.replace('/reset/', `/${purpose}/`))).text)).toBe(
        'This link is for something else',
      )
  })

  test('of a first registration ends with the second, whose password counts', async () => {
    const address = newAddress()
    await visitor().post('/register', { address, password: 'of an early bird' })
    const early = linkIn(await mailTo(address))
    await visitor().post('/register', { address, password })
    const late = linkIn(await mailTo(address, 2))
    expect((await visitor().ask(early)).status).toBe(410)
    expect((await visitor().post(late, { password: 'of an early bird' })).status).toBe(401)
    expect((await visitor().post(late, { password })).status).toBe(200)
    expect((await visitor().post('/login', { address, password: 'of an early bird' })).status).toBe(401)
    expect((await visitor().post('/login', { address, password })).status).toBe(303)
  })

  test('is kept out of caches, indexes and the Referer', async () => {
    const address = newAddress()
    await visitor().post('/register', { address, password })
    const { headers } = await visitor().ask(linkIn(await mailTo(address)))
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-robots-tag')).toBe('noindex')
  })

  test('leads to the site, whatever host a visitor claims to have asked', async () => {
    const address = newAddress()
    const person = visitor()
    await person.ask('/register')
    await person.post('/register', { address, password, host: 'evil.example' })
    expect(linkIn(await mailTo(address)).startsWith(`${demo.site}/`)).toBe(true)
  })
})

describe('a new password', () => {
  test('ends every session and every older link', async () => {
    const { address, person } = await member()
    const other = visitor()
    await other.post('/login', { address, password })
    await person.post('/reset', { address, by: 'link' })
    const first = linkIn(await mailTo(address, 2))
    await person.post('/reset', { address, by: 'link' })
    const second = linkIn(await mailTo(address, 3))
    expect((await visitor().post(second, { password: 'short' })).status).toBe(422)
    expect((await visitor().post(second, { password: 'another password' })).status).toBe(200)
    expect((await visitor().ask(first)).status).toBe(410)
    expect((await other.ask('/')).text).not.toContain(address)
    expect((await visitor().post('/login', { address, password })).status).toBe(401)
  })

  test('by code takes the browser that asked, and five tries', async () => {
    const { address } = await member()
    const thief = visitor()
    const person = visitor()
    await person.post('/reset', { address, by: 'code' })
    const [, code = ''] = /\b(\d{6})\b/.exec(await mailTo(address, 2))!
    const use = (who: ReturnType<typeof visitor>, given: string) =>
      who.post('/reset-code', { code: given, password: 'another password' })
    expect((await use(thief, code)).status).toBe(401)
    const wrong = code === '000000' ? '000001' : '000000'
    for (let tries = 0; tries < 5; tries++) expect((await use(person, wrong)).status).toBe(401)
    expect((await use(person, code)).status).toBe(401)
    expect((await visitor().post('/login', { address, password })).status).toBe(303)
  })
})

const remembered = () => {
  const accounts = openAccounts(':memory:')
  onTestFinished(() => accounts.close())
  const user = accounts.register('ada@example.com', 'hash')!
  accounts.confirm(user.id, user.version)
  return { accounts, user }
}

/** The site without a mailer. */
async function siteInThisProcess(): Promise<string> {
  // they load the client, which the demo has built
  const { buildSite } = await import('../../examples/signup/app.ts')
  const { openMails } = await import('../../examples/signup/mails.ts')
  const { accounts } = remembered()
  const [url, secret] = ['http://127.0.0.1:9', 'a secret of the site, long enough']
  const mails = openMails({
    siteUrl: url,
    mailerUrl: url,
    mailerSecret: secret,
    linkSecret: secret,
    linkLifeS: 60,
    use: accounts.useLink,
    webhookSecret: `whsec_${Buffer.alloc(32).toString('base64')}`,
    noteMail: accounts.noteMail,
  })
  const site = await buildSite({ accounts, mails }, { secure: false })
  onTestFinished(() => site.close())
  return site.listen({ host: '127.0.0.1', port: 0 })
}

describe('a mail that bounces', () => {
  const undelivered = (address: string) => `We could not deliver mail to ${address}. Correct the address.`
  const bounce = async (address: string, howMany = 1) => {
    await mailTo(address, howMany)
    demo.type(address)
  }
  /** Every field that the page hides, and these. */
  const correct = (person: ReturnType<typeof visitor>, text: string, address: string) => {
    const hidden = text.matchAll(/type="hidden" name="(\w+)" value="([^"]+)"/g)
    const fields = [...hidden].map(([, name = '', value = '']) => [name, value])
    const body = new URLSearchParams({ ...Object.fromEntries(fields), address })
    return person.ask('/correct', { method: 'POST', body })
  }
  const registered = async () => {
    const address = newAddress()
    const person = visitor()
    await person.post('/register', { address, password })
    await bounce(address)
    const signIn = () => person.post('/login', { address, password })
    await expect.poll(async () => toldIn((await signIn()).text)).toBe(undelivered(address))
    return { address, person, page: (await signIn()).text }
  }

  test('is told to who knows the password only, who corrects the address without typing it again', async () => {
    const { address, person, page } = await registered()
    const stranger = await visitor().post('/login', { address, password: 'of a stranger' })
    expect(toldIn(stranger.text)).toBe('Address or password is wrong.')
    expect((await correct(person, page, 'no address')).status).toBe(422)
    const right = newAddress()
    expect(titleOf((await correct(person, page, right)).text)).toBe('Look into your mail')
    expect((await correct(person, page, right)).location).toBe('/login')
    await visitor().post(linkIn(await mailTo(right)), { password })
    await person.post('/login', { address: right, password })
    expect(toldIn((await person.ask('/')).text)).toBe(`You are signed in as ${right}.`)
  })

  test('is sent again to who says that the address is right, and to nobody else', async () => {
    const { address, person, page } = await registered()
    await visitor().post('/confirm-again', { address })
    await expect.poll(() => demo.output()).toContain('no confirm mail: suppressed')
    await correct(person, page, address)
    const mail = await mailTo(address, 2)
    expect(await mailsTo(address)).toHaveLength(2)
    await person.post(linkIn(mail), { password })
    expect((await person.post('/login', { address, password })).location).toBe('/')
    expect(toldIn((await person.ask('/')).text)).toBe(`You are signed in as ${address}.`)
  })

  test('is told on the home page, until another mail goes there, or the address has changed', async () => {
    const { address, person } = await member()
    const told = async () => toldIn((await person.ask('/')).text)
    await bounce(address)
    await expect.poll(told).toBe(undelivered(address))
    await person.post('/address', { address, password })
    expect(await mailTo(address, 2)).toContain('Our mails reach you again')
    await expect.poll(told).toBe(`You are signed in as ${address}.`)
    await bounce(address, 2)
    await expect.poll(told).toBe(undelivered(address))
    const next = newAddress()
    await person.post('/address', { address: next, password })
    await person.post(linkIn(await mailTo(next)))
    expect(await told()).toBe(`You are signed in as ${next}.`)
  })
})

describe('what is remembered', () => {
  test.each([
    [
      'password',
      ({ accounts, user }: ReturnType<typeof remembered>) => accounts.setPassword(user.id, 1, 'new'),
    ],
    [
      'address',
      ({ accounts, user }: ReturnType<typeof remembered>) => accounts.setAddress(user.id, 1, 'b@example.com'),
    ],
  ])('a code ends with the %s it was made for', (_what, change) => {
    const site = remembered()
    const code = site.accounts.makeCode('browser', site.user.id)
    expect(change(site)).toBe(true)
    expect(site.accounts.takeCode('browser', code)).toBeUndefined()
  })
})

describe('limits', () => {
  test("who is over their own uses up nobody else's", () => {
    const { accounts } = remembered()
    const ask = (ip: string, address: string) =>
      // oxlint-disable-next-line no-unsafe-type-assertion -- all of them that is looked at
      mayAsk({ accounts } as Site, { ip } as FastifyRequest, 'reset', address)
    for (let times = 0; times < 60; times++) ask('192.0.2.1', `${times}@example.com`)
    for (let times = 0; times < 5; times++) expect(ask('192.0.2.1', 'ada@example.com')).toBe(false)
    expect(ask('192.0.2.2', 'ada@example.com')).toBe(true)
  })

  test('nobody makes the site hash passwords without a code or a link', async () => {
    const url = await siteInThisProcess()
    let hashes = 0
    const counting = createHook({ init: (_id, type) => void (type === 'SCRYPTREQUEST' && hashes++) }).enable()
    onTestFinished(() => void counting.disable())
    const hashesFor = async (path: string, from = path) => {
      const [person, before] = [visitor(url), hashes]
      for (let times = 0; times < 5; times++)
        await person.post(path, { address: newAddress(), code: '000000', password }, from)
      return hashes - before
    }
    expect(await hashesFor('/login')).toBe(5)
    for (const path of ['/reset-code', '/reset/forged']) expect(await hashesFor(path, '/reset-code')).toBe(0)
  })

  test('sending again is bounded, alike for an address without an account', async () => {
    const waiting = newAddress()
    await visitor().post('/register', { address: waiting, password })
    for (const address of [waiting, newAddress()]) {
      const statuses: number[] = []
      for (let times = 0; times < 6; times++)
        statuses.push((await visitor().post('/confirm-again', { address })).status)
      expect(statuses).toEqual([200, 200, 200, 200, 200, 429])
    }
  })

  test('guessing a password is bounded', async () => {
    const { address } = await member()
    let status = 0
    for (let times = 0; times < 10; times++)
      ({ status } = await visitor().post('/login', { address, password: `guess number ${times}` }))
    expect(status).toBe(429)
  })
})

test('a session has a new name at every login, and the old one is worth nothing', async () => {
  const { address, person } = await member()
  const before = person.cookies.get('session')!
  await person.post('/login', { address, password })
  expect(person.cookies.get('session')).not.toBe(before)
  const thief = visitor()
  thief.cookies.set('session', before)
  expect((await thief.ask('/')).text).not.toContain(address)
})

test('the types of its mails are those of its mails', async () => {
  const { typesOf } = await import('../../src/commands/mail-types.ts')
  const { loadCatalogue } = await import('../../src/mails/catalogue.ts')
  const folder = resolve(project, 'examples/signup')
  const sender = { senderName: 'Example', senderAddress: 'noreply@example.com', allowHttpLinks: true }
  const written = typesOf(loadCatalogue({ dir: `${folder}/mails`, ...sender }).mails)
  const plain = (text: string) => text.replaceAll(/[\s;"']+/g, ' ').trim()
  expect(plain(readFileSync(`${folder}/mail-types.d.ts`, 'utf8'))).toBe(plain(written))
})
