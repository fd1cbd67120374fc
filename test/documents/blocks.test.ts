/**
 * Runs the code blocks of the pages as their readers would, in a copy of this folder and against a real service; what
 * cannot run here says why in a comment above it, `<!-- not run: … -->`, which readers do not see.
 */
import { execFile, execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadCatalogue } from '../../src/mails/catalogue.ts'
import { type CodeBlock, codeBlocks, pages, project } from '../support/documents.ts'
import { required, titled } from '../support/missing.ts'
import { type Service, startService } from '../support/service.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

const run = promisify(execFile)
const blocks = pages.flatMap(codeBlocks)
const secret = 'a-long-random-string-that-only-we-two-know'
const adminToken = 'an-admin-token-of-32-bytes-or-so'
const titleOf = ({ page, line, language }: CodeBlock) => `${page}:${line} (${language})`

const python = ['/usr/bin/python3', 'python3'].find((name) => {
  try {
    execFileSync(name, ['-c', 'import jwt, requests'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})
const noPython = required('REQUIRE_PYTHON', python ? undefined : 'no python3 with PyJWT and requests')

/** The languages that a test below runs. */
const runnable = new Set(['sh', 'ts', 'python', 'json', 'yaml', 'markdown'])

test('every code block is run here, or says why not', () => {
  const unexplained = blocks.filter(({ language, notRun }) => !runnable.has(language) && notRun === undefined)
  expect(unexplained.map(titleOf)).toEqual([])
})

test('a block that runs is not excused', () => {
  const reasons = blocks.flatMap(({ notRun }) => notRun ?? [])
  expect(reasons.filter((reason) => reason.length < 8)).toEqual([])
})

const toRun = (language: string) =>
  blocks.filter((block) => block.language === language && block.notRun === undefined)

describe('data', () => {
  test.each(toRun('json').map((block) => [titleOf(block), block] as const))('%s', (_title, { code }) => {
    expect(JSON.parse(code)).toBeTypeOf('object')
  })
  test.each(toRun('yaml').map((block) => [titleOf(block), block] as const))('%s', (_title, { code }) => {
    expect(parse(code)).toBeTypeOf('object')
  })
})

describe('at work', () => {
  let scratch = ''
  let service: Service

  /** A folder that looks like the project, so that what is written beside it stays there. */
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'jwt-mailer-blocks-'))
    const checkout = join(scratch, 'jwt-mailer')
    await mkdir(checkout)
    for (const entry of await readdir(project))
      if (!['.env', 'data', 'my-mails', 'previews'].includes(entry))
        await symlink(join(project, entry), join(checkout, entry))
    await cp(join(project, 'examples/signup/mails'), join(checkout, 'my-mails'), { recursive: true })
    await cp(join(project, 'mails/default'), join(checkout, 'shop-mails/shop'), { recursive: true })
    await mkdir(join(scratch, 'my-app'))
    service = await startService({
      mode: 'development',
      env: { JWT_MAILER_SECRET: secret, ADMIN_TOKEN: adminToken, DATA_DIR: join(checkout, 'data') },
    })
  })
  afterAll(async () => {
    await service?.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  const environment = () => ({
    PATH: `${join(project, 'node_modules/.bin')}:${dirname(process.execPath)}:${process.env['PATH']}`,
    HOME: scratch,
    PYTHONDONTWRITEBYTECODE: '1',
    JWT_MAILER_URL: service.url,
    JWT_MAILER_SECRET: secret,
    LINK_SECRET: 'of the app alone, and long enough for a secret',
    ADMIN_TOKEN: adminToken,
    MAIL_FROM: 'noreply@example.com',
    TOKEN: signToken(sampleClaims(), secret),
  })

  /** The addresses of the pages are those of the service here. */
  const here = (code: string) =>
    code.replaceAll(/https?:\/\/(?:localhost:8080|mail(?:er)?\.example\.com)/g, service.url)
  const runHere = (program: string, words: readonly string[]) =>
    run(program, words, { cwd: join(scratch, 'jwt-mailer'), env: environment(), timeout: 60_000 })

  test.each(toRun('sh').map((block) => [titleOf(block), block] as const))('%s', async (_title, { code }) => {
    const answer = await fetch(`${service.url}/emailservice/${signToken(sampleClaims(), secret)}`)
    const { id } = (await answer.json()) as { id: string }
    const { stdout } = await runHere('bash', ['-euo', 'pipefail', '-c', here(code).replaceAll(/\bID\b/g, id)])
    // an answer of ours is one of success
    for (const [, error] of stdout.matchAll(/"error": ?(\d)/g)) expect(error, stdout).toBe('0')
  })

  test
    .skipIf(noPython !== undefined)
    .each(toRun('python').map((block) => [titled(titleOf(block), noPython), block] as const))(
    '%s',
    async (_title, { code }) => {
      const { stdout } = await runHere(python!, ['-c', here(code)])
      expect(stdout).toBe('sent\n')
    },
  )

  test('the mails compile', async () => {
    const dir = join(scratch, 'documented/shop')
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, '_signature.md'), '{{ app.name }}')
    await writeFile(join(dir, 'app.json'), '{ "default_kind": "mail-0" }')
    const mails = toRun('markdown')
    for (const [index, { code }] of mails.entries()) await writeFile(join(dir, `mail-${index}.en.md`), code)
    const sender = { senderName: 'Example', senderAddress: 'noreply@example.com', allowHttpLinks: false }
    expect(loadCatalogue({ dir: dirname(dir), ...sender }).mails).toHaveLength(mails.length)
  })

  describe('TypeScript', () => {
    const sources = toRun('ts').map((block, index) => ({ ...block, file: `block-${index}.ts` }))

    beforeAll(async () => {
      const folder = join(scratch, 'blocks')
      await mkdir(join(folder, 'node_modules'), { recursive: true })
      for (const name of await readdir(join(project, 'node_modules')))
        if (name !== 'jwt-mailer-client')
          await symlink(join(project, 'node_modules', name), join(folder, 'node_modules', name))
      const client = join(folder, 'node_modules/jwt-mailer-client')
      await cp(join(project, 'client/package.json'), join(client, 'package.json'))
      await runHere('tsc', ['-p', 'client', '--outDir', join(client, 'dist')])
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
      await writeFile(join(folder, 'given.d.ts'), given)
      const settings = {
        extends: join(project, 'tsconfig.json'),
        compilerOptions: { noEmit: true, rootDir: folder },
        include: ['.'],
      }
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings))
      const { stdout: mailTypes } = await runHere('npx', ['jwt-mailer', 'types', 'shop-mails'])
      await writeFile(join(folder, 'mails.d.ts'), mailTypes)
      for (const { file, code } of sources) await writeFile(join(folder, file), `${here(code)}\nexport {}\n`)
    }, 120_000)

    test('compiles', async () => {
      const { stdout } = await runHere('tsc', ['-p', join(scratch, 'blocks'), '--checkers', '1']).catch(
        (error: { stdout: string }) => error,
      )
      expect(stdout).toBe('')
    })

    test('sends a mail, as the README shows', async () => {
      const { file = '' } = sources.find(({ page }) => page === 'README.md') ?? {}
      const { stdout } = await runHere(process.execPath, [join(scratch, 'blocks', file)])
      expect(stdout).toBe('sent\n')
    })
  })
})

/** What the TypeScript of the pages takes for granted: names of the reader's own application. */
const given = `
declare const secret: string, LINK_SECRET: string, token: string, url: string
declare const user: { id: string }
declare const createMailer: typeof import('jwt-mailer-client').createMailer
declare const linkToken: typeof import('jwt-mailer-client').linkToken
declare const confirmationPage: typeof import('jwt-mailer-client').confirmationPage
type Handler = (request: { params: { token: string } }, reply: import('fastify').FastifyReply) => unknown
declare const app: { get(path: string, handler: Handler): void; post(path: string, handler: Handler): void }
declare function explain(reason: string): unknown
declare function insertOnce(id: string, expires: Date): Promise<boolean>
declare function markVerified(user: string): Promise<void>
`
