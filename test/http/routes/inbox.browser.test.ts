/* oxlint-disable vitest/no-standalone-expect -- browserTest is a test block, which the rule cannot know */
import { createServer, type IncomingMessage } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { browserTest } from '../../support/browser.ts'
import { inboxApp } from '../../support/inbox.ts'

/** Runs in the page; the tests themselves know no DOM. */
declare function getComputedStyle(element: unknown): { readonly color: string }

/** A busy machine needs longer than the second that polling waits by default. */

const wide = { width: 1200, height: 800 }
const phone = { width: 360, height: 740 }

/** Opens `/inbox` and records what must never happen: a script error or a dialog. */
async function openInboxPage(browser: Browser, viewport = wide, hint = 'curl http://127.0.0.1:8080/…') {
  const { app, inbox, send } = await inboxApp({ hint })
  const base = await app.listen({ port: 0, host: '127.0.0.1' })
  // No emulated colour scheme: it would reach into the frame and hide what the frame itself is set to.
  const context = await browser.newContext({ viewport, colorScheme: null })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const mishaps: string[] = []
  page.on('pageerror', (error) => mishaps.push(error.message))
  page.on('dialog', (dialog) => {
    mishaps.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { app, inbox, send, page, url: `${base}/inbox`, mishaps }
}

/** Any site that is not ours. What it is asked for is recorded; its page tells who opened it, if it can know. */
async function foreignSite() {
  const visits: IncomingMessage[] = []
  const server = createServer((request, answer) => {
    visits.push(request)
    answer.setHeader('content-type', 'text/html').end('<script>document.title = `opener: ${opener}`</script>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${Object(server.address()).port}`, visits }
}

const subjects = (page: Page) => page.locator('#list .subject')
const inFrame = (page: Page) => page.frameLocator('iframe')
const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')

browserTest(
  'an empty inbox says how to send the first mail, which then appears by itself',
  async ({ browser }) => {
    const { page, url, send, mishaps } = await openInboxPage(browser, wide, `curl 'http://x/<y>?a&b'`)
    await page.goto(url)
    await page.getByText('No mail yet').waitFor()
    await expect.poll(() => page.locator('#hint').textContent()).toBe(`curl 'http://x/<y>?a&b'`)
    await send({ subject: 'Welcome', html: '<h1>Good morning</h1>', text: 'Good morning' })
    await inFrame(page).getByRole('heading', { name: 'Good morning' }).waitFor()
    expect(await page.getByRole('heading', { level: 2, name: 'Welcome' }).isVisible()).toBe(true)
    expect(await page.getByText('No mail yet').isVisible()).toBe(false)
    expect(mishaps).toEqual([])
  },
)

browserTest('a later mail joins the list unread, and what is open stays open', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  await send({ subject: 'First', text: 'one' })
  await page.goto(url)
  await page.getByRole('heading', { name: 'First' }).waitFor()
  await send({ subject: 'Second', text: 'two' })
  await page.locator('#list .new').waitFor()
  expect(await subjects(page).allTextContents()).toEqual(['Second', 'First'])
  await expect.poll(() => page.title()).toBe('(1) Inbox · jwt-mailer')
  expect(await page.getByRole('heading', { name: 'First' }).isVisible()).toBe(true)
  await subjects(page).first().click()
  await page.getByRole('heading', { name: 'Second' }).waitFor()
  await expect.poll(() => page.title()).toBe('Inbox · jwt-mailer')
  await expect.poll(() => page.locator('[aria-current] .subject').textContent()).toBe('Second')
})

browserTest('the tabs show the HTML, the text, the headers and the source', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  const id = await send({ subject: 'Grüße', html: '<p>in markup</p>', text: 'in words' })
  await page.goto(`${url}#${id}`)
  await inFrame(page).getByText('in markup').waitFor()
  const panel = page.getByRole('tabpanel')
  await page.getByRole('tab', { name: 'Text' }).click()
  await panel.getByText('in words').waitFor()
  await page.keyboard.press('ArrowRight')
  await panel.getByRole('row', { name: 'Subject Grüße' }).waitFor()
  expect(await panel.getByRole('row', { name: 'RCPT TO ada@example.org' }).isVisible()).toBe(true)
  await page.keyboard.press('ArrowRight')
  await expect.poll(() => panel.textContent()).toMatch(/^From: shop@example\.com\r\n/)
  await expect.poll(() => page.locator('[aria-selected=true]').textContent()).toBe('Source')
})

browserTest('a mail of words alone opens with its text', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  await send({ text: 'only words' })
  await page.goto(url)
  await page.getByRole('tabpanel').getByText('only words').waitFor()
  expect(await page.getByRole('tab', { name: 'HTML' }).isDisabled()).toBe(true)
})

browserTest('a hostile mail is shown as what it says and does nothing', async ({ browser }) => {
  const { page, url, send, mishaps } = await openInboxPage(browser)
  const site = await foreignSite()
  const evil = '<img src=x onerror="parent.hacked=1;alert(1)"><script>top.hacked=1;alert(2)</script>'
  await send({
    from: { name: evil, address: 'shop@example.com' },
    to: { name: evil, address: 'ada@example.org' },
    subject: evil,
    headers: { 'X-Evil': evil },
    text: `${evil} javascript:alert(3)`,
    html: `<meta http-equiv="refresh" content="0;url=${site.url}/"><base href="${site.url}/">
      <link rel="stylesheet" href="${site.url}/a.css"><style>@import '${site.url}/b.css'</style>
      ${evil}<img src="${site.url}/pixel.png"><svg onload="alert(4)"></svg>
      <iframe src="${site.url}/frame"></iframe><iframe srcdoc="<script>alert(5)</script>"></iframe>
      <form action="${site.url}/" id="form"><button>Send</button></form>
      <a href="javascript:alert(6)">Script</a> <p>harmless words</p>`,
  })
  await page.goto(url)
  await inFrame(page).getByText('harmless words').waitFor()
  await inFrame(page).getByText('Script').click()
  await inFrame(page).getByText('Send').click()
  for (const tab of ['Text', 'Headers', 'Source', 'HTML']) {
    await page.getByRole('tab', { name: tab }).click()
    await page.waitForTimeout(150)
  }
  await expect.poll(() => page.locator('#subject').textContent()).toBe(evil)
  expect(await subjects(page).textContent()).toBe(evil)
  await expect.poll(() => page.locator('#from').textContent()).toContain(evil)
  expect(await page.locator('body img, body svg[onload], #links a').count()).toBe(0)
  expect(await page.evaluate('window.hacked')).toBeUndefined()
  expect(page.url().startsWith(url)).toBe(true)
  expect(mishaps).toEqual([])
  expect(site.visits.map((visit) => visit.url)).toEqual([])
})

browserTest('a link opens in a tab of its own that learns nothing of the inbox', async ({ browser }) => {
  const site = await foreignSite()
  const link = `${site.url}/confirm?token=a.b&to=c`
  const { page, url, send } = await openInboxPage(browser)
  await send({ html: `<p><a href="${link.replace('&', '&amp;')}">Confirm</a></p>`, text: link })
  await page.goto(url)
  await expect.poll(() => page.locator('.link .mono').textContent()).toBe(link)
  for (const way of [page.getByRole('link', { name: 'Open link' }), inFrame(page).getByText('Confirm')]) {
    const opening = page.context().waitForEvent('page')
    await way.click()
    const tab = await opening
    await tab.waitForURL(link)
    // That its script ran shows that it left the sandbox of the mail.
    await expect.poll(() => tab.title()).toBe('opener: null')
  }
  const confirmations = site.visits.filter((visit) => visit.url === '/confirm?token=a.b&to=c')
  expect(confirmations).toHaveLength(2)
  for (const { headers } of confirmations) expect(headers.referer).toBeUndefined()
})

browserTest('the frame takes phone width and dark mode when asked', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  const style = '<style>p{color:#010101}@media (prefers-color-scheme: dark){p{color:#fefefe}}</style>'
  await send({ html: `<!doctype html><html><head>${style}</head><body><p>words</p></body></html>` })
  await page.goto(url)
  const words = inFrame(page).getByText('words')
  const color = () => words.evaluate((element) => getComputedStyle(element).color)
  const width = async () => (await page.locator('iframe').boundingBox())?.width ?? 0
  await expect.poll(color).toBe('rgb(1, 1, 1)')
  expect(await width()).toBeGreaterThan(700)
  await page.getByRole('button', { name: 'Dark' }).click()
  await page.getByRole('button', { name: 'Phone' }).click()
  await expect.poll(color).toBe('rgb(254, 254, 254)')
  expect(await width()).toBe(362)
  await page.getByRole('button', { name: 'Dark' }).click()
  await expect.poll(color).toBe('rgb(1, 1, 1)')
})

browserTest(
  'on a phone the list and the mail take turns, and nothing runs out of the page',
  async ({ browser }) => {
    const { page, url, send } = await openInboxPage(browser, phone)
    const long = `https://app.example.com/confirm/${'x'.repeat(600)}`
    await send({
      subject: 'w'.repeat(200),
      to: `${'a'.repeat(60)}@example.org`,
      text: long,
      html: `<a href="${long}">${long}</a>`,
    })
    await page.goto(url)
    await subjects(page).waitFor()
    expect(await page.locator('#mail').isVisible()).toBe(false)
    expect(await overflow(page)).toBe(0)
    await subjects(page).click()
    await page.locator('#subject').waitFor()
    expect(await subjects(page).isVisible()).toBe(false)
    for (const tab of ['Text', 'Headers', 'Source', 'HTML']) {
      await page.getByRole('tab', { name: tab }).click()
      await page.waitForTimeout(100)
      expect(await overflow(page)).toBe(0)
    }
    await page.getByRole('link', { name: 'All mails' }).click()
    await subjects(page).waitFor()
  },
)

browserTest('everything can be done from the keyboard', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  for (const subject of ['Older', 'Newer']) await send({ subject, text: subject })
  await page.goto(url)
  await page.getByRole('heading', { name: 'Newer' }).waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('ArrowDown')
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')
  expect(outline).toBe('solid')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Older' }).waitFor()
})

