/* oxlint-disable vitest/no-standalone-expect -- browserTest is a test block, which the rule cannot know */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Browser, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { testApp } from '../../support/app.ts'
import { browserTest } from '../../support/browser.ts'
import { reportingSystems } from '../../support/reports.ts'
import { sampleClaims, signToken } from '../../support/tokens.ts'

const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'postmark')!
const token = 'nobody-guesses-this-token'
const wide = { width: 1280, height: 900 }
const phone = { width: 360, height: 740 }
const checks = ['../../support/contrast.page.js', 'admin.page.js']
  .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
  .join('')

/** Its relay takes the mail to Ada, refuses two for good and puts the others off; the mail to Ada bounces afterwards. */
async function openService() {
  const answers = ['250 ok', '550 5.1.1 no such mailbox', '550 5.1.1 no such mailbox']
  const service = await testApp({
    admin: { token, write: true },
    suppression: 'app',
    routes: { feedback: [settings] },
    script: { RCPT: (count) => answers[count - 1] ?? '451 4.3.0 later' },
  })
  const { app } = service
  const send = async (name: string, more: object = {}) => {
    const claims = sampleClaims({ user_email: `${name}@example.com`, ...more })
    const answer = await app.inject({ url: `/emailservice/${signToken(claims)}` })
    return answer.json<{ code: string; id: string }>()
  }
  const ids: string[] = []
  for (const name of ['ada', 'eve', 'bob', 'kim', 'lise']) ids.push((await send(name)).id)
  await app.inject({ url: '/emailservice/no.token.atall' })
  const [, messageId = ''] = /^Message-ID: <([^@]+)@/im.exec(service.relay.mails[0]?.source ?? '') ?? []
  const { headers, body } = sign([event('bounced_hard', messageId)])
  await app.inject({ method: 'POST', url: '/feedback/postmark', headers, payload: body })
  return { ...service, ids, send }
}

