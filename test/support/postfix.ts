/**
 * Owns a real Postfix as a relay: an instance of its own in a temporary folder on a free port, with STARTTLS, SASL after
 * TLS and nothing else, that delivers what it accepts into a mailbox. The machine's own Postfix is not touched.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Authority, startAuthority } from './authority.ts'
import { required } from './missing.ts'
import { freePort } from './port.ts'

const run = promisify(execFile)
const daemons = '/usr/lib/postfix/sbin'
const startTimeoutMs = 15_000
const host = 'localhost'
const user = 'mailer@relay.example'
/** Mail to this domain ends in the mailbox. */
const mailDomain = 'mailbox.example'

export interface Postfix {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  /** Certified Postfix, and certifies others in the same test. */
  readonly authority: Authority
  /** Domain whose mail ends in the mailbox. */
  readonly mailDomain: string
  /** The raw source of each mail in the mailbox, envelope in `Return-Path` and `X-Original-To` on top. */
  mails(): Promise<string[]>
  /** Resolves with the first mail to `recipient` (the envelope's), rejects with Postfix's log after `timeoutMs`. */
  mailTo(recipient: string, timeoutMs?: number): Promise<string>
  log(): Promise<string>
  stop(): Promise<void>
}

/** Why Postfix cannot run here, or `undefined` when it can. Throws when it is required. */
export function postfixMissing(): string | undefined {
  return required('REQUIRE_POSTFIX', absence())
}

function absence(): string | undefined {
  if (process.getuid?.() !== 0) return 'Postfix needs root to start'
  const programs = [`${daemons}/master`, '/usr/sbin/saslpasswd2', '/usr/bin/openssl']
  const absent = programs.filter((program) => !existsSync(program))
  return absent.length > 0 ? `not installed: ${absent.join(' ')}` : undefined
}

/** Starts it and resolves when it greets, after a second or two. */
export async function startPostfix(): Promise<Postfix> {
  const folder = await mkdtemp(join(tmpdir(), 'postfix-'))
  // Its daemons run as the user postfix and must be able to reach the folder.
  await chmod(folder, 0o755)
  const authority = await startAuthority(folder)
  const port = await freePort()
  const password = 'correct horse battery staple'
  await writeConfiguration(folder, port, authority)
  await addUser(folder, password)

  // A test run that is broken off leaves nothing behind: master ends with it, or by itself after ten minutes.
  const master = spawn(`${daemons}/master`, ['-c', join(folder, 'config'), '-e', '600'], { stdio: 'ignore' })
  const abandon = () => master.kill('SIGTERM')
  process.once('exit', abandon)
  master.once('exit', () => process.off('exit', abandon))
  const log = () => readFile(join(folder, 'mail.log'), 'utf8').catch(() => '')

  async function stop(): Promise<void> {
    if (master.exitCode === null && master.signalCode === null) {
      const ended = once(master, 'exit')
      master.kill('SIGTERM')
      await ended
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }

  async function mails(): Promise<string[]> {
    const mailbox = join(folder, 'mail/inbox/new')
    const names = await readdir(mailbox).catch(() => [])
    return Promise.all(names.map((name) => readFile(join(mailbox, name), 'utf8')))
  }

  async function mailTo(recipient: string, timeoutMs = 60_000): Promise<string> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const mail = (await mails()).find((source) => source.includes(`\nX-Original-To: ${recipient}\n`))
      if (mail !== undefined) return mail
      if (Date.now() > deadline) throw new Error(`No mail to ${recipient}. Postfix says:\n${await log()}`)
      await sleep(50)
    }
  }

  try {
    await untilGreeting(port)
  } catch (cause) {
    const text = await log()
    await stop()
    throw new Error(`Postfix did not start:\n${text}`, { cause })
  }
  return { host, port, user, password, authority, mailDomain, mails, mailTo, log, stop }
}

