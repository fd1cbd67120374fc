import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startService } from './support/service.ts'
import { titled } from './support/missing.ts'

const project = resolve(import.meta.dirname, '..')

/** A machine as far as a start sees it: a home, and a temporary folder for everybody. */
function machine() {
  const root = mkdtempSync(join(tmpdir(), 'jwt-mailer-own-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const home = join(root, 'home')
  const shared = join(root, 'shared')
  mkdirSync(home, { mode: 0o700 })
  mkdirSync(shared)
  chmodSync(shared, 0o1777)
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: shared }
  const cache = join(home, '.cache/jwt-mailer')
  const command = (cwd = root, more: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [join(project, 'src/jwt-mailer.js'), '--help'], {
      cwd,
      env: { ...env, ...more },
      encoding: 'utf8',
    })
  return { root, home, shared, env, cache, command }
}

describe('compiled code', () => {
  it('of the service and its thread is kept in a folder of the user, and never in the shared one', async () => {
    const { env, shared, cache } = machine()
    const service = await startService({ mode: 'development', env: { HOME: env.HOME, TMPDIR: shared } })
    expect(await service.stop()).toBe(0)
    expect(readdirSync(shared)).toEqual([])
    expect(statSync(cache).mode & 0o777).toBe(0o700)
    const [version = ''] = readdirSync(cache)
    // one folder: the thread has found that of the process
    expect(readdirSync(cache)).toHaveLength(1)
    expect(readdirSync(join(cache, version)).length).toBeGreaterThan(50)
  })

  it('of a command is kept there as well', () => {
    const { shared, cache, command } = machine()
    expect(command()).toMatchObject({ status: 0 })
    expect(readdirSync(cache)).toHaveLength(1)
    expect(readdirSync(shared)).toEqual([])
  })

  it.each([
    ['others may write the folder', 0o700, 0o777],
    ['a group may write the folder', 0o700, 0o770],
    ['others may write the folder above', 0o777, 0o700],
  ])('is not kept where %s', (_title, above, mode) => {
    const { home, cache, command } = machine()
    mkdirSync(cache, { recursive: true })
    chmodSync(join(home, '.cache'), above)
    chmodSync(cache, mode)
    expect(command()).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync(cache)).toEqual([])
  })

  const notRoot = process.getuid?.() === 0 ? undefined : 'not root'
  it.skipIf(notRoot !== undefined)(titled('is not kept in the folder of another user', notRoot), () => {
    const { cache, command } = machine()
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    chownSync(cache, 65_534, 65_534)
    expect(command()).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync(cache)).toEqual([])
  })

  it('is kept in no folder at all where there is no home to write', () => {
    const { root, shared, command } = machine()
    const nowhere = join(root, 'file')
    writeFileSync(nowhere, '')
    expect(command(root, { HOME: nowhere })).toMatchObject({ status: 0, stderr: '' })
    expect(readdirSync(shared)).toEqual([])
  })
})

describe('.env', () => {
  const notRoot = process.getuid?.() === 0 ? undefined : 'not root'
  it.skipIf(notRoot !== undefined)(
    titled('of another user in a shared folder ends the start', notRoot),
    () => {
      const { shared, command, env } = machine()
      const file = join(shared, '.env')
      writeFileSync(file, 'NODE_ENV=production\n')
      expect(command(shared).status).toBe(0)
      chownSync(file, 65_534, 65_534)
      expect(command(shared)).toMatchObject({ status: 2, stdout: '' })
      const start = spawnSync(process.execPath, [join(project, 'src/start.js')], {
        cwd: shared,
        env,
        encoding: 'utf8',
      })
      expect(start.status).toBe(1)
      expect(start.stderr).toMatch(/^Cannot start: The file \.env here belongs to another user[^\n]+\n$/)
      // in a folder of one's own it may come from anybody, as a mounted file does
      chmodSync(shared, 0o755)
      expect(command(shared).status).toBe(0)
    },
  )

  it('with a variable that Node has read before is told so, and only where it stands there alone', () => {
    const { root, command } = machine()
    writeFileSync(join(root, '.env'), 'NODE_EXTRA_CA_CERTS=ca.pem\nLOG_LEVEL=warn\n')
    expect(command()).toMatchObject({
      status: 0,
      stderr:
        'NODE_EXTRA_CA_CERTS in .env has no effect: Node reads it before. Set it in the environment of the process.\n',
    })
    writeFileSync(join(root, 'ca.pem'), '')
    expect(command(root, { NODE_EXTRA_CA_CERTS: 'ca.pem' }).stderr).not.toContain('has no effect')
  })
})
