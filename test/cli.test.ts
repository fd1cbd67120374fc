/** The command as a person or a pre-commit hook calls it: a process of its own, its output and its exit code. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import PostalMime from 'postal-mime'
import { describe, expect, test } from 'vitest'
import { builtInMails, temporaryFolder, varianceMails } from './support/preview.ts'

const project = resolve(import.meta.dirname, '..')
const bin = join(project, 'src/jwt-mailer.js')

/** Of the machine, when it has one. */
const olderNode = ['/usr/bin/node', '/usr/local/bin/node'].find(
  (node) =>
    existsSync(node) && /^v(?:1\d|2[0-3])\./.test(spawnSync(node, ['-v'], { encoding: 'utf8' }).stdout),
)

function run(words: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const env = { PATH: process.env['PATH'], ...options.env }
  const cwd = options.cwd ?? temporaryFolder()
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

/** A copy of the built-in mails, in one of which `from` is replaced. */
function spoiledMails(file: string, from: string, to: string): string {
  const dir = temporaryFolder(builtInMails)
  const name = join(dir, file)
  const good = readFileSync(name, 'utf8')
  expect(good).toContain(from)
  writeFileSync(name, good.replace(from, to))
  return dir
}

const lineOf = (file: string, text: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1

describe('jwt-mailer', () => {
  test('says what it can do, what its exit codes mean and how it is called', () => {
    for (const command of ['', 'check', 'preview', 'doctor', 'outbox', 'types', 'token', 'send', 'serve']) {
      const { status, stdout } = run([...(command ? [command] : []), '--help'])
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
  ])('ends %j with 2 and a sentence, not with a stack', (words, sentence) => {
    const { status, stdout, stderr } = run(words)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(sentence)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test.skipIf(olderNode === undefined)('tells an older Node which one it needs', () => {
    const { status, stderr } = spawnSync(olderNode!, [bin, 'check'], { encoding: 'utf8', timeout: 60_000 })
    expect(status).toBe(2)
    expect(stderr).toMatch(/^jwt-mailer needs Node 24, this is /)
  })
})

describe('check', () => {
  test('finds nothing wrong in the mails that come with it', () => {
    const built = run(['check'])
    expect(built).toMatchObject({ status: 0, stderr: '' })
    expect(built.stdout).toMatch(/^35 mails in .*mails: no problem\n$/)
    const variance = run(['check', 'examples/variance/mails'], { cwd: project })
    expect(variance).toEqual({
      status: 0,
      stderr: '',
      stdout: '28 mails in examples/variance/mails: no problem\n',
    })
  })

  test('names file and line of everything that stops a start, and ends with 1', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const file = join(dir, 'default/signup.en.md')
    writeFileSync(file, readFileSync(file, 'utf8').replace('subject:', 'subjcet:'))
    const { status, stdout } = run(['check', dir])
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

  test('advises on what starts but is unfinished: a sample that is missing or refused, a locale too few', () => {
    const unsampled = spoiledMails('default/invite.en.md', ', sample: Ada', '')
    const first = run(['check', unsampled])
    expect(first).toMatchObject({ status: 1 })
    expect(first.stdout).toMatch(/invite\.en\.md:\d+: `user_name` has no sample/)
    const refused = run(['check', spoiledMails('default/resetkey.it.md', '"493027"', '"49 30 27"')])
    expect(refused).toMatchObject({ status: 1, stderr: '' })
    expect(refused.stdout).toMatch(
      /resetkey\.it\.md:1: the samples are refused: user_aut_key_or_otp\. 1 to 256/,
    )
  })

  test('reads MAILS_DIR from the environment and from .env, and an argument goes before both', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    expect(run(['check'], { env: { MAILS_DIR: dir } })).toMatchObject({ status: 1 })
    expect(run(['check', builtInMails], { env: { MAILS_DIR: dir } })).toMatchObject({ status: 0 })
    expect(run(['check'], { env: { MAILS_DIR: '' } })).toMatchObject({ status: 0 })
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, '.env'), `MAILS_DIR=${dir}\n`)
    expect(run(['check'], { cwd })).toMatchObject({ status: 1 })
  })

  test('--json says the same for programs', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const { status, stdout } = run(['check', dir, '--json'])
    expect(status).toBe(1)
    const file = join(dir, 'default/reset.fr.md')
    const answer: unknown = JSON.parse(stdout)
    expect(answer).toMatchObject({ ok: false, dir, mails: null })
    expect(answer).toHaveProperty('problems[0]', {
      file,
      line: lineOf(file, '{{ usr_name }}'),
      message: expect.stringMatching(/^`usr_name` is not declared/),
    })
    expect(JSON.parse(run(['check', '--json']).stdout)).toMatchObject({ ok: true, mails: 35, problems: [] })
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

describe('preview', () => {
  test('writes a page and three files for each mail', async () => {
    const cwd = temporaryFolder()
    const { status, stdout } = run(['preview', '--out', 'out/here', '--mails', varianceMails], { cwd })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '28 mails: open out/here/index.html\n' })
    const out = join(cwd, 'out/here')
    expect(
      readdirSync(out, { recursive: true, withFileTypes: true }).filter((each) => each.isFile()),
    ).toHaveLength(28 * 3 + 1)
    const read = (name: string) => readFileSync(join(out, 'ntsqr', name))
    const mail = await PostalMime.parse(read('quote_ready.en.eml'))
    expect(mail.subject).toBe('Your quote is ready - Night Squirrel')
    expect(mail.html?.trim()).toBe(read('quote_ready.en.html').toString().trim())
    expect(mail.text?.trim()).toBe(read('quote_ready.en.txt').toString().trim())
  })

  test('holds everything the page needs, and nothing in it can end the block that holds it', () => {
    const dir = spoiledMails(
      'default/invite.en.md',
      'sample: Ada',
      `sample: "</script><script>alert(1)</script>"`,
    )
    const out = temporaryFolder()
    expect(run(['preview', '--out', out, '--mails', dir])).toMatchObject({ status: 0 })
    const page = readFileSync(join(out, 'index.html'), 'utf8')
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page).toMatch(
      /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/,
    )
    const data = /id="kept">(.*)<\/script>/.exec(page)?.[1] ?? ''
    const kept = JSON.parse(data) as { details: Record<string, { claims: { user_name: string } }> }
    expect(kept.details['default/invite/en']?.claims.user_name).toBe('</script><script>alert(1)</script>')
  })

  test('names the default app as the service would', () => {
    const out = temporaryFolder()
    run(['preview', '--out', out], { env: { APP_NAME: 'CatLoader' } })
    const mail = () => readFileSync(join(out, 'default/confirmation.en.txt'), 'utf8')
    expect(mail()).toContain('CatLoader')
    run(['preview', '--out', out, '--app-name', 'Attitude'], { env: { APP_NAME: 'CatLoader' } })
    expect(mail()).toContain('Attitude')
  })

  test('writes nothing from a broken folder, and says where it is broken', () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const out = temporaryFolder()
    const { status, stdout, stderr } = run(['preview', '--out', out, '--mails', dir])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/reset\.fr\.md:\d+: `usr_name` is not declared/)
    expect(readdirSync(out)).toEqual([])
  })

  test('shows all other mails when the samples of one are refused, and ends with 1', () => {
    const out = temporaryFolder()
    const dir = spoiledMails('default/resetkey.it.md', '"493027"', '"49 30 27"')
    const { status, stdout } = run(['preview', '--out', out, '--mails', dir, '--json'])
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, mails: 35, problems: [{ line: 1 }] })
    expect(existsSync(join(out, 'default/resetkey.it.html'))).toBe(false)
    expect(existsSync(join(out, 'default/resetkey.en.html'))).toBe(true)
  })
})
