/**
 * Owns the browser of the tests. Where there is none the tests are skipped and say so; with REQUIRE_BROWSER=1 that is a
 * failure instead.
 */
import { type Browser, chromium } from 'playwright-core'
import { test } from 'vitest'
import { chromiumPath, launchOptions } from './chromium.ts'
import { required, titled } from './missing.ts'

const missing = required('REQUIRE_BROWSER', chromiumPath ? undefined : 'no Chromium')

/** The browser that the run shares (`shared-browser.ts`), in which this file sees nothing of others, or one of its own. */
async function openBrowser(): Promise<Browser> {
  const shared = process.env['TEST_BROWSER']
  if (shared === undefined) return chromium.launch(launchOptions)
  return chromium.connect(await (await fetch(shared)).text())
}

const withBrowser = test.extend<{ $file: { browser: Browser } }>({
  browser: [
    // oxlint-disable-next-line no-empty-pattern -- vitest reads the names of the fixtures from here
    async ({}, use) => {
      const browser = await openBrowser()
      await use(browser)
      await browser.close()
    },
    { scope: 'file' },
  ],
})

/** Stands in the place of `test`, and hands each test the browser of its file, opened when first needed. */
export const browserTest =
  missing === undefined
    ? withBrowser
    : // every test of the file is a plain call, so nothing else of the API is needed
      (((title: string, ...rest: []) =>
        withBrowser.skip(titled(title, missing), ...rest)) as typeof withBrowser)
