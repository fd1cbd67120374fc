/** Holds the rule of imports (imports.config.ts) to its promise: each wrong import fails, with a sentence that says where the line belongs. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'jwt-mailer-imports-'))
const leaf = 'A leaf at the root of src imports only leaves'
const apart = 'mails/ and transport/ meet only in mime/ and message.ts'
const alone = 'Each file of adapters/ and feedback/ stands alone'

/** A file to plant, the import in it, and how the sentence it must get begins. */
const wrong: readonly (readonly [string, string, string])[] = [
  ['planted-leaf.ts', './mails/catalogue.ts', leaf],
  ['planted-leaf-2.ts', './outbox/store/sql.ts', leaf],
  ['planted-leaf-3.ts', './server.ts', 'An entry'],
  ['mails/planted.ts', '../transport/smtp.ts', apart],
  ['mails/compile/planted.ts', '../../transport/smtp.ts', apart],
  ['transport/planted.ts', '../mails/render.ts', apart],
  ['transport/planted-2.ts', '../mails/compile/html.ts', apart],
  ['mails/planted-2.ts', '../outbox/api.ts', 'Parts do not import each other'],
  ['outbox/planted.ts', '../mails/render.ts', 'Parts do not import each other'],
  ['outbox/planted-2.ts', '../transport/breaker.ts', 'Parts do not import each other'],
  ['outbox/store/planted.ts', '../../mails/render.ts', 'Parts do not import each other'],
  ['transport/planted-3.ts', '../outbox/store/sql.ts', 'Parts do not import each other'],
  ['outbox/store/planted-2.ts', '../api.ts', 'outbox/store/ is the database below the outbox'],
  ['delivery/planted.ts', '../outbox/store/sql.ts', 'Only outbox/ uses the database'],
  ['config/planted.ts', '../outbox/api.ts', 'config/ imports no part'],
  ['config/planted-2.ts', '../transport/smtp.ts', 'config/ imports no part'],
  [
    'transport/planted-4.ts',
    '../config/config.ts',
    'Only the entries, doctor/ and commands/ read the configuration',
  ],
  [
    'http/planted.ts',
    '../config/config.ts',
    'Only the entries, doctor/ and commands/ read the configuration',
  ],
  ['mime/planted.ts', '../mails/render.ts', 'mime/ turns a message into bytes'],
  ['adapters/planted.ts', './other.ts', alone],
  ['feedback/planted.ts', './other.ts', alone],
  ['adapters/planted-2.ts', '../feedback/other.ts', alone],
  ['adapters/planted-3.ts', '../http/app.ts', 'Imports point down'],
  ['adapters/planted-4.ts', '../outbox/api.ts', 'adapters/ and feedback/ import leaves only'],
  ['delivery/planted-2.ts', '../http/app.ts', 'Imports point down'],
  ['outbox/planted-3.ts', '../delivery/deliver.ts', 'Imports point down'],
  ['commands/planted.ts', '../http/app.ts', 'Imports point down'],
  ['doctor/planted.ts', '../http/app.ts', 'The doctor examines parts and configuration'],
  ['../client/src/planted.ts', '../tsconfig.json', 'client/ is what other programs install'],
  ['../client/src/planted-2.ts', '../package.json', 'client/ is what other programs install'],
  ['http/planted-2.ts', '../../client/src/index.ts', 'Only commands/ calls a service through the client'],
  ['planted-leaf-4.ts', '../client/src/mint.ts', 'Only commands/ calls a service through the client'],
  ['mails/planted-3.ts', '../dev/inbox-server.ts', 'dev/ runs only on a machine of one’s own'],
  ['http/routes/planted.ts', '../../commands/terminal.ts', 'Only cli.ts imports commands'],
  ['mails/planted-4.ts', '../doctor/finding.ts', 'The service does not need its doctor'],
  [
    'doctor/dns/planted.ts',
    '../relay/smtp-relay.ts',
    'doctor/dns/ and doctor/relay/ do not import each other',
  ],
  ['doctor/relay/planted.ts', '../dns/spf.ts', 'doctor/dns/ and doctor/relay/ do not import each other'],
  ['http/routes/planted-2.ts', '../../server.ts', 'An entry'],
  ['mails/planted-5.ts', '../mime/../transport/smtp.ts', 'Write the shortest relative path'],
  ['mails/planted-6.ts', '../../src/transport/smtp.ts', 'Write the shortest relative path'],
]

