/** The program around its commands: its help, its errors, and what it loads. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { bin, run } from './commands/program.ts'
import { runHere } from './support/command.ts'
import { temporaryFolder } from './support/preview.ts'
import { secret } from './support/tokens.ts'
import { titled } from './support/missing.ts'

const project = join(import.meta.dirname, '..')
const commands = ['serve', 'send', 'token', 'types', 'check', 'preview', 'doctor', 'outbox', 'webhook']

/** Of the machine, when it has one. */
const olderNode = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (node) =>
    existsSync(node) && /^v(?:1\d|2[0-3])\./.test(spawnSync(node, ['-v'], { encoding: 'utf8' }).stdout),
)

describe('jwt-mailer', () => {
  test('explains each command, its exit codes, and how it is called', async () => {
    const ofOutbox = ['stats', 'list', 'show', 'requeue', 'purge'].map((name) => ['outbox', name])
    for (const words of [[], ...commands.map((command) => [command]), ...ofOutbox]) {
      const { status, stdout } = await runHere([...words, '--help'])
      expect(status).toBe(0)
      expect(stdout).toMatch(/^Usage: jwt-mailer/)
      expect(stdout).toMatch(/Exit codes: 0 .+ 1 .+ 2 /)
      expect(stdout).toMatch(/Examples:\n {2}\$ jwt-mailer /)
    }
  })

  test.each([
    [['chekc'], /unknown command 'chekc'[\s\S]*Did you mean check/],
    [['check', '--jsno'], /unknown option '--jsno'/],
    [['check', 'a', 'b'], /too many arguments/],
    [['doctor', '--dns', 'nonsense'], /It must be an IP address/],
    [['preview'], /required option '--out <dir>'/],
    [['check', 'nowhere'], /^jwt-mailer: there is no folder nowhere\n$/],
    [['preview', '--out', 'x', '--mails', 'nowhere'], /^jwt-mailer: there is no folder nowhere\n$/],
    [['preview', '--out', '/dev/null/x'], /^jwt-mailer: ENOTDIR/],
  ])('ends %j with 2 and a sentence, not with a stack', async (words, sentence) => {
    const { status, stdout, stderr } = await runHere(words)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(sentence)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('ends so as a process as well', () => {
    const { status, stdout, stderr } = run(['preview', '--out', '/dev/null/x'])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^jwt-mailer: ENOTDIR.*\n$/)
  })

  test.skipIf(!olderNode)(
    titled('tells an older Node which one it needs', olderNode ? undefined : 'no Node older than 24'),
    () => {
      const { status, stderr } = spawnSync(olderNode!, [bin, 'check'], { encoding: 'utf8', timeout: 60_000 })
      expect(status).toBe(2)
      expect(stderr).toMatch(/^jwt-mailer needs Node 24, this is /)
    },
  )
})

describe('what is loaded', () => {
  /** Files of ours as `commands/check.ts`, packages by their names, both as the process itself saw them. */
  function loadedBy(...words: string[]): { files: string[]; packages: string[] } {
    const list = join(temporaryFolder(), 'loaded.json')
    const hook = `
      import { registerHooks } from 'node:module'
      import { writeFileSync } from 'node:fs'
      const loaded = []
      registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
      process.on('exit', () => writeFileSync(${JSON.stringify(list)}, JSON.stringify(loaded)))`
    const nodeFlags = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`]
    expect(run(words, { nodeFlags, env: { JWT_MAILER_SECRET: secret } })).toMatchObject({ status: 0 })
    const urls = (JSON.parse(readFileSync(list, 'utf8')) as string[]).filter((url) => url.startsWith('file:'))
    const packages = urls.flatMap((url) => url.split('/node_modules/')[1]?.split('/')[0] ?? [])
    const files = urls
      .filter((url) => !url.includes('/node_modules/'))
      .map((url) => relative(project, fileURLToPath(url)).replace(/^src\//, ''))
    return { files, packages: [...new Set(packages)] }
  }

  const described = [
    'jwt-mailer.js',
    'cli.ts',
    ...commands.map((command) => `commands/${command}.ts`),
    'commands/terminal.ts',
    'commands/address-argument.ts',
    'commands/erase.ts',
    'commands/mail-options.ts',
    'commands/suppression.ts',
    'commands/table.ts',
    'address.ts',
    'errors.ts',
    'rate.ts',
    'config/secret-names.ts',
    'outbox/store/operation.ts',
    'own-files.js',
  ].toSorted()

  test.each([[['--help']], [['check', '--help']], [['outbox', 'list', '--help']]])(
    'by %j: the descriptions of the commands and commander, nothing else',
    (words) => {
      const { files, packages } = loadedBy(...words)
      expect(files.toSorted()).toEqual(described)
      expect(packages).toEqual(['commander'])
    },
  )

  test('by token: no mails, no service, no zod', () => {
    const { files, packages } = loadedBy('token', '--to', 'ada@example.com')
    expect(files.toSorted()).toEqual([...described, 'client/src/mint.ts', 'client/src/sign.ts'].toSorted())
    expect(packages).toEqual(['commander'])
    for (const unused of ['zod', 'marked', 'yaml', 'fastify', 'nodemailer', 'pino', 'pg'])
      expect(packages).not.toContain(unused)
  })

  test('by check: the mails, and neither the service nor a store', () => {
    const { files, packages } = loadedBy('check')
    expect(files).toContain('mails/catalogue.ts')
    expect(packages).toContain('marked')
    expect(files.filter((file) => /^(?:http|transport|delivery|dev|doctor)\/|^server/.test(file))).toEqual([])
    for (const unused of ['fastify', 'pg', 'smtp-server']) expect(packages).not.toContain(unused)
  })
})