browserTest('a link to a mail opens that mail, and one that is gone says so', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  const id = await send({ subject: 'Older', text: 'one' })
  await send({ subject: 'Newer', text: 'two' })
  await page.goto(`${url}#${id}`)
  await page.getByRole('heading', { name: 'Older' }).waitFor()
  await page.goto(`${url}#0000000000`)
  await page.getByText('This mail is gone').waitFor()
  await page.goBack()
  await page.getByRole('heading', { name: 'Older' }).waitFor()
})

browserTest('clearing goes back to the start', async ({ browser }) => {
  const { page, url, send, inbox } = await openInboxPage(browser)
  await send({ subject: 'Soon gone', html: '<p>x</p>' })
  await page.goto(url)
  await page.getByRole('button', { name: 'Clear' }).click()
  await page.getByText('No mail yet').waitFor()
  expect(inbox.list()).toEqual([])
  expect(page.url()).toBe(url)
  await send({ subject: 'Again', html: '<p>fresh</p>' })
  await inFrame(page).getByText('fresh').waitFor()
})

browserTest(
  'a service that stops answering is reported, and missed nothing when it is back',
  async ({ browser }) => {
    const { page, url, send } = await openInboxPage(browser)
    await page.goto(url)
    await page.getByText('No mail yet').waitFor()
    await page.context().setOffline(true)
    await page.getByText('No answer from the service').waitFor()
    await send({ subject: 'Meanwhile', text: 'x' })
    await page.context().setOffline(false)
    await page.getByRole('heading', { name: 'Meanwhile' }).waitFor()
    expect(await page.getByText('No answer from the service').isVisible()).toBe(false)
  },
)