async function writeConfiguration(folder: string, port: number, authority: Authority): Promise<void> {
  const certificate = await authority.certify(host)
  const { uid, gid, postdrop } = await postfixIds()

  // What `postfix check` would make. It also mends files of the machine's own Postfix, so it is not asked to.
  for (const name of ['config', 'config/sasl', 'queue', 'queue/pid']) await mkdir(join(folder, name))
  for (const name of ['data', 'mail', ...privateQueues.map((queue) => `queue/${queue}`)]) {
    await mkdir(join(folder, name), { mode: 0o700 })
    await chown(join(folder, name), uid, gid)
  }
  await mkdir(join(folder, 'queue/public'))
  await chown(join(folder, 'queue/public'), uid, postdrop)
  await chmod(join(folder, 'queue/public'), 0o710)

  await writeFile(
    join(folder, 'config/main.cf'),
    settings({
      compatibility_level: '3.6',
      queue_directory: join(folder, 'queue'),
      data_directory: join(folder, 'data'),
      daemon_directory: daemons,
      command_directory: '/usr/sbin',
      maillog_file: join(folder, 'mail.log'),
      maillog_file_prefixes: folder,
      myhostname: 'relay.example',
      mydestination: '',
      mynetworks: '',
      inet_interfaces: '127.0.0.1',
      inet_protocols: 'ipv4',
      alias_maps: '',
      local_recipient_maps: '',
      // No mail and no question to anybody outside.
      default_transport: 'error:this relay delivers to its own mailbox only',
      smtpd_peername_lookup: 'no',
      virtual_mailbox_domains: mailDomain,
      virtual_mailbox_maps: 'static:inbox/',
      virtual_mailbox_base: join(folder, 'mail'),
      virtual_uid_maps: `static:${uid}`,
      virtual_gid_maps: `static:${gid}`,
      smtpd_tls_cert_file: certificate.certFile,
      smtpd_tls_key_file: certificate.keyFile,
      smtpd_tls_security_level: 'encrypt',
      smtpd_tls_auth_only: 'yes',
      smtpd_tls_loglevel: '1',
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_local_domain: 'relay.example',
      smtpd_relay_restrictions: 'permit_sasl_authenticated, reject',
      smtpd_recipient_restrictions: 'permit_sasl_authenticated, reject',
    }),
  )
  await writeFile(join(folder, 'config/master.cf'), `127.0.0.1:${port} inet n - n - - smtpd\n${daemonTable}`)
  // Debian's Postfix looks for it here, whatever cyrus_sasl_config_path says.
  await writeFile(
    join(folder, 'config/sasl/smtpd.conf'),
    `pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: ${join(folder, 'sasldb')}\n`,
  )
}

async function addUser(folder: string, password: string): Promise<void> {
  const [name = '', realm = ''] = user.split('@')
  const file = join(folder, 'sasldb')
  const adding = run('/usr/sbin/saslpasswd2', ['-p', '-c', '-f', file, '-u', realm, name])
  adding.child.stdin?.end(password)
  await adding
  const { uid, gid } = await postfixIds()
  await chown(file, uid, gid)
}

const privateQueues =
  'active bounce corrupt defer deferred flush hold incoming maildrop private saved trace'.split(' ')

const daemonTable = `
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
tlsmgr    unix       - - n 1000? 1 tlsmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
proxymap  unix       - - n -     - proxymap
error     unix       - - n -     - error
retry     unix       - - n -     - error
virtual   unix       - n n -     - virtual
anvil     unix       - - n -     1 anvil
postlog   unix-dgram n - n -     1 postlogd
`

function settings(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

/** The user its daemons run as, and the group that may hand in mail, as Debian's package made them. */
async function postfixIds(): Promise<{ uid: number; gid: number; postdrop: number }> {
  const [, , uid, gid] = await entryOf('/etc/passwd', 'postfix')
  const [, , postdrop] = await entryOf('/etc/group', 'postdrop')
  return { uid: Number(uid), gid: Number(gid), postdrop: Number(postdrop) }
}

async function entryOf(file: string, name: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  return lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
}

async function untilGreeting(port: number): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  while (Date.now() < deadline) {
    if (await greets(port)) return
    await sleep(50)
  }
  throw new Error('no greeting in time')
}

async function greets(port: number): Promise<boolean> {
  const socket = createConnection({ host: '127.0.0.1', port, timeout: 2000 })
  try {
    const [greeting] = await once(socket, 'data', { signal: AbortSignal.timeout(2000) })
    return String(greeting).startsWith('220 ')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
