/** `jwt-mailer types`: the interface it prints. That a compiler takes it is shown with the package and the example. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runHere } from '../support/command.ts'
import { temporaryFolder, varianceMails } from '../support/preview.ts'
import { run, spoiledMails } from './program.ts'

describe('jwt-mailer types', () => {
  test('prints each app and kind once, of the built-in mails and of a folder', async () => {
    const built = run(['types'])
    expect(built).toMatchObject({ status: 0, stderr: '' })
    expect(built.stdout).toMatch(/^export interface Mails \{\n {2}default: \{$/m)
    expect(built.stdout.match(/^ {4}resetkey: /gm)).toHaveLength(1)
    const variance = await runHere(['types', varianceMails])
    expect(variance).toMatchObject({ status: 0, stderr: '' })
    expect(variance.stdout).toMatch(/^ {4}quote_ready: \{ link\?: never; /m)
    expect((await runHere(['types'], { MAILS_DIR: varianceMails })).stdout).toBe(variance.stdout)
  })

  test('prints the built-in mails that lie beneath a folder as well', async () => {
    const dir = temporaryFolder()
    mkdirSync(join(dir, 'default'))
    const mail = '---\nsubject: Hi\npreheader: There\nclaims: { code: {} }\n---\n# Hi\n\n{{ code }}\n'
    writeFileSync(join(dir, 'default/note.en.md'), mail)
    const { stdout } = await runHere(['types'], { MAILS_DIR: dir })
    expect(stdout).toMatch(/^ {4}note: \{ link\?: never; .*data: \{ code: string \| number \} \}$/m)
    expect(stdout).toMatch(/^ {4}reset: \{ link: Link; linkExpires\?: Date; /m)
  })

  test('prints the problems of broken mails instead, and ends with 1', async () => {
    const { status, stdout, stderr } = await runHere([
      'types',
      spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}'),
    ])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/reset\.fr\.md:\d+: `usr_name` is not declared/)
  })

  test('ends with 2 where there are no mails', async () => {
    expect(await runHere(['types', 'nowhere'])).toMatchObject({ status: 2, stdout: '' })
    const empty = await runHere(['types', temporaryFolder()])
    expect(empty.stdout).toBe('')
    expect(empty.status).not.toBe(0)
  })
})
