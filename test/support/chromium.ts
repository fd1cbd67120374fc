/** Owns where Chromium is on this machine, and how tests start it: Debian's, without a download of its own. */
import { existsSync } from 'node:fs'
import type { LaunchOptions } from 'playwright-core'

const places = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
/** `undefined` where there is none. */
export const chromiumPath = places.find((place) => place && existsSync(place))

export const launchOptions: LaunchOptions = {
  ...(chromiumPath && { executablePath: chromiumPath }),
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
}
