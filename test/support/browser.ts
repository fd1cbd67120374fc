/**
 * Owns the browser of the tests: Debian's Chromium, driven without a download of its own.
 * Where there is none the tests are skipped and say so; with REQUIRE_BROWSER=1 that is a failure instead.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { test } from 'vitest'
import { required, titled } from './missing.ts'

const places = [
  process.env.CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
const executablePath = places.find((place) => place && existsSync(place))
const missing = required('REQUIRE_BROWSER', executablePath ? undefined : 'no Chromium')

/** Opens Chromium without a window; the caller closes it. Rejects with a sentence when there is none. */
export async function openBrowser(): Promise<Browser> {
  if (!executablePath)
    throw new Error('This test needs Chromium: apt-get install chromium, or set CHROMIUM to its path')
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
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