browserTest('whoever comes by the link of the sample mail is told that it works', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser, phone)
  await send({ subject: 'Confirm', text: 'x' })
  await page.goto(`${url}?confirmed=eyJh.eyJz.c2ln`)
  await page.getByText('The link works').waitFor()
  await subjects(page).waitFor()
  expect(await overflow(page)).toBe(0)
})

browserTest('j, k and the arrow keys go through the list, and / into the search', async ({ browser }) => {
  const { page, url, send, mishaps } = await openInboxPage(browser)
  for (const subject of ['One', 'Two', 'Three']) await send({ subject, text: subject })
  await page.goto(url)
  const open = (name: string) => page.getByRole('heading', { level: 2, name }).waitFor()
  await open('Three')
  await page.keyboard.press('j')
  await open('Two')
  await page.keyboard.press('ArrowDown')
  await open('One')
  await page.keyboard.press('k')
  await open('Two')
  await page.keyboard.press('/')
  await page.keyboard.type('thrj')
  await page.getByText('No mail has these words.').waitFor()
  await page.locator('#search').fill('THREE shop@')
  expect(await page.locator('#list li:visible .subject').allTextContents()).toEqual(['Three'])
  expect(await page.getByRole('heading', { level: 2, name: 'Two' }).isVisible()).toBe(true)
  await page.keyboard.press('ArrowDown')
  await open('Three')
  expect(mishaps).toEqual([])
})

browserTest('one mail can be deleted, and the next one opens', async ({ browser }) => {
  const { page, url, send, inbox } = await openInboxPage(browser)
  for (const subject of ['One', 'Two']) await send({ subject, text: subject })
  await page.goto(url)
  await page.getByRole('heading', { level: 2, name: 'Two' }).waitFor()
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('heading', { level: 2, name: 'One' }).waitFor()
  expect(await subjects(page).allTextContents()).toEqual(['One'])
  expect(inbox.list()).toHaveLength(1)
  await page.getByRole('button', { name: 'Delete' }).click()
  await page.getByText('No mail yet').waitFor()
})

browserTest('a code stands ready to be copied, and a repeat is told', async ({ browser }) => {
  const { page, url, send, inbox } = await openInboxPage(browser)
  const id = await send({ subject: 'Code', text: 'Your code\n\n    493027\n' })
  await page.goto(url)
  await page.getByRole('button', { name: 'Copy code' }).click()
  expect(await page.evaluate('getSelection().toString()')).toBe('493027')
  inbox.noteRepeat(id)
  await page.getByText('Requested 2 times, sent once').waitFor()
})

browserTest('a long subject is read whole in the list', async ({ browser }) => {
  const { page, url, send } = await openInboxPage(browser)
  await send({ subject: 'Confirm your new email address for The Night Squirrel', text: 'x' })
  await page.goto(url)
  const cut = await subjects(page)
    .first()
    .evaluate((node: { scrollHeight: number; clientHeight: number }) => node.scrollHeight - node.clientHeight)
  expect(cut).toBe(0)
})
