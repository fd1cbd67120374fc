/**
 * The package as others install it: packed by `npm pack`, put into an empty folder, and used from there by Node, by the
 * command line and by TypeScript.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Checkout, copyCheckout } from './support/checkout.ts'

const run = promisify(execFile)
const project = path.resolve(import.meta.dirname, '..')
const programs = path.join(project, 'node_modules')
const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}` }
let folder = ''
let checkout: Checkout
let tarball = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'jwt-mailer-package-'))
  checkout = await copyCheckout()
  await run('npm', ['pack', '--pack-destination', folder], { cwd: checkout.folder, env })
  tarball = path.join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz'))!)
  await unpackInto(path.join(folder, 'node_modules'))
  await writeFile(path.join(folder, 'package.json'), '{ "name": "newcomer", "type": "module" }')
}, 120_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await checkout?.remove()
})

/** What `npm install` does, without asking a registry: the dependencies are those that are installed here. */
async function unpackInto(modules: string): Promise<void> {
  await mkdir(path.join(modules, 'jwt-mailer'), { recursive: true })
  await run('tar', ['xzf', tarball, '--strip-components=1', '-C', path.join(modules, 'jwt-mailer')])
  const { dependencies } = JSON.parse(await readFile(path.join(project, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of Object.keys(dependencies))
    await symlink(path.join(programs, name), path.join(modules, name))
}

async function runFile(name: string, source: string, node = process.execPath): Promise<string> {
  await writeFile(path.join(folder, name), source)
  return (await run(node, [name], { cwd: folder, env })).stdout
}

const use = `
const { createMailer, linkToken, mintToken, confirmationPage } = client
const mailer = createMailer({ url: 'http://127.0.0.1:9', secret: 's', retries: 0 })
const answer = await mailer.send('confirmation', { to: 'ada@example.com' })
const token = linkToken.sign({ purpose: 'p', subject: '1', secret: 's', expiresInS: 60 })
const link = await linkToken.verify(token, { purpose: 'p', secret: 's' })
console.log(answer.code, link.subject, mintToken({ to: 'a@example.com', secret: 's' }).split('.').length,
  confirmationPage({ title: 't', text: 't', button: 'b' }).status)
`

test('works when it is imported, and lets the process end', async () => {
  const source = `import * as client from 'jwt-mailer/client'\n${use}`
  expect(await runFile('use.js', source)).toBe('unreachable 1 3 200\n')
})

test('works from CommonJS by a dynamic import', async () => {
  const source = `(async () => { const client = await import('jwt-mailer/client')\n${use} })()`
  expect(await runFile('use.cjs', source)).toBe('unreachable 1 3 200\n')
})

test('the client loads nothing of ours but itself, and no package', async () => {
  const source = `
import { registerHooks } from 'node:module'
const loaded = []
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
await import('jwt-mailer/client')
console.log(JSON.stringify(loaded))`
  const loaded = JSON.parse(await runFile('graph.js', source)) as string[]
  const files = loaded
    .filter((url) => url.startsWith('file:'))
    .map((url) => url.split('/node_modules/').at(-1)!)
  expect(files.filter((file) => !file.startsWith('jwt-mailer/dist/client/src/'))).toEqual([])
  expect(files).toContain('jwt-mailer/dist/client/src/mailer.js')
})

test('brings the command line along, compiled', async () => {
  const bin = path.join('node_modules', 'jwt-mailer', 'src', 'jwt-mailer.js')
  const { stdout } = await run(process.execPath, [bin, 'check'], { cwd: folder, env })
  expect(stdout).toContain('no problem')
})

const compilers = ['typescript', 'typescript-5'] as const
const resolutions = ['nodenext', 'bundler'] as const

const typed = `import { createMailer, linkToken, type Accepted } from 'jwt-mailer/client'
interface Shop { order: { link: { url: string; token: string }; accessKey?: never; data: { number: number } } }
const mailer = createMailer<Shop>({ url: 'https://mailer.example.com', secret: 's', app: 'shop' })
export async function order(token: string): Promise<Accepted['state'] | string> {
  const answer = await mailer.send('order', { to: 'ada@example.com', link: { url: 'https://a.example/', token }, data: { number: 7 } })
  if (!answer.ok) return answer.retryable ? 'later' : answer.code
  const link = await linkToken.verify(token, { purpose: 'order', secret: 's' })
  return link.ok ? link.subject : answer.state
}
`
const mistakes = [
  ['a kind that does not exist', "mailer.send('ordre', { to: 'a@example.com' })"],
  ['a missing claim', "mailer.send('order', { to: 'a@example.com', link: { url: 'u', token: 't' } })"],
  ['a missing link', "mailer.send('order', { to: 'a@example.com', data: { number: 7 } })"],
  [
    'a claim of another type',
    "mailer.send('order', { to: 'a@example.com', link: { url: 'u', token: 't' }, data: { number: 'x' } })",
  ],
] as const

/** By the types that are written from the mails. */
const typedMails = `import { createMailer } from 'jwt-mailer/client'
import type { Mails } from './mails.d.ts'
const options = { url: 'https://mailer.example.com', secret: 's' }
const mailer = createMailer<Mails['default']>(options)
const link = { url: 'https://a.example/', token: 't' }
void mailer.send('confirmation', { to: 'a@example.com', link, accessKey: 'k', locale: 'it' })
void mailer.send('confirmation', { to: 'a@example.com', link })
void mailer.send('resetkey', { to: 'a@example.com', accessKey: '493027' })
void mailer.send('password-changed', { to: 'a@example.com' })
void mailer.send('password-changed', { to: 'a@example.com', link })
void mailer.send('invite', { to: 'a@example.com', link, data: { inviter_name: 'Bob' } })
`
const mistakenMails = [
  ['a missing link', "mailer.send('confirmation', { to: 'a@example.com', accessKey: 'k' })"],
  [
    'a link where none belongs',
    "mailer.send('resetkey', { to: 'a@example.com', link, accessKey: '493027' })",
  ],
  ['a kind that does not exist', "mailer.send('confirmed', { to: 'a@example.com' })"],
  [
    'a claim that does not exist',
    "mailer.send('invite', { to: 'a@example.com', link, data: { inviter: 'Bob' } })",
  ],
  ['an app that does not exist', "createMailer<Mails['shop']>(options)"],
] as const

interface Program {
  readonly name: string
  readonly good: string
  readonly mistakes: readonly (readonly [what: string, call: string])[]
}
const programsOfUsers: readonly Program[] = [
  { name: 'typed.ts', good: typed, mistakes },
  { name: 'typed-mails.ts', good: typedMails, mistakes: mistakenMails },
]

/** Each place of which the compiler complains, as `file:line`, and what it says of no place at all. */
async function compile(compiler: string, resolution: string, files: readonly string[]): Promise<Set<string>> {
  const options = [
    '--strict',
    '--noEmit',
    // those of the compiler itself are not ours to check, and the most to check
    '--skipDefaultLibCheck',
    '--target',
    'es2022',
    '--module',
    resolution === 'bundler' ? 'esnext' : 'nodenext',
  ]
  const tsc = path.join(programs, compiler, 'bin', 'tsc')
  const types = ['--types', 'node', '--typeRoots', path.join(programs, '@types')]
  const args = [tsc, ...options, '--moduleResolution', resolution, ...types, ...files]
  const complaints = await run(process.execPath, args, { cwd: folder, env }).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  )
  const lines = complaints.split('\n').filter((line) => /^\S/.test(line))
  return new Set(lines.map((line) => line.replace(/^(\S+)\((\d+),.*/, '$1:$2')))
}

describe('its types, and those that are written from the mails', () => {
  beforeAll(async () => {
    const bin = path.join('node_modules', 'jwt-mailer', 'src', 'jwt-mailer.js')
    const { stdout } = await run(process.execPath, [bin, 'types'], { cwd: folder, env })
    await writeFile(path.join(folder, 'mails.d.ts'), stdout)
    for (const { name, good, mistakes: wrong } of programsOfUsers)
      await writeFile(path.join(folder, name), good + wrong.map(([, call]) => `void ${call}\n`).join(''))
  })
  const firstMistake = ({ good }: Program) => good.split('\n').length
  const mistaken = programsOfUsers.flatMap((program) =>
    program.mistakes.map((_, index) => `${program.name}:${firstMistake(program) + index}`),
  )

  test.each(
    compilers.flatMap((compiler) => resolutions.map((resolution) => [compiler, resolution] as const)),
  )(
    'make each mistake an error with %s and module resolution %s, and nothing else',
    async (compiler, resolution) => {
      const names = programsOfUsers.map(({ name }) => name)
      expect([...(await compile(compiler, resolution, names))].toSorted()).toEqual(mistaken.toSorted())
    },
    120_000,
  )
})

test('publint and Are the Types Wrong have nothing to say', async () => {
  const publint = await run(
    process.execPath,
    [path.join(programs, 'publint/src/cli.js'), tarball, '--strict'],
    { env },
  )
  expect(publint.stdout).toContain('All good')
  const attw = path.join(programs, '@arethetypeswrong/cli/dist/index.js')
  const args = [
    attw,
    tarball,
    '--profile',
    'esm-only',
    '--no-color',
    '--no-emoji',
    '--exclude-entrypoints',
    'package.json',
  ]
  const { stdout } = await run(process.execPath, args, { env })
  // one for the client, and one for each of its subpaths
  expect(stdout.match(/OK \(ESM\)/g)).toHaveLength(3)
}, 120_000)
