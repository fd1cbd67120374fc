import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'
import { sampleClaims } from '../../src/mails/sample.ts'
import { browserTest } from '../support/browser.ts'
import { mailOf, render, shippedMails, today } from './catalogues.ts'

const artefacts = path.resolve(import.meta.dirname, '../../artifacts/mails')
const checks = ['../support/contrast.page.js', 'look.page.js']
  .map((name) => readFileSync(path.join(import.meta.dirname, name), 'utf8'))
  .join('')
const shipped = shippedMails().map(({ name, mail }) => ({ name, html: render(mail).html }))

interface Sheet {
  readonly name: string
  readonly html: string
}

/** All mails side by side, each in a frame as wide as a screen and as high as the mail. */
async function openSheet(browser: Browser, sheets: readonly Sheet[], width: number): Promise<Page> {
  const columns = Math.min(sheets.length, Math.floor(1900 / width))
  const viewport = { width: columns * (width + 8), height: 800 }
  const page = await browser.newPage({ viewport, colorScheme: 'light' })
  const attribute = (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  const frames = sheets.map(
    ({ name, html }) => `<iframe title="${name}" srcdoc="${attribute(html)}"></iframe>`,
  )
  const style = `body{margin:0;display:flex;flex-wrap:wrap;gap:8px;background:#777}iframe{border:0;width:${width}px}`
  await page.setContent(`<style>${style}</style>${frames.join('')}`)
  await page.evaluate(
    "document.querySelectorAll('iframe').forEach((frame) => { frame.style.height = frame.contentDocument.documentElement.scrollHeight + 'px' })",
  )
  return page
}

const chosen = shipped.filter(({ name }) =>
  /built-in.*(?:en|\.confirmation\...)$|ntsqr\.(?:signup|needs|payment)/.test(name),
)

/** One sheet in both colours: to lay it out is most of the work. */
const schemes = ['light', 'dark'] as const

for (const width of [360, 800]) {
  browserTest(`every mail is easy on the eye at ${width} px, light and dark`, async ({ browser }) => {
    const page = await openSheet(browser, shipped, width)
    for (const colorScheme of schemes) {
      await page.emulateMedia({ colorScheme })
      expect(await page.evaluate(checks), colorScheme).toEqual([])
    }
    await page.close()
  })

  browserTest(
    `the mails at ${width} px, light and dark, are kept as pictures for a person to judge`,
    async ({ browser }) => {
      const page = await openSheet(browser, chosen, width)
      for (const colorScheme of schemes) {
        await page.emulateMedia({ colorScheme })
        const picture = await page.screenshot({
          path: path.join(artefacts, `mails-${width}-${colorScheme}.png`),
          fullPage: true,
        })
        expect(picture.length).toBeGreaterThan(50_000)
      }
      await page.close()
    },
  )
}

browserTest('a mail keeps its shape where the style element is dropped', async ({ browser }) => {
  const bare = shipped.map(({ name, html }) => ({ name, html: html.replace(/<style>[\s\S]*?<\/style>/, '') }))
  const page = await openSheet(browser, bare, 360)
  expect(await page.evaluate(checks)).toEqual([])
  await page.close()
})

browserTest('neither long links, keys and names nor another direction widen a mail', async ({ browser }) => {
  const body =
    '[Go]({{ link }} "Open:")\n\nHi {{ name }}.\n\n`{{ access_key }}`\n\n> {{ name }}\n\n- {{ name }}\n\n| | |\n|---|---|\n| Name | {{ name }} |\n\n---\n\n{{ user_email }}'
  const sheets = ['en', 'ar'].map((locale) => {
    const mail = mailOf(body, 'claims:\n  name: { sample: Ada }\n', locale)
    const claims = {
      ...sampleClaims(mail, today),
      user_email: `${'a'.repeat(64)}@${'b'.repeat(60)}.example`,
      user_aut_key_or_otp: 'K'.repeat(256),
      email_link_token: 't'.repeat(4000),
      name: 'W'.repeat(1024),
    }
    return { name: locale, html: render(mail, claims).html }
  })
  const page = await openSheet(browser, sheets, 360)
  expect(await page.evaluate(checks)).toEqual([])
  await page.screenshot({ path: path.join(artefacts, 'long-values-360.png'), fullPage: true })
  await page.close()
})
