/** `jwt-mailer check`: what it finds in a folder of mails, as lines and as JSON. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runHere } from '../support/command.ts'
import { builtInCount, builtInMails, temporaryFolder } from '../support/preview.ts'
import { lineOf, run, spoiledMails } from './program.ts'

describe('jwt-mailer check', () => {
  test('finds nothing wrong in the mails that come with it', async () => {
    const built = run(['check'])
    expect(built).toMatchObject({ status: 0, stderr: '' })
    expect(built.stdout).toMatch(new RegExp(`^${builtInCount} mails in .*mails: no problem\n$`))
    const variance = await runHere(['check', 'examples/variance/mails'])
    expect(variance).toEqual({
      status: 0,
      stderr: '',
      stdout: '28 mails in examples/variance/mails: no problem\n',
    })
  })

  test('names file and line of everything that stops a start, and ends with 1', async () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const file = join(dir, 'default/signup.en.md')
    writeFileSync(file, readFileSync(file, 'utf8').replace('subject:', 'subjcet:'))
    const { status, stdout } = await runHere(['check', dir])
    expect(status).toBe(1)
    const reset = join(dir, 'default/reset.fr.md')
    expect(stdout).toContain(`${reset}:${lineOf(reset, '{{ usr_name }}')}: \`usr_name\` is not declared`)
    expect(stdout).toContain(`${file}:2: `)
    expect(stdout).toMatch(/: \d+ problems\n$/)
  })

  test('names the file as it is reached from here', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    expect(run(['check', '.'], { cwd: dir }).stdout).toMatch(/^default\/reset\.fr\.md:\d+: /)
    expect(run(['check', 'default/..'], { cwd: dir }).stdout).toMatch(/^default\/reset\.fr\.md:\d+: /)
  })

  test('advises on what starts but is unfinished, and calls it no problem: a sample that is missing or refused', async () => {
    const unsampled = spoiledMails('default/invite.en.md', ', sample: Ada', '')
    const first = await runHere(['check', unsampled])
    expect(first).toMatchObject({ status: 0 })
    expect(first.stdout).toMatch(/invite\.en\.md:\d+: advice: `user_name` has no sample/)
    expect(JSON.parse((await runHere(['check', unsampled, '--json'])).stdout)).toMatchObject({
      ok: true,
      problems: [],
      advice: [{ message: expect.stringContaining('has no sample') }],
    })
    const refused = await runHere(['check', spoiledMails('default/resetkey.it.md', '"493027"', '"49 30 27"')])
    expect(refused).toMatchObject({ status: 0, stderr: '' })
    expect(refused.stdout).toMatch(
      /resetkey\.it\.md:1: advice: the samples are refused: user_aut_key_or_otp\. 1 to 256/,
    )
  })

  test('reads MAILS_DIR from the environment and from .env, and an argument goes before both', async () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    expect(await runHere(['check'], { MAILS_DIR: dir })).toMatchObject({ status: 1 })
    expect(await runHere(['check', builtInMails], { MAILS_DIR: dir })).toMatchObject({ status: 0 })
    expect(await runHere(['check'], { MAILS_DIR: '' })).toMatchObject({ status: 0 })
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, '.env'), `MAILS_DIR=${dir}\n`)
    expect(run(['check'], { cwd })).toMatchObject({ status: 1 })
  })

  test('--json says the same for programs', async () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const { status, stdout } = await runHere(['check', dir, '--json'])
    expect(status).toBe(1)
    const file = join(dir, 'default/reset.fr.md')
    const answer: unknown = JSON.parse(stdout)
    expect(answer).toMatchObject({ ok: false, dir, mails: null })
    expect(answer).toHaveProperty('problems[0]', {
      file,
      line: lineOf(file, '{{ usr_name }}'),
      message: expect.stringMatching(/^`usr_name` is not declared/),
    })
    expect(JSON.parse((await runHere(['check', '--json'])).stdout)).toMatchObject({
      ok: true,
      mails: builtInCount,
      problems: [],
    })
  })

  test('keeps file, line and message apart where the folder is called like a problem', () => {
    const cwd = temporaryFolder()
    const dir = 'mails:7: a folder'
    cpSync(spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}'), join(cwd, dir), {
      recursive: true,
    })
    expect(JSON.parse(run(['check', dir, '--json'], { cwd }).stdout)).toHaveProperty('problems[0]', {
      file: `${dir}/default/reset.fr.md`,
      line: lineOf(join(cwd, dir, 'default/reset.fr.md'), '{{ usr_name }}'),
      message: expect.stringMatching(/^`usr_name` is not declared/),
    })
  })

  test('colours nothing when its output is not a terminal', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    expect(run(['check', dir]).stdout).not.toContain('\u001b')
  })
})