/** A tab that records what must never happen: an error, a dialog, what the policy forbids, a request to anybody else. */
async function openTab(browser: Browser, viewport = wide, colorScheme: 'light' | 'dark' = 'light') {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' })
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(60_000)
  const mishaps: string[] = []
  const asked: string[] = []
  page.on('pageerror', (error) => mishaps.push(error.message))
  page.on('dialog', (dialog) => {
    mishaps.push(`dialog ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    asked.push(request.url())
    if (!/^(?:http:\/\/127\.0\.0\.1:|data:)/.test(request.url())) mishaps.push(request.url())
  })
  await page.exposeFunction('noteViolation', (directive: string) => mishaps.push(`policy ${directive}`))
  await page.addInitScript(
    "addEventListener('securitypolicyviolation', ({ violatedDirective }) => noteViolation(violatedDirective))",
  )
  return { page, mishaps, asked }
}

async function signIn(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Admin token').fill(token)
  await page.keyboard.press('Enter')
  await page.locator('#numbers').waitFor()
}

/** The service counts anew after twenty times as long as counting took, and the page asks every ten seconds. */
const recount = { timeout: 30_000 }
const rows = (page: Page) => page.locator('#list tbody tr')
const told = (page: Page, words: RegExp | string) => page.locator('#told').getByText(words).waitFor()
const button = (page: Page, name: RegExp | string) => page.getByRole('button', { name })
const tile = (page: Page, name: string) =>
  page.locator('#numbers > div', { hasText: name }).locator('.n').textContent()
const overflow = (page: Page) => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
const focused = (page: Page) =>
  page.evaluate<string>(
    '((at) => at.ariaLabel ?? (at.labels?.[0] ?? at).firstChild.textContent.trim())(document.activeElement)',
  )
/** Runs in the page. */
const hasRing =
  "[null, '::after'].some((part) => getComputedStyle(document.activeElement, part).outlineStyle === 'solid')"

browserTest(
  'an operator reads what happened, finds mails, and changes what becomes of them',
  async ({ browser }) => {
    const service = await openService()
    const { page, mishaps, asked } = await openTab(browser)
    const url = `${await service.url()}/admin`
    await signIn(page, `${url}#state=dead`)

    await expect.poll(() => page.locator('#verdict').textContent()).toBe('Mail flows')
    for (const [name, n] of Object.entries({ Waiting: '2', Dead: '2', Sent: '1', Bounced: '1' })) {
      expect([name, await tile(page, name)]).toEqual([name, n])
    }
    await page.locator('#relays').getByText('Working').waitFor()
    await page.getByText(`as replica ${hostname()} (${process.pid}) sees them`).waitFor()
    await page.locator('#refusals').getByText('token_malformed').waitFor()
    await page.getByText('The same as a table').click()
    expect(await page.locator('#hours tr').count()).toBe(24)
    expect(
      await page.locator('#strips').getByRole('img', { name: 'Sent by hour: 1 in 24 hours' }).count(),
    ).toBe(1)

    await expect.poll(() => rows(page).count()).toBe(2)
    await page.locator('#reason').fill('connect')
    await page.keyboard.press('Enter')
    await page.getByText('No dead mail fits these filters.').waitFor()
    await button(page, 'Clear').click()
    await page.locator('#id').fill(service.ids[2] ?? '')
    await page.keyboard.press('Enter')
    await expect.poll(() => rows(page).count()).toBe(1)
    expect(await rows(page).textContent()).toContain('recipient')
    await page.reload()
    await expect.poll(() => rows(page).count()).toBe(1)
    await button(page, 'Clear').click()

    for (const field of ['#address', '#id']) {
      await page.locator(field).fill('Eve@Example.com')
      await page.keyboard.press('Enter')
      await page.getByText('This address is not suppressed').waitFor()
      await expect.poll(() => rows(page).textContent()).toContain(service.ids[1])
      expect(await rows(page).count()).toBe(1)
      expect(await page.locator(field).inputValue()).toBe('')
      expect((await page.content()) + page.url()).not.toMatch(/eve(?:@|%40)/i)
      await button(page, 'No longer only this address').click()
      await expect.poll(() => rows(page).count()).toBe(2)
    }

    await button(page, /^Requeue confirmation/)
      .first()
      .click()
    await told(page, 'confirmation is queued again.')
    await expect.poll(() => rows(page).count()).toBe(1)
    await expect.poll(() => focused(page)).toMatch(/^Requeue confirmation/)
    await button(page, 'Requeue all 1 dead…').click()
    const dialog = page.getByRole('dialog', { name: 'Requeue 1 dead mail?' })
    await expect.poll(() => focused(page)).toBe('Cancel')
    await page.keyboard.press('Escape')
    await expect.poll(() => tile(page, 'Dead'), recount).toBe('1')
    await button(page, 'Requeue all 1 dead…').click()
    const requeued: unknown[] = []
    await page.route('**/admin/requeue', async (route) => {
      requeued.push(route.request().postDataJSON())
      if (requeued.length === 1) return route.fulfill({ json: { count: 5_000, next: 7 } })
      return route.continue({ postData: JSON.stringify({ all: true }) })
    })
    await dialog.getByRole('button', { name: 'Requeue 1' }).click()
    await told(page, '5,001 mails are queued again.')
    expect(requeued).toEqual([{ all: true }, { all: true, diedBy: 7 }])
    await page.getByText('No mail has been given up.').waitFor()

    await page.getByRole('tab', { name: 'Waiting (4)' }).click()
    await expect.poll(() => rows(page).count()).toBe(4)
    await button(page, /^Give up confirmation/)
      .first()
      .click()
    await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).click()
    await told(page, 'confirmation was given up.')
    await expect.poll(() => rows(page).count()).toBe(3)
    await expect.poll(() => tile(page, 'Dead'), recount).toBe('1')

    expect(await service.send('ada', { jti: 'again' })).toMatchObject({ code: 'suppressed' })
    await page.locator('#who').fill('ada@example.com')
    await page.keyboard.press('Enter')
    await page.locator('#found').getByText('This address is suppressed').waitFor()
    await page.locator('#found').getByRole('button', { name: /^Lift/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Lift' }).click()
    await told(page, 'Lifted.')
    await page.getByText('No address is suppressed.').waitFor()
    expect(await service.send('ada', { jti: 'again' })).toMatchObject({ code: 'queued' })

    await button(page, 'Sign out').click()
    await page.getByLabel('Admin token').waitFor()
    expect(asked.filter((each) => /@|%40/.test(each))).toEqual([])
    expect(service.log()).not.toMatch(/(?:ada|eve)@/i)
    expect(mishaps).toEqual([])
  },
  90_000,
)

browserTest(
  'each control is reached by keyboard, in order, and shows that it has the focus',
  async ({ browser }) => {
    const service = await openService()
    const { page } = await openTab(browser)
    await signIn(page, `${await service.url()}/admin#state=dead`)
    await expect.poll(() => rows(page).count()).toBe(2)
    const way: string[] = []
    while (!way.at(-1)?.startsWith('Lift') && way.length < 40) {
      await page.keyboard.press('Tab')
      way.push((await focused(page)).replace(/ (?:confirmation|the suppression) .*/, ''))
      expect([way.at(-1), await page.evaluate(hasRing)]).toEqual([way.at(-1), true])
    }
    expect(way).toEqual([
      'Sign out',
      'Waiting',
      'Dead',
      'The same as a table',
      'Requeue all 2 dead…',
      'Dead (2)',
      'Refresh',
      'App',
      'Kind',
      'Reason',
      'ID',
      'Address',
      'Find',
      'What the reason means',
      'Requeue',
      'Requeue',
      'Is an address suppressed?',
      'Look up',
      'Lift',
    ])
    await page.getByRole('tab', { name: 'Dead (2)' }).focus()
    await page.keyboard.press('ArrowLeft')
    await expect.poll(() => focused(page)).toBe('Waiting (2)')
    await page.locator('#strips').waitFor()
  },
)

browserTest(
  'it refreshes by itself, and takes neither focus nor place nor what is typed',
  async ({ browser }) => {
    const service = await openService()
    const { page, mishaps } = await openTab(browser)
    await page.clock.install()
    await signIn(page, `${await service.url()}/admin#state=dead`)
    await page.locator('#id').fill('half an i')
    await page.locator('#reason').focus()
    const before = await page.evaluate('scrollY')
    await service.send('mia')
    await page.clock.fastForward(10_000)
    await page.getByRole('tab', { name: 'Waiting (3)' }).waitFor()
    expect(await page.locator('#id').inputValue()).toBe('half an i')
    expect(await page.evaluate('document.activeElement.id')).toBe('reason')
    expect(await page.evaluate('scrollY')).toBe(before)

    await page.context().setOffline(true)
    await page.clock.fastForward(10_000)
    await page.getByText('No answer from the service, trying again…').waitFor()
    expect(await tile(page, 'Waiting')).toBe('3')
    await page.context().setOffline(false)
    await page.clock.fastForward(10_000)
    await expect.poll(() => page.locator('#offline').textContent()).toBe('')

    await page.context().clearCookies()
    await page.clock.fastForward(10_000)
    await page.locator('#offline').getByText('Your sign-in has ended.').waitFor()
    await button(page, 'Sign in').click()
    await page.getByLabel('Admin token').waitFor()
    expect(mishaps).toEqual([])
  },
)

browserTest(
  'while it may only read, or the store is away, the page says so and offers nothing dead',
  async ({ browser }) => {
    const service = await openService()
    const { page, mishaps } = await openTab(browser)
    const trouble = { at: 2, reason: 'connect', sentence: 'Is it running?' }
    let change: object = {
      most: 2,
      relays: [
        { name: 'new', state: 'closed', trouble: null, sentAt: null },
        { name: 'broken', state: 'closed', trouble, sentAt: 1 },
        { name: 'mended', state: 'closed', trouble, sentAt: 3 },
      ],
    }
    await page.route('**/admin/overview', async (route) => {
      const answer = await route.fetch()
      await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), ...change } })
    })
    await signIn(page, `${await service.url()}/admin#state=dead`)
    await expect.poll(() => rows(page).count()).toBe(2)
    expect(await tile(page, 'Dead')).toBe('2+')
    await button(page, 'Requeue all 2+ dead…').waitFor()
    const states = await page.locator('#relays .state').allTextContents()
    expect(states).toEqual(['Not used yet', 'Last try failed', 'Working'])
    change = { write: false }
    await button(page, 'Refresh').click()
    await page.getByText('Read-only. Start the service with ADMIN_WRITE=on').waitFor()
    await expect.poll(() => button(page, /requeue|give up|lift/i).count()).toBe(0)

    change = {
      store: { engine: 'postgres', trouble: { reason: 'unreachable', sentence: 'Is the database running?' } },
      outbox: null,
      hours: [],
      refusals: [],
    }
    await page.route('**/admin/mails', (route) =>
      route.fulfill({ status: 503, json: { error: 1, msg: 'Could not send', code: 'store_unavailable' } }),
    )
    await button(page, 'Refresh').click()
    await page.getByText('No mail is accepted').waitFor()
    await page.getByText('The outbox cannot be used (unreachable). Is the database running?').waitFor()
    await page.locator('#no-mails').getByText('The outbox cannot be asked just now.').waitFor()
    await page.getByText('Not known while the outbox cannot be asked.').first().waitFor()
    await expect.poll(() => page.locator('#offline').textContent()).toBe('')
    expect(await tile(page, 'Dead')).toBe('–')
    expect(mishaps).toEqual([])
  },
)

