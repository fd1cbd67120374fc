/**
 * Makes overview.jpg for the README: a mail in light and dark, the inbox and the previews, as Chromium shows them.
 * `node docs/pictures/make.ts [CHROMIUM]`, after a change that one would see.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Browser, chromium } from 'playwright-core'
import { createMailer } from '../../client/src/index.ts'
import { freePort } from '../../test/support/port.ts'

const project = resolve(import.meta.dirname, '../..')
const secret = 'a secret for the pictures alone, of 32 bytes'
const [, , executablePath = '/usr/bin/chromium'] = process.argv

const folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-pictures-'))
const url = `http://127.0.0.1:${await freePort()}`
const service = spawn(process.execPath, [join(project, 'src/start.js')], {
  cwd: folder,
  env: { PATH: process.env['PATH'], PORT: new URL(url).port, JWT_MAILER_SECRET: secret, APP_NAME: 'Rosehip' },
  stdio: 'inherit',
})
const chrome = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
try {
  await untilLive()
  const id = await sendMails()
  await compose(chrome, [
    await look(chrome, 'A mail, in light', `/inbox/messages/${id}/html`, [460, 560], 'light'),
    await look(chrome, 'and in dark', `/inbox/messages/${id}/html`, [460, 560], 'dark'),
    await look(chrome, 'The inbox on your machine', `/inbox#${id}`, [940, 430], 'light'),
    await look(chrome, 'The previews of your mails', '/preview', [940, 430], 'dark'),
  ])
} finally {
  await chrome.close()
  service.kill()
  await rm(folder, { recursive: true, force: true })
}

async function untilLive(): Promise<void> {
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
async function sendMails(): Promise<string> {
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
  path: string,
  [width, height]: readonly [number, number],
  colorScheme: 'light' | 'dark',
): Promise<Look> {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme })
  await page.goto(url + path)
  await page.waitForTimeout(800)
  const image = (await page.screenshot()).toString('base64')
  await page.close()
  return { title, width, image }
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
