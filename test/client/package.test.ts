/** `jwt-mailer-client` as applications install it: packed, alone in an empty folder, on every runtime that is here. */
import { execFile, spawnSync } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Checkout, copyCheckout } from '../support/checkout.ts'
import { required, titled } from '../support/missing.ts'

const run = promisify(execFile)
const project = path.resolve(import.meta.dirname, '../..')
const programs = path.join(project, 'node_modules')
const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}` }
let folder = ''
let checkout: Checkout
let tarball = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'jwt-mailer-client-package-'))
  checkout = await copyCheckout()
  const words = ['pack', '--workspace', 'client', '--pack-destination', folder]
  await run('npm', words, { cwd: checkout.folder, env })
  tarball = path.join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz'))!)
  const installed = path.join(folder, 'node_modules/jwt-mailer-client')
  await mkdir(installed, { recursive: true })
  await run('tar', ['xzf', tarball, '--strip-components=1', '-C', installed])
  await writeFile(path.join(folder, 'package.json'), '{ "name": "newcomer", "type": "module" }')
  await writeFile(path.join(folder, 'use.js'), use)
}, 120_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await checkout?.remove()
})

const use = `
import { createMailer, linkToken, mintToken, confirmationPage } from 'jwt-mailer-client'
import { betterAuthMails } from 'jwt-mailer-client/better-auth'
import { jwtMailer } from 'jwt-mailer-client/authjs'
const mailer = createMailer({ url: 'http://127.0.0.1:9', secret: 's', retries: 1 })
const answer = await mailer.send('confirmation', { to: 'ada@example.com' })
const token = await linkToken.sign({ purpose: 'p', subject: '1', secret: 's', expiresInS: 60 })
const link = await linkToken.verify(token, { purpose: 'p', secret: 's' })
const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
const secret = { alg: 'ES256', key: await crypto.subtle.exportKey('jwk', pair.privateKey) }
const parts = (await mintToken({ to: 'a@example.com', secret })).split('.')
const mark = Uint8Array.from(atob(parts[2].replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0))
const signed = new TextEncoder().encode(parts[0] + '.' + parts[1])
const good = await crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, pair.publicKey, mark, signed)
const onLost = ({ told }) => console.log(told)
const behind = { url: 'http://127.0.0.1:9', secret: 's', retries: 0, onLost }
await betterAuthMails(behind).sendMagicLink({ email: 'ada@example.com', url: 'https://a.example/' })
if (jwtMailer(behind).type !== 'email') throw new Error('no provider')
console.log(answer.code, link.subject, good, confirmationPage({ title: 't', text: 't', button: 'b' }).status)
`

const runtimes: readonly (readonly [name: string, program: string, args: readonly string[]])[] = [
  ['this Node', process.execPath, []],
  ['the Node of the machine', '/usr/bin/node', []],
  ['Deno', 'deno', ['run', '--allow-net', '--node-modules-dir=manual']],
  ['Bun', 'bun', ['run']],
]
for (const [name, program, args] of runtimes) {
  const found = spawnSync(program, ['--version'], { env, encoding: 'utf8' })
  const why = required('REQUIRE_RUNTIMES', found.status === 0 ? undefined : `no ${program}`)
  test.skipIf(why)(titled(`works on ${name}, and lets the process end`, why), async () => {
    const { stdout } = await run(program, [...args, 'use.js'], { cwd: folder, env, timeout: 60_000 })
    expect(stdout).toBe('unreachable 1 true 200\nno magic-link mail: unreachable\n')
  })
}

test('imports nothing, neither a package nor a module of Node, and holds no service', async () => {
  const files = await readdir(path.join(folder, 'node_modules/jwt-mailer-client/dist'))
  expect(files).not.toContain('node.js')
  const checked = `
import { readFileSync, readdirSync } from 'node:fs'
const dist = 'node_modules/jwt-mailer-client/dist/'
const code = readdirSync(dist).filter((name) => name.endsWith('.js')).map((name) => readFileSync(dist + name, 'utf8'))
console.log(JSON.stringify(code.flatMap((text) => [...text.matchAll(/(?:from|import) ?\\(?'([^']+)'/g)].map((found) => found[1]))))`
  await writeFile(path.join(folder, 'imports.js'), checked)
  const { stdout } = await run(process.execPath, ['imports.js'], { cwd: folder, env })
  const names = JSON.parse(stdout) as string[]
  expect(names).toContain('./sign.js')
  expect(names.filter((name) => !name.startsWith('./'))).toEqual([])
})

test('takes less than 200 KB in an empty app', () => {
  const files = globSync('node_modules/**/*', { cwd: folder }).map((file) =>
    statSync(path.join(folder, file)),
  )
  const bytes = files.filter((file) => file.isFile()).reduce((sum, file) => sum + file.size, 0)
  expect(bytes).toBeGreaterThan(10_000)
  expect(bytes).toBeLessThan(200_000)
})

test('publint and Are the Types Wrong have nothing to say', async () => {
  const publint = [path.join(programs, 'publint/src/cli.js'), tarball, '--strict']
  expect((await run(process.execPath, publint, { env })).stdout).toContain('All good')
  const attw = path.join(programs, '@arethetypeswrong/cli/dist/index.js')
  const words = ['--profile', 'esm-only', '--no-color', '--no-emoji', '--exclude-entrypoints', 'package.json']
  const { stdout } = await run(process.execPath, [attw, tarball, ...words], { env })
  // one for the client, and one for each of its subpaths
  expect(stdout.match(/OK \(ESM\)/g)).toHaveLength(3)
}, 120_000)

test.each(['typescript', 'typescript-5'])(
  'its types hold with %s, with the types of Node alone',
  async (compiler) => {
    const typed = `import { createMailer, linkToken, type Accepted } from 'jwt-mailer-client'
const mailer = createMailer({ url: 'https://mailer.example.com', secret: { alg: 'ES256', key: process.env['KEY'] ?? '' } })
export async function order(to: string, signal: AbortSignal): Promise<Accepted['state'] | string> {
  const token: string = await linkToken.sign({ purpose: 'p', subject: '1', secret: 's', expiresInS: 60 })
  const answer = await mailer.send('order', { to, link: { url: 'https://a.example/', token } }, { signal })
  return answer.ok ? answer.state : answer.code
}
`
    await writeFile(path.join(folder, 'typed.ts'), typed)
    // the types of the compiler itself are not ours to check
    const own = ['--skipDefaultLibCheck', '--lib', 'es2022']
    const options = ['--strict', '--noEmit', '--target', 'es2022', ...own, '--module', 'nodenext']
    const types = ['--types', 'node', '--typeRoots', path.join(programs, '@types')]
    const tsc = [path.join(programs, compiler, 'bin', 'tsc'), ...options, ...types, 'typed.ts']
    await expect(run(process.execPath, tsc, { cwd: folder, env })).resolves.toMatchObject({ stdout: '' })
  },
  120_000,
)
