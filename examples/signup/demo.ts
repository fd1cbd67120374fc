/** Starts the sign-up application together with a mailer and its inbox, and says where they are: `npm run demo`. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { openAccounts } from './accounts.ts'
import { buildSite } from './app.ts'
import { openMails } from './mails.ts'

const project = resolve(import.meta.dirname, '../..')
const sitePort = portOf('SITE_PORT', 3000)
const mailerPort = portOf('MAILER_PORT', 8080)
const linkLifeS = Number(process.env['LINK_LIFE_S'] ?? 3600)
const siteUrl = `http://localhost:${sitePort}`
const mailerUrl = `http://localhost:${mailerPort}`
const mailerSecret = randomBytes(32).toString('hex')
const webhookSecret = `whsec_${randomBytes(32).toString('base64')}`
const feedbackLogin = `postmark:${randomBytes(32).toString('hex')}`
const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-demo-'))

const mailer = startMailer()
const accounts = openAccounts(join(folder, 'site.sqlite'))
const mails = openMails({
  siteUrl,
  mailerUrl,
  mailerSecret,
  linkSecret: randomBytes(32).toString('hex'),
  linkLifeS,
  use: accounts.useLink,
  webhookSecret,
  noteMail: accounts.noteMail,
})
const site = await buildSite({ accounts, mails }, { secure: siteUrl.startsWith('https:') })

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(0))
mailer.once(
  'exit',
  () =>
    void stop(
      1,
      `The mailer did not start, or has ended. Is port ${mailerPort} taken? MAILER_PORT chooses another.`,
    ),
)
try {
  await site.listen({ port: sitePort, host: '127.0.0.1' })
} catch {
  await stop(1, `Port ${sitePort} is taken. SITE_PORT chooses another.`)
}
if (await mailerListens()) {
  console.log(`
  The site      ${siteUrl}          create an account here
  Its mails     ${mailerUrl}/inbox    and read its mails here
  All kinds     ${mailerUrl}/preview

  Type an address and press Enter: its last mail bounces.
  Ctrl-C ends both; nothing is kept.
`)
  createInterface({ input: process.stdin }).on('line', (line) => void sayBounce(line.trim()))
}

/** With an inbox of its own: no mail leaves this machine. */
function startMailer() {
  return spawn(process.execPath, [join(project, 'src/start.js')], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'development',
      HOST: '127.0.0.1',
      PORT: String(mailerPort),
      JWT_MAILER_SECRET: mailerSecret,
      MAILS_DIR: join(import.meta.dirname, 'mails'),
      JWT_MAILER_WEBHOOK: `${siteUrl}/mail-events`,
      JWT_MAILER_WEBHOOK_SECRET: webhookSecret,
      POSTMARK_FEEDBACK_LOGIN: feedbackLogin,
      LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function sayBounce(address: string): Promise<void> {
  if (address === '') return
  const said = await bounce(address).catch(() => 'the mailer does not answer')
  console.log(`  ${address}: ${said}`)
}

/** Says to the mailer what a relay says when there is no such address. */
async function bounce(address: string): Promise<string> {
  const found = await fetch(`${mailerUrl}/inbox/messages?to=${encodeURIComponent(address)}`)
  // oxlint-disable-next-line no-unsafe-type-assertion -- our own mailer answers
  const [newest] = (await found.json()) as { headers: { name: string; value: string }[] }[]
  if (!newest) return 'there is no mail to this address in the inbox'
  // Postmark reports the id that travelled with the mail; over SMTP that is the first half of its Message-ID
  const { value = '' } = newest.headers.find(({ name }) => name === 'Message-ID') ?? {}
  const [, mail] = /^<([^@]+)@/.exec(value) ?? []
  const report = await fetch(`${mailerUrl}/feedback/postmark`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(feedbackLogin).toString('base64')}` },
    body: JSON.stringify({ RecordType: 'Bounce', Type: 'HardBounce', Metadata: { mail } }),
  })
  return report.ok ? 'its last mail has bounced; now sign in' : `the report was answered ${report.status}`
}

/** Its own word, because somebody else's mailer may answer at this port. */
async function mailerListens(): Promise<boolean> {
  for await (const line of createInterface({ input: mailer.stdout })) {
    if (!line.includes('listens on')) continue
    mailer.stdout.resume()
    return true
  }
  return false
}

async function stop(code: number, sentence?: string): Promise<never> {
  if (sentence) console.error(sentence)
  mailer.removeAllListeners('exit')
  const ended = mailer.exitCode === null ? once(mailer, 'exit') : undefined
  mailer.kill('SIGTERM')
  await Promise.all([site.close(), ended])
  accounts.close()
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

function portOf(name: string, otherwise: number): number {
  const port = Number(process.env[name] ?? otherwise)
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
    console.error(`${name} must be a number from 1 to 65535.`)
    process.exit(1)
  }
  return port
}
