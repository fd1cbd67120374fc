/** Owns the one Chromium that the test files of a run share, started when the first of them asks for it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type BrowserServer, chromium } from 'playwright-core'
import { launchOptions } from './chromium.ts'
import { portOf } from './port.ts'

export default async function setup(): Promise<() => Promise<void>> {
  let browser: Promise<BrowserServer> | undefined
  const server = createServer(async (_request, response) => {
    browser ??= chromium.launchServer(launchOptions)
    const answer = await browser.then(
      (launched) => launched.wsEndpoint(),
      (error: Error) => error.message,
    )
    response.end(answer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.env['TEST_BROWSER'] = `http://127.0.0.1:${portOf(server)}`
  return async () => {
    server.close()
    await (await browser)?.close()
  }
}
