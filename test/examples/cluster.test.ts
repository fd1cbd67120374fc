/** What the real programs say of the configuration in examples/cluster, with the environment that its compose file gives. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig } from '../../src/config/config.ts'
import { clusterMissing } from '../support/cluster.ts'
import { titled } from '../support/missing.ts'
import { secret } from '../support/tokens.ts'

const folder = resolve(import.meta.dirname, '../../examples/cluster')
const strings = z.record(z.string(), z.string())
const { services } = z
  .object({ services: z.record(z.string(), z.object({ environment: strings })) })
  .parse(parse(readFileSync(join(folder, 'compose.yaml'), 'utf8'), { merge: true }))
const missing = clusterMissing()
const environmentOf = (name: string) => services[name]?.environment ?? {}

describe('examples/cluster', () => {
  test('has three of each, and the service starts with what it is given', () => {
    const names = Object.keys(services)
    for (const kind of ['etcd', 'postgres', 'mailer'])
      expect(names.filter((name) => name.startsWith(kind))).toHaveLength(3)
    const env = { ...environmentOf('mailer1'), NODE_ENV: 'production', JWT_MAILER_SECRET: secret }
    const relay = { SMTP_URL: 'smtp://user:password@smtp.example.com:587', MAIL_FROM: 'noreply@example.com' }
    expect(readConfig({ ...env, ...relay }).shutdownDelayMs).toBe(3_000)
  })

  test.skipIf(missing !== undefined)(titled('HAProxy takes both files', missing), () => {
    // names of other containers cannot be looked up here
    const env = Object.entries(environmentOf('balancer')).map(([name, value]) => [
      name,
      value.replace(/^(?:postgres|mailer)\d/, '127.0.0.1'),
    ])
    const args = ['-c', '-f', join(folder, 'haproxy.cfg'), '-f', join(folder, 'mailers.cfg')]
    const { status, stderr } = spawnSync('/usr/sbin/haproxy', args, {
      env: Object.fromEntries(env),
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  test.skipIf(missing !== undefined)(titled('Patroni takes its file', missing), () => {
    const data = mkdtempSync(join(tmpdir(), 'jwt-mailer-patroni-'))
    onTestFinished(() => rmSync(data, { recursive: true }))
    const env = {
      PATH: process.env['PATH'],
      ...environmentOf('postgres1'),
      PATRONI_ETCD_HOSTS: '127.0.0.1:2379',
      PATRONI_POSTGRESQL_DATA_DIR: join(data, 'postgres'),
    }
    const args = ['--validate-config', join(folder, 'patroni.yml')]
    const { stdout, stderr } = spawnSync('/usr/bin/patroni', args, { env, encoding: 'utf8' })
    const said = `${stdout}${stderr}`.trim().split('\n')
    // the one thing that is not so: no etcd runs
    expect(said.filter((line) => !line.endsWith(`'127.0.0.1:2379 is not reachable'`))).toEqual([])
  })
})
