/** A healthy deployment on loopback, real servers all of it, of which a test breaks one thing and asks the doctor. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { onTestFinished } from 'vitest'
import { examineDeployment, type DeploymentOptions } from '../../src/doctor/deployment.ts'
import type { Finding, Level } from '../../src/doctor/finding.ts'
import { tableOf } from '../../src/doctor/table.ts'
import { loadCatalogue } from '../support/catalogue.ts'
import { startDns, type Zone } from '../support/dns.ts'
import { trustStandIns } from '../support/https-api.ts'
import { portOf } from '../support/port.ts'

export const certificate = (name: string) =>
  readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8')
export const good = { key: certificate('localhost.key'), cert: certificate('localhost.crt') }

export const secret = 'q8Jx4nT0vYd2Rk7WmZs5BhLc9PfGu3Ea'
export const password = 'pässword&with%signs'

trustStandIns()

/** Closes it after the test. */
export function untilTheEnd(cleanup: () => unknown): void {
  onTestFinished(async () => void (await cleanup()))
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'doctor-'))
  untilTheEnd(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export async function listening(server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return portOf(server)
}

/** A server that does with each connection what it is told to. */
export async function rawServer(onConnection: Parameters<typeof createServer>[1]): Promise<number> {
  const sockets = new Set<{ destroy(): unknown }>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection?.(socket)
  })
  untilTheEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listening(server)
}

export interface Relay {
  readonly port: number
  /** Recipients of the mails it took. */
  readonly mails: string[]
  /** Logins it was asked for, right or wrong. */
  readonly logins: number
  /** Connections that are open now. */
  readonly open: () => number
}

/** A relay as providers run them: STARTTLS, then a login. */
export async function goodRelay(options: SMTPServerOptions = {}): Promise<Relay> {
  const relay = { port: 0, mails: [] as string[], logins: 0, open: () => server.connections.size }
  const server = new SMTPServer({
    ...good,
    onAuth({ username, password: given }, _session, done) {
      relay.logins++
      if (username === 'user' && given === password) done(null, { user: 'user' })
      else done(new Error(`535 wrong password ${given} for ${username}`))
    },
    onData(stream, session, done) {
      stream.resume()
      stream.on('end', () => {
        relay.mails.push(...session.envelope.rcptTo.map(({ address }) => address))
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {})
  relay.port = await listening(server.server)
  untilTheEnd(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return relay
}

export const domain = 'mail.example.com'
const dkimKey = (bits: number) =>
  generateKeyPairSync('rsa', { modulusLength: bits })
    .publicKey.export({ type: 'spki', format: 'der' })
    .toString('base64')
const [longKey, shortKey] = [dkimKey(2048), dkimKey(1024)]
export const dkimRecord = { good: `v=DKIM1; k=rsa; p=${longKey}`, short: `v=DKIM1; k=rsa; p=${shortKey}` }

/** DNS as MailerToGo wants it, with the DKIM selector "key1". */
export const goodZone: Zone = {
  [domain]: { TXT: ['v=spf1 include:_spf.mailertogo.net ~all'], MX: [[10, 'mx.example.com']] },
  '_spf.mailertogo.net': { TXT: ['v=spf1 ip4:192.0.2.0/24 -all'] },
  'key1._domainkey.mail.example.com': { CNAME: 'key1.dkim.relay.test' },
  'key1.dkim.relay.test': { TXT: [dkimRecord.good] },
  '_dmarc.mail.example.com': { TXT: ['v=DMARC1; p=reject; rua=mailto:dmarc@example.com'] },
  'mx.example.com': { A: ['192.0.2.1'] },
  'app.example.com': { A: ['192.0.2.2'], AAAA: ['2001:db8::2'] },
}

export interface Patient extends Omit<Partial<DeploymentOptions>, 'env' | 'dns'> {
  readonly relay?: SMTPServerOptions
  /** Replaces names of the healthy zone; `undefined` takes one away. */
  readonly zone?: Readonly<Record<string, Zone[string] | undefined>>
  /** Replaces variables of the healthy environment; `undefined` takes one away. */
  readonly env?: NodeJS.ProcessEnv
}

/** The environment of a healthy deployment with its servers running, but for what `patient` says. */
export async function deployment({ relay: settings, zone, env, ...options }: Patient = {}) {
  const relay = await goodRelay(settings)
  const entries = Object.entries({ ...goodZone, ...zone }).filter(([, records]) => records !== undefined)
  const dns = await startDns(Object.fromEntries(entries) as Zone)
  untilTheEnd(() => dns.close())
  return {
    relay,
    dns,
    options: {
      // a relay that is well is not late, however busy the machine
      stageMs: 5000,
      nodeVersion: '24.21.0',
      loadMails: loadCatalogue,
      selectors: ['key1'],
      dns: dns.address,
      ...options,
      env: {
        NODE_ENV: 'production',
        JWT_MAILER_SECRET: secret,
        MAILERTOGO_SMTP_HOST: 'localhost',
        MAILERTOGO_SMTP_PORT: String(relay.port),
        MAILERTOGO_SMTP_USER: 'user',
        MAILERTOGO_SMTP_PASSWORD: password,
        MAILERTOGO_DOMAIN: domain,
        DATA_DIR: folder(),
        ...env,
      },
    } satisfies DeploymentOptions,
  }
}

export async function examine(patient: Patient = {}): Promise<Finding[]> {
  return examineDeployment((await deployment(patient)).options)
}

/** What the doctor says and advises, of one level, one line per finding; ports, days and folders are made the same. */
export function lines(findings: readonly Finding[], level: Level): string[] {
  return findings
    .filter((finding) => finding.level === level)
    .map(({ area, says, todo }) => same(`${area}: ${says}${todo === undefined ? '' : ` → ${todo}`}`))
}

export function table(findings: readonly Finding[]): string {
  return `${same(tableOf(findings, 100, (_style, text) => text).join('\n'))}\n`
}

function same(text: string): string {
  return text
    .replace(/(localhost|127\.0\.0\.1):\d+/g, '$1:PORT')
    .replace(/ \([\d.:a-f, ]+\) takes/g, ' (ADDRESS) takes')
    .replace(/port \d{4,5}\b/g, 'port PORT')
    .replace(/for \d+ more days/g, 'for N more days')
    .replace(/expired \d+ days/g, 'expired N days')
    .replace(/\S*doctor-\w+/g, 'DATA')
}
