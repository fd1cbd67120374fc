/* oxlint-disable vitest/no-standalone-expect -- browserTest is a test block, which the rule cannot know */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { runCommand } from '../../../src/cli.ts'
import { loadCatalogue } from '../../../src/mails/catalogue.ts'
import { liveCatalogue } from '../../../src/mails/live.ts'
import { browserTest } from '../../support/browser.ts'
import {
  builtInCount,
  builtInMails,
  mailsIn,
  previewApp,
  temporaryFolder,
  varianceMails,
} from '../../support/preview.ts'

/** Runs in the page; the tests themselves know no DOM. */
declare function getComputedStyle(element: unknown): { readonly backgroundColor: string }

/** A busy machine needs longer than the second that polling waits by default. */

const wide = { width: 1280, height: 800 }
const phone = { width: 360, height: 740 }

/** A tab that records what must never happen: a script error, a dialog, a request to anybody but the service. */
async function openTab(browser: Browser, viewport = wide, own = 'http://127.0.0.1:') {
  // No emulated colour scheme: it would reach into the frames and hide what they themselves are set to.
  const context = await browser.newContext({ viewport, colorScheme: null })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const mishaps: string[] = []
  page.on('pageerror', (error) => mishaps.push(error.message))
  page.on('request', (request) => void (request.url().startsWith(own) || mishaps.push(request.url())))
  page.on('dialog', (dialog) => {
    mishaps.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { page, mishaps }
}

async function openPreview(
  browser: Browser,
  options: Parameters<typeof previewApp>[0] = {},
  viewport = wide,
) {
  const service = await previewApp(options)
  return { ...service, ...(await openTab(browser, viewport)), url: `${await service.url()}/preview` }
}

const inFrame = (page: Page) => page.frameLocator('.frames:not(.coming) iframe')
const tab = (page: Page, name: string) => page.getByRole('tab', { name, exact: true }).click()
const value = (page: Page, claim: string) => page.locator(`#claim-${claim}`)
const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')

browserTest(
  'the gallery shows every kind, and leads to each mail in each language',
  { timeout: 120_000 },
  async ({ browser }) => {
    const { page, url, mishaps } = await openPreview(browser)
    await page.goto(url)
    await page.getByText(`${builtInCount} mails, 1 app`).waitFor()
    await expect.poll(() => page.locator('.card').count()).toBe(builtInCount / 5)
    expect(await page.locator('#list .locales a').count()).toBe(builtInCount)
    const card = page.locator('.card', { hasText: 'Confirm your email address for Example' })
    await card.frameLocator('iframe').getByRole('heading', { name: 'Confirm your email address' }).waitFor()
    await page.locator('#languages').getByText('it').click()
    await page.locator('.card', { hasText: 'Conferma' }).first().waitFor()
    await page.locator('.card strong', { hasText: 'resetkey' }).click()
    await page.getByRole('heading', { name: 'Il tuo codice monouso per Example' }).waitFor()
    await inFrame(page).getByText('493027').waitFor()
    await page.locator('#list li.open').getByText('fr').click()
    await expect.poll(() => page.locator('#file').textContent()).toBe('default/resetkey.fr.md')
    await expect.poll(() => page.title()).toBe('resetkey fr · Mails · jwt-mailer')
    await inFrame(page).getByText('493027').waitFor()
    await page.goBack()
    await page.getByRole('heading', { name: 'Il tuo codice monouso per Example' }).waitFor()
    expect(mishaps).toEqual([])
  },
)

browserTest('the tabs show both parts, headers, source, contract and size', async ({ browser }) => {
  const { page, url, mishaps } = await openPreview(browser)
  await page.goto(`${url}#default/confirmation/en`)
  await inFrame(page).getByRole('link', { name: 'Confirm email address' }).waitFor()
  const panel = page.getByRole('tabpanel')
  await expect
    .poll(() => page.locator('#size').textContent())
    .toMatch(/^\d,\d{3} bytes \(HTML \d,\d{3}, text \d{3}\)$/)
  await tab(page, 'Text')
  await panel.getByText('To sign in, use your email address and this access key').waitFor()
  await tab(page, 'Headers')
  await panel.getByRole('row', { name: 'Subject Confirm your email address for Example' }).waitFor()
  expect(await panel.getByRole('row', { name: 'To "Ada" <ada@example.com>' }).isVisible()).toBe(true)
  await page.keyboard.press('ArrowRight')
  await expect.poll(() => panel.textContent()).toMatch(/^Auto-Submitted: auto-generated\r\n[\s\S]*--=_/)
  await tab(page, 'Contract')
  const row = panel.getByRole('row', { name: 'user_aut_key_or_otp text no' })
  expect(await row.textContent()).toContain('7hK2pQ')
  await panel.getByRole('row', { name: 'user_name text no (nothing) Ada' }).waitFor()
  expect(mishaps).toEqual([])
})

browserTest(
  'dark and phone show the mail as it would be there, whatever this machine prefers',
  async ({ browser }) => {
    const { page, url } = await openPreview(browser)
    await page.goto(`${url}#default/confirmation/en`)
    const ground = (index = 0) =>
      page
        .locator('.frames:not(.coming) iframe')
        .nth(index)
        .contentFrame()
        .locator('body')
        .evaluate((body) => getComputedStyle(body).backgroundColor)
    const light = 'rgb(241, 243, 246)'
    const dark = 'rgb(16, 18, 22)'
    await expect.poll(() => ground()).toBe(light)
    await tab(page, 'Dark')
    await expect.poll(() => ground()).toBe(dark)
    await tab(page, 'Phone')
    await expect.poll(() => page.locator('.frames iframe').count()).toBe(2)
    await expect.poll(() => ground(0)).toBe(light)
    await expect.poll(() => ground(1)).toBe(dark)
    for (const box of await page.locator('.frames iframe').all()) {
      const inner = box.contentFrame().locator('html')
      expect(await inner.evaluate('innerWidth')).toBe(360)
      expect(await inner.evaluate('document.documentElement.scrollWidth')).toBe(360)
    }
  },
)

browserTest('a changed value changes the mail, in every language', async ({ browser }) => {
  const { page, url, mishaps } = await openPreview(browser)
  await page.goto(`${url}#default/invite/en`)
  await page.getByRole('heading', { name: 'Grace invites you to Example' }).waitFor()
  await value(page, 'user_name').fill('Linus')
  await inFrame(page).getByText('Hi Linus,').waitFor()
  await tab(page, 'Text')
  await page.getByRole('tabpanel').getByText('Hi Linus').waitFor()
  await page.locator('#list li.open').getByText('it', { exact: true }).click()
  await page.getByRole('tabpanel').getByText('Ciao Linus').waitFor()
  await page.getByRole('button', { name: 'Back to the samples' }).click()
  await page.getByRole('tabpanel').getByText('Ciao Ada').waitFor()
  expect(await value(page, 'user_name').inputValue()).toBe('Ada')
  expect(mishaps).toEqual([])
})

browserTest(
  'the longest values a caller may send are shown, too long for any address',
  async ({ browser }) => {
    const { page, url } = await openPreview(browser)
    await page.goto(`${url}#default/confirmation/en`)
    await value(page, 'user_name').fill(`${'Ümläut '.repeat(570)}end.`)
    await inFrame(page).getByText('end.').first().waitFor()
  },
)

browserTest(
  'a wrong value is told at its claim in the words a caller gets, and the mail stays as it was',
  async ({ browser }) => {
    const { page, url } = await openPreview(browser)
    await page.goto(`${url}#default/confirmation/en`)
    await value(page, 'user_name').fill('Linus')
    await inFrame(page).getByText('Hi Linus').waitFor()
    await value(page, 'user_aut_key_or_otp').fill('two words')
    const fault = page.locator('#fault-user_aut_key_or_otp')
    await expect
      .poll(() => fault.textContent())
      .toContain('422 Problem with token: user_aut_key_or_otp is not a key')
    expect(await value(page, 'user_aut_key_or_otp').getAttribute('aria-invalid')).toBe('true')
    expect(await page.getByRole('button', { name: 'Send to inbox' }).isDisabled()).toBe(true)
    await tab(page, 'Dark')
    await inFrame(page).getByText('Hi Linus').waitFor()
    await value(page, 'user_aut_key_or_otp').fill('one-word')
    await inFrame(page).getByText('one-word').waitFor()
    expect(await fault.textContent()).toBe('')
  },
)

browserTest('a hostile value stays what it says, in every view', async ({ browser }) => {
  const { page, url, mishaps } = await openPreview(browser)
  const hostile =
    '<script>top.hacked=1;alert(1)</script><img src=https://evil.example/x onerror=alert(2)> [x](https://evil.example) {{7*7}} **b**'
  await page.goto(`${url}#default/invite/en`)
  await inFrame(page).getByText('Hi Ada').waitFor()
  const links = await inFrame(page).locator('a').count()
  const boxes = await page.locator('#fields textarea').count()
  await value(page, 'user_name').fill(hostile)
  await inFrame(page).getByText('<script>').waitFor()
  // What keeps mail clients from making links of it is invisible.
  const shown = async () => (await inFrame(page).locator('body').innerText()).replaceAll('\u200c', '')
  expect(await shown()).toContain(hostile)
  for (const name of ['Dark', 'Phone', 'Text', 'Headers', 'Source', 'Contract', 'HTML']) {
    await tab(page, name)
    await page.waitForTimeout(150)
    expect(await page.locator('body img').count()).toBe(0)
  }
  expect(await inFrame(page).locator('a').count()).toBe(links)
  expect(await inFrame(page).locator('script, img, strong:text-is("b")').count()).toBe(0)
  expect(await page.locator('#fields textarea').count()).toBe(boxes)
  expect(await page.evaluate('window.hacked')).toBeUndefined()
  expect(mishaps).toEqual([])
})

browserTest('what is sent to the inbox arrives there, with the values of the form', async ({ browser }) => {
  const { page, url, inbox } = await openPreview(browser)
  await page.goto(`${url}#default/confirmation/it`)
  await value(page, 'user_name').fill('Linus')
  await page.getByRole('button', { name: 'Send to inbox' }).click()
  await page.getByRole('link', { name: 'Open the inbox' }).click()
  await page.frameLocator('iframe').getByText('Ciao Linus').waitFor()
  expect(inbox.list()).toHaveLength(1)
  expect(inbox.list()[0]?.envelope).toEqual({ from: 'noreply@mail.example.com', to: ['ada@example.com'] })
})

browserTest(
  'a broken file is shown with its line above the last good mails, and a mended one at once',
  async ({ browser }) => {
    const dir = temporaryFolder(builtInMails)
    const { page, url } = await openPreview(browser, { catalogue: liveCatalogue(mailsIn(dir)) })
    await page.goto(`${url}#default/resetkey/en`)
    await inFrame(page).getByRole('heading', { name: 'Your one-time code' }).waitFor()
    const file = join(dir, 'default/resetkey.en.md')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, good.replace('{{ access_key }}', '{{ access_kee }}').replace('# Your', '# Broken'))
    const alert = page.getByRole('alert')
    await alert.getByText('`access_kee` is not declared').waitFor()
    expect(await alert.textContent()).toMatch(/default\/resetkey\.en\.md:\d+: `access_kee`/)
    await inFrame(page).getByRole('heading', { name: 'Your one-time code' }).waitFor()
    writeFileSync(file, good.replace('# Your one-time code', '# The code'))
    await inFrame(page).getByRole('heading', { name: 'The code' }).waitFor()
    await expect.poll(() => alert.isVisible()).toBe(false)
  },
)

browserTest('behind an admin token the page asks for it, and goes when signed out', async ({ browser }) => {
  const { page, url, mishaps } = await openPreview(browser, { adminToken: 'nobody-guesses-this-token' })
  await page.goto(`${url}#default/resetkey/en`)
  await page.getByLabel('Admin token').fill('a guess')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByText('That is not the token.').waitFor()
  await page.getByLabel('Admin token').fill('nobody-guesses-this-token')
  await page.keyboard.press('Enter')
  await inFrame(page).getByText('493027').waitFor()
  await value(page, 'user_aut_key_or_otp').fill('111222')
  await inFrame(page).getByText('111222').waitFor()
  expect(await page.evaluate('document.cookie')).toBe('')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Admin token').waitFor()
  expect(mishaps).toEqual([])
})

browserTest(
  'on a phone the list and the mail take turns, and nothing runs out of the page',
  async ({ browser }) => {
    const catalogue = loadCatalogue(mailsIn(varianceMails))
    const { page, url } = await openPreview(browser, { catalogue }, phone)
    const kind = (name: string) => page.locator('#apps').getByText(name, { exact: true }).first()
    await page.goto(url)
    await kind('quote_ready').waitFor()
    expect(await overflow(page)).toBe(0)
    await kind('quote_ready').click()
    await page.getByRole('heading', { name: 'Your quote is ready' }).waitFor()
    expect(await kind('quote_rejected').isVisible()).toBe(false)
    for (const name of ['Text', 'Headers', 'Source', 'Contract', 'Dark', 'Phone', 'HTML']) {
      await tab(page, name)
      await page.waitForTimeout(100)
      expect(await overflow(page)).toBe(0)
    }
    await page.getByRole('button', { name: 'Edit values' }).click()
    await value(page, 'user_name').fill('Linus')
    await inFrame(page).getByText('Linus').waitFor()
    expect(await overflow(page)).toBe(0)
    await page.getByRole('link', { name: 'All mails' }).click()
    await kind('quote_rejected').waitFor()
  },
)

browserTest('everything can be done from the keyboard', async ({ browser }) => {
  const { page, url } = await openPreview(browser)
  await page.goto(url)
  await page.locator('.card').first().waitFor()
  await page.locator('#list .kind', { hasText: 'invite' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Grace invites you to Example' }).waitFor()
  await page.getByRole('tab', { name: 'HTML' }).focus()
  expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
  await page.keyboard.press('ArrowLeft')
  await expect.poll(() => page.locator('[aria-selected=true]').textContent()).toBe('Contract')
  await page.getByRole('tabpanel').getByRole('row', { name: 'user_email text yes' }).waitFor()
})

browserTest('the gallery in files opens without a service and shows the same', async ({ browser }) => {
  const out = temporaryFolder()
  const code = await runCommand(['preview', '--out', out, '--mails', varianceMails], {
    out: () => undefined,
    err: () => undefined,
    paint: (_style, text) => text,
  })
  expect(code).toBe(0)
  const { page, mishaps } = await openTab(browser, wide, 'file://')
  await page.goto(pathToFileURL(join(out, 'index.html')).href)
  await page.getByText('28 mails, 5 apps').waitFor()
  await page.locator('.card', { hasText: 'quote_ready' }).first().click()
  await inFrame(page).getByRole('heading', { name: 'Your quote is ready' }).waitFor()
  await tab(page, 'Source')
  await page.getByRole('tabpanel').getByText('Content-Type: multipart/alternative').waitFor()
  expect(await page.getByRole('button', { name: 'Send to inbox' }).isVisible()).toBe(false)
  expect(await page.getByRole('button', { name: 'Edit values' }).isVisible()).toBe(false)
  expect(mishaps).toEqual([])
})

browserTest('what was typed and the view stay in the address and after a reload', async ({ browser }) => {
  const { page, url, mishaps } = await openPreview(browser)
  await page.goto(`${url}#default/confirmation/en`)
  await value(page, 'user_name').fill('Linus & Söhne')
  await inFrame(page).getByText('Hi Linus & Söhne').waitFor()
  await tab(page, 'Text')
  await page.getByRole('tabpanel').getByText('Hi Linus & Söhne').waitFor()
  const address = page.url()
  expect(address).toContain('tab=text&user_name=Linus')
  await page.reload()
  await page.getByRole('tabpanel').getByText('Hi Linus & Söhne').waitFor()
  expect(await value(page, 'user_name').inputValue()).toBe('Linus & Söhne')
  await page.locator('#others').getByText('it').click()
  await page.getByRole('tabpanel').getByText('Ciao Linus & Söhne').waitFor()
  expect(page.url()).toContain('#default/confirmation/it?tab=text&user_name=Linus')
  await page.getByRole('button', { name: 'Back to the samples' }).click()
  await page.getByRole('tabpanel').getByText('Ciao Ada').waitFor()
  expect(page.url()).toMatch(/#default\/confirmation\/it\?tab=text$/)
  expect(mishaps).toEqual([])
})

browserTest.for([
  ['claims', /"user_name": "O'Hara"/],
  [
    'curl',
    /claims='\{.*O'\\''Hara[\s\S]*curl --json "\{\\"token\\":\\"\$signed\.\$signature\\"\}" .*\/emailservice\/confirmation\n$/,
  ],
  ['typescript', /mailer\.send\('confirmation', \{[\s\S]*"name": "O'Hara"/],
  ['python', /json\.loads\(r'''[\s\S]*O\\u0027Hara/],
] as const)('a mail is copied as %s', async ([form, words], { browser }) => {
  const { page, url } = await openPreview(browser)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${url}#default/confirmation/en?user_name=O%27Hara`)
  await page.locator('#copy').selectOption(form)
  await page.getByText('Copied.').waitFor()
  expect(await page.evaluate<string>('navigator.clipboard.readText()')).toMatch(words)
})

browserTest('the contract shows a sample of each claim, and the whole of them', async ({ browser }) => {
  const { page, url } = await openPreview(browser)
  await page.goto(`${url}#default/new-sign-in/en?tab=contract`)
  const panel = page.getByRole('tabpanel')
  await panel.getByRole('row', { name: 'device text no (nothing) Firefox on Linux 100' }).waitFor()
  await panel.getByRole('row', { name: 'https://app.example.com/confirm/' }).waitFor()
  expect(JSON.parse((await panel.locator('pre').textContent())!)).toMatchObject({ place: 'Turin, Italy' })
})