/** In each place where the answers have words. */
const evil = `<img src=x onerror="window.hacked=1">\u{202E}javascript:alert(2)\u0000${'w'.repeat(150)}`
function poison(value: unknown): unknown {
  if (typeof value === 'string') return evil
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(poison)
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, key === 'since' ? 1e20 : poison(each)]),
  )
}

for (const [viewport, colorScheme] of [
  [phone, 'dark'],
  [wide, 'light'],
] as const) {
  browserTest(
    `nothing in it is hard to read or too wide, and hostile words stay words, at ${viewport.width} px, ${colorScheme}`,
    async ({ browser }) => {
      const service = await openService()
      const { page, mishaps } = await openTab(browser, viewport, colorScheme)
      await signIn(page, `${await service.url()}/admin#state=dead`)
      await expect.poll(() => rows(page).count()).toBe(2)
      for (const summary of await page.locator('summary').all())
        if (await summary.isVisible()) await summary.click()
      await page.locator('#who').fill('ada@example.com')
      await page.keyboard.press('Enter')
      await page.locator('#found').getByText('suppressed').waitFor()
      expect(await page.evaluate(checks)).toEqual([])
      expect(await overflow(page)).toBe(0)

      await page.route(/\/admin\/(?:overview|mails|suppressed)$/, async (route) => {
        const answer = await route.fetch()
        await route.fulfill({ response: answer, json: poison(await answer.json()) })
      })
      await button(page, 'Refresh').click()
      await page.locator('#relays').getByText('javascript:alert').first().waitFor()
      await page.locator('#list').getByText('javascript:alert').first().waitFor()
      await page.locator('#suppressed').getByText('<img src=x').first().waitFor()
      await button(page, /^Give up <img/)
        .first()
        .click()
      await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).click()
      await told(page, 'Not given up')
      expect(await page.locator('body img').count()).toBe(0)
      expect(await page.evaluate('window.hacked')).toBeUndefined()
      expect(await page.locator('main').innerText()).not.toMatch(/[\u{202E}\0]/u)
      expect(await overflow(page)).toBe(0)
      expect(mishaps).toEqual([])
    },
  )
}