/** Imports that are allowed: the rule must let them pass. */
const right: readonly (readonly [string, string])[] = [
  ['planted-right.ts', './message.ts'],
  ['mails/planted-right.ts', '../mime/mime.ts'],
  ['mails/compile/planted-right.ts', '../values.ts'],
  ['transport/planted-right.ts', '../mime/mime.ts'],
  ['outbox/planted-right.ts', './store/engine.ts'],
  ['outbox/store/planted-right.ts', './engine.ts'],
  ['delivery/planted-right.ts', '../mails/render.ts'],
  ['http/routes/planted-right.ts', '../../adapters/other.ts'],
  ['../client/src/planted-right.ts', './mint.ts'],
  ['commands/planted-right-2.ts', '../../client/src/mint.ts'],
  ['doctor/relay/planted-right.ts', '../finding.ts'],
  ['commands/planted-right.ts', '../doctor/finding.ts'],
]

/** Each way to write an import in turn, types among them. */
const spellings = [
  (from: string) => `import '${from}'\n`,
  (from: string) => `import type { Planted } from '${from}'\nexport type Own = Planted\n`,
  (from: string) => `export * from '${from}'\n`,
  (from: string) => `export type { Planted } from '${from}'\n`,
  (from: string) => `export const planted = await import('${from}')\n`,
]

let found: { code: string; filename: string; help: string }[] = []

beforeAll(() => {
  cpSync(join(root, 'src'), join(copy, 'src'), { recursive: true })
  cpSync(join(root, 'client/src'), join(copy, 'client/src'), { recursive: true })
  cpSync(join(root, 'imports.config.ts'), join(copy, 'imports.config.ts'))
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const [index, [file, from]] of [...wrong, ...right].entries())
    plant(file, spellings[index % spellings.length]?.(from) ?? '')
  plant(
    'mails/planted-circle-1.ts',
    "import type { B } from './planted-circle-2.ts'\nexport type A = B | 1\n",
  )
  plant(
    'mails/planted-circle-2.ts',
    "import type { A } from './planted-circle-1.ts'\nexport type B = A | 2\n",
  )
  plant('mails/planted-type.ts', "export type A = import('../transport/smtp.ts').SmtpOptions\n")
  found = JSON.parse(lint('--format', 'json').stdout).diagnostics
})
afterAll(() => rmSync(copy, { recursive: true }))

function plant(file: string, text: string): void {
  mkdirSync(dirname(join(copy, 'src', file)), { recursive: true })
  writeFileSync(join(copy, 'src', file), text)
}

function lint(...words: string[]) {
  const oxlint = join(root, 'node_modules', 'oxlint', 'bin', 'oxlint')
  const all = [oxlint, '-c', 'imports.config.ts', ...words]
  return spawnSync(process.execPath, all, { cwd: copy, encoding: 'utf8', maxBuffer: 2 ** 24 })
}

const foundIn = (file: string) => found.filter(({ filename }) => filename === join('src', file))

describe('an import that breaks the rule', () => {
  test.each(wrong)('%s of %s: %s', (file, _from, sentence) => {
    expect(foundIn(file).map(({ help }) => help)).toEqual([expect.stringContaining(sentence)])
  })

  test('a circle of types fails', () => {
    const codes = [1, 2].flatMap((n) => foundIn(`mails/planted-circle-${n}.ts`).map(({ code }) => code))
    expect(codes).toEqual(['import(no-cycle)', 'import(no-cycle)'])
  })

  test('a type that imports in place fails', () => {
    expect(foundIn('mails/planted-type.ts')).toHaveLength(1)
  })

  test('a folder without a row fails, and the sentence names it', () => {
    plant('helpers/planted.ts', 'export {}\n')
    const { status, stdout, stderr } = lint()
    rmSync(join(copy, 'src', 'helpers'), { recursive: true })
    expect(status).not.toBe(0)
    expect(stdout + stderr).toContain('src/helpers/ has no row in imports.config.ts')
  })
})

test.each(right)('%s may import %s', (file) => {
  expect(foundIn(file)).toEqual([])
})
