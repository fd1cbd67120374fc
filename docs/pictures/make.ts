/**
 * Makes overview.jpg for the README: a mail in light and dark, the inbox and the previews, as Chromium shows them; and
 * operator.jpg: the operator's page of a service whose relay refuses some mails and puts others off.
 * `node docs/pictures/make.ts [CHROMIUM]`, after a change that one would see.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Browser, chromium } from 'playwright-core'
import { createMailer } from '../../client/src/index.ts'
import { freePort } from '../../test/support/port.ts'
import { scriptedRelay } from '../../test/support/relay.ts'

const project = resolve(import.meta.dirname, '../..')
const secret = 'a secret for the pictures alone, of 32 bytes'
const adminToken = 'a token for the pictures alone'
const hourMs = 3_600_000
const [, , executablePath = '/usr/bin/chromium'] = process.argv

const folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-pictures-'))
const answers = ['250 ok', '250 ok', '550 5.1.1 no such mailbox', '250 ok', '451 4.3.0 later']
const relay = await scriptedRelay({ RCPT: (count) => answers[count % answers.length] ?? '' })
const services: ChildProcess[] = []
const chrome = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
try {
  const inbox = await startService({ PORT: `${await freePort()}` })
  const id = await sendMails(inbox)
  await compose(chrome, [
    await look(chrome, 'A mail, in light', `${inbox}/inbox/messages/${id}/html`, [460, 560], 'light'),
    await look(chrome, 'and in dark', `${inbox}/inbox/messages/${id}/html`, [460, 560], 'dark'),
    await look(chrome, 'The inbox on your machine', `${inbox}/inbox#${id}`, [940, 430], 'light'),
    await look(chrome, 'The previews of your mails', `${inbox}/preview`, [940, 430], 'dark'),
  ])
  await showOperator(chrome)
} finally {
  await chrome.close()
  for (const service of services) service.kill()
  await relay.close()
  await rm(folder, { recursive: true, force: true })
}

/** Its address, once it answers. */
async function startService(env: NodeJS.ProcessEnv): Promise<string> {
  const url = `http://127.0.0.1:${env['PORT']}`
  const service = spawn(process.execPath, [join(project, 'src/start.js')], {
    cwd: folder,
    env: { PATH: process.env['PATH'], JWT_MAILER_SECRET: secret, APP_NAME: 'Rosehip', ...env },
    stdio: 'inherit',
  })
  services.push(service)
  await untilLive(url)
  return url
}

async function untilLive(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (
      await fetch(`${url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return
    await sleep(50)
  }
  throw new Error('the service did not start')
}

/** The id of the mail to look at. */
async function sendMails(url: string): Promise<string> {
  const mailer = createMailer({ url, secret })
  const link = { url: 'https://rosehip.example/confirm/', token: 'Vb3kQz8pYw' }
  const to = (name: string) => ({ to: `${name.toLowerCase()}@example.com`, name })
  await mailer.send('password-changed', { ...to('Grace') })
  await mailer.send('login-code', { ...to('Alan'), accessKey: '493 027'.replace(' ', '') })
  await mailer.send('invite', {
    ...to('Edsger'),
    link,
    data: { inviter_name: 'Ada', organisation: 'Rosehip' },
  })
  await mailer.send('confirmation', { ...to('Lise'), locale: 'de', link, accessKey: '7hK2pQ' })
  const answer = await mailer.send('confirmation', { ...to('Ada'), link, accessKey: '7hK2pQ' })
  if (!answer.ok) throw new Error(`no mail: ${answer.code}`)
  return answer.id
}

interface Look {
  readonly title: string
  readonly width: number
  readonly image: string
}

async function look(
  browser: Browser,
  title: string,
  url: string,
  [width, height]: readonly [number, number],
  colorScheme: 'light' | 'dark',
): Promise<Look> {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme })
  await page.goto(url)
  await page.waitForTimeout(800)
  const image = (await page.screenshot()).toString('base64')
  await page.close()
  return { title, width, image }
}

/** A day of a service, most of it written into its store: a picture cannot wait for a day. */
async function showOperator(browser: Browser): Promise<void> {
  const data = join(folder, 'operated')
  const url = await startService({
    PORT: `${await freePort()}`,
    NODE_ENV: 'production',
    DATA_DIR: data,
    SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
    MAIL_FROM: 'noreply@rosehip.example',
    ADMIN_TOKEN: adminToken,
    ADMIN_WRITE: 'on',
  })
  const mailer = createMailer({ url, secret })
  const kinds = ['confirmation', 'resetkey', 'login-code', 'change'] as const
  for (let n = 0; n < 12; n++)
    await mailer.send(kinds[n % kinds.length] ?? 'confirmation', {
      to: `person${n}@example.com`,
      link: { url: 'https://rosehip.example/confirm/', token: 'Vb3kQz8pYw' },
      accessKey: '493027',
    })
  await fetch(`${url}/emailservice/no.token.atall`)
  writeDay(join(data, 'outbox.sqlite'))

  const page = await browser.newPage({ viewport: { width: 1120, height: 1060 }, reducedMotion: 'reduce' })
  await page.goto(`${url}/admin#state=dead`)
  await page.getByLabel('Admin token').fill(adminToken)
  await page.keyboard.press('Enter')
  await page.locator('#list tbody tr').first().waitFor()
  await page.screenshot({ path: join(import.meta.dirname, 'operator.jpg'), type: 'jpeg', quality: 72 })
  await page.close()
}

function writeDay(path: string): void {
  const store = new DatabaseSync(path)
  const add = store.prepare('insert or ignore into outbox_hour (hour, name, n, at) values (?, ?, ?, ?)')
  const began = Math.floor(Date.now() / hourMs) * hourMs
  for (let ago = 1; ago < 24; ago++) {
    const sent = Math.round(520 + 480 * Math.sin(ago / 3.8))
    const outage = ago === 7 ? 640 : 2
    const counts = {
      accepted: sent,
      sent,
      waiting: outage,
      dead: ago % 8 === 5 ? 2 : 0,
      bounced: ago % 6 === 3 ? 3 : 0,
    }
    for (const [name, n] of Object.entries(counts))
      if (n > 0) add.run(began - ago * hourMs, name, n, began - ago * hourMs)
  }
  store.close()
}

/** Two mails side by side, the pages below them. */
async function compose(browser: Browser, looks: readonly Look[]): Promise<void> {
  const figures = looks.map(
    ({ title, width, image }) =>
      `<figure style="width:${width}px"><img src="data:image/png;base64,${image}" width="${width}"><figcaption>${title}</figcaption></figure>`,
  )
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } })
  await page.setContent(`<style>
    body { margin: 0; padding: 24px; width: 952px; background: #eef0f4; display: flex; flex-wrap: wrap; gap: 20px; font: 15px system-ui, sans-serif; color: #444 }
    figure { margin: 0 } img { display: block; border-radius: 10px; box-shadow: 0 2px 10px #0003 } figcaption { padding: 8px 4px 0 }
  </style>${figures.join('')}`)
  await page.screenshot({
    path: join(import.meta.dirname, 'overview.jpg'),
    type: 'jpeg',
    quality: 72,
    fullPage: true,
  })
}
