/**
 * The files of examples/server: systemd, nginx and Caddy read them where they are installed. Their facts are compared
 * with the program in test/examples/deployments.test.ts.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { required, titled } from '../support/missing.ts'
import { freePort } from '../support/port.ts'

const run = promisify(execFile)
const example = path.resolve(import.meta.dirname, '../../examples/server')
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` }
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'jwt-mailer-server-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

const missing = (program: string, flag: string) =>
  spawnSync(program, [flag], { env }).status === 0 ? undefined : `no ${program}`

const noSystemd = required('REQUIRE_SERVER', missing('systemd-analyze', '--version'))
test.skipIf(noSystemd)(titled('systemd takes every line of the unit', noSystemd), async () => {
  const unit = path.join(folder, 'jwt-mailer.service')
  const text = await readFile(path.join(example, 'jwt-mailer.service'), 'utf8')
  // systemd also looks for the program and its folder, which this machine may have elsewhere
  await writeFile(unit, text.replace('=/usr/bin/node', `=${process.execPath}`))
  const { stdout, stderr } = await run('systemd-analyze', ['verify', unit], { env })
  expect(stdout + stderr).toBe('')
})

const noNginx = required('REQUIRE_SERVER', missing('nginx', '-v'))
test.skipIf(noNginx)(
  titled('nginx takes its configuration, and logs no token while the service is down', noNginx),
  async () => {
    const [httpsPort, servicePort] = [await freePort(), await freePort()]
    await writeFile(path.join(folder, 'nginx.conf'), await nginxConfiguration(httpsPort, servicePort))
    const settings = ['-p', folder, '-e', path.join(folder, 'start.log'), '-c', 'nginx.conf']
    const { stderr } = await run('nginx', ['-t', ...settings], { env })
    expect(stderr).toContain('test is successful')
    expect(stderr).not.toContain('[warn]')

    const nginx = spawn('nginx', [...settings, '-g', 'daemon off;'], { env, stdio: 'ignore' })
    const exit = once(nginx, 'exit')
    try {
      const status = () => statusOf(httpsPort, '/emailservice/the-token-of-a-caller')
      await expect.poll(() => status().catch(() => 0)).toBe(502)
    } finally {
      nginx.kill('SIGQUIT')
      await exit
    }
    const accessLog = await readFile(path.join(folder, 'jwt-mailer.access.log'), 'utf8')
    expect(accessLog).toContain(' GET 502 ')
    const logs = [accessLog, await readFile(path.join(folder, 'jwt-mailer.error.log'), 'utf8')]
    expect(logs.join('')).not.toContain('the-token-of-a-caller')
  },
)

/** Ours, moved to free ports and into the folder, with a certificate. */
async function nginxConfiguration(httpsPort: number, servicePort: number): Promise<string> {
  const key = path.join(folder, 'key.pem')
  const certificate = path.join(folder, 'certificate.pem')
  const files = ['-keyout', key, '-out', certificate, '-subj', '/CN=mailer.example.com', '-days', '1']
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files])
  const text = await readFile(path.join(example, 'nginx.conf'), 'utf8')
  const here = text
    .replace(/ssl_certificate .*;/, `ssl_certificate ${certificate};`)
    .replace(/ssl_certificate_key .*;/, `ssl_certificate_key ${key};`)
    .replaceAll('/var/log/nginx', folder)
    .replace('127.0.0.1:8080', `127.0.0.1:${servicePort}`)
    // a machine may have no IPv6
    .replace(/listen \[::\].*;/g, '')
    .replace('listen 80;', `listen 127.0.0.1:${await freePort()};`)
    .replace('listen 443', `listen 127.0.0.1:${httpsPort}`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(' ')
  return `pid ${folder}/nginx.pid; events {} http { ${temporary}\n${here} }`
}

async function statusOf(port: number, url: string): Promise<number | undefined> {
  const request = get({ port, path: url, host: '127.0.0.1', rejectUnauthorized: false, agent: false })
  const [answer] = (await once(request, 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode
}

const noCaddy = missing('caddy', 'version')
test.skipIf(noCaddy)(
  titled('Caddy takes its configuration', noCaddy),
  async () => {
    await cp(path.join(example, 'Caddyfile'), path.join(folder, 'Caddyfile'))
    const home = { ...env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    const { stderr } = await run('caddy', ['validate', '--config', 'Caddyfile'], { cwd: folder, env: home })
    expect(stderr).not.toContain('"level":"error"')
  },
  120_000,
)
