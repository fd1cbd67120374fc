/** `jwt-mailer preview`: the files it writes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import PostalMime from 'postal-mime'
import { describe, expect, test } from 'vitest'
import { runHere } from '../support/command.ts'
import { builtInCount, temporaryFolder, varianceMails } from '../support/preview.ts'
import { run, spoiledMails } from './program.ts'

describe('jwt-mailer preview', () => {
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

  test('holds everything the page needs, and nothing in it can end the block that holds it', async () => {
    const dir = spoiledMails(
      'default/invite.en.md',
      'sample: Ada',
      `sample: "</script><script>alert(1)</script>"`,
    )
    const out = temporaryFolder()
    expect(await runHere(['preview', '--out', out, '--mails', dir])).toMatchObject({ status: 0 })
    const page = readFileSync(join(out, 'index.html'), 'utf8')
    expect(page.match(/<script/g)).toHaveLength(2)
    expect(page).toMatch(
      /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-/,
    )
    const data = /id="kept">(.*)<\/script>/.exec(page)?.[1] ?? ''
    const kept = JSON.parse(data) as { details: Record<string, { claims: { user_name: string } }> }
    expect(kept.details['default/invite/en']?.claims.user_name).toBe('</script><script>alert(1)</script>')
  })

  test('names the default app as the service would', async () => {
    const out = temporaryFolder()
    await runHere(['preview', '--out', out], { APP_NAME: 'CatLoader' })
    const mail = () => readFileSync(join(out, 'default/confirmation.en.txt'), 'utf8')
    expect(mail()).toContain('CatLoader')
    await runHere(['preview', '--out', out, '--app-name', 'Attitude'], { APP_NAME: 'CatLoader' })
    expect(mail()).toContain('Attitude')
    expect(mail()).not.toContain('Example')
    await runHere(['preview', '--out', out, '--mails', varianceMails])
    expect(readFileSync(join(out, 'blog/signup.en.txt'), 'utf8')).not.toContain('Example\n')
  })

  test('writes nothing from a broken folder, and says where it is broken', async () => {
    const dir = spoiledMails('default/reset.fr.md', '{{ user_name }}', '{{ usr_name }}')
    const out = temporaryFolder()
    const { status, stdout, stderr } = await runHere(['preview', '--out', out, '--mails', dir])
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/reset\.fr\.md:\d+: `usr_name` is not declared/)
    expect(readdirSync(out)).toEqual([])
  })

  test('shows all other mails when the samples of one are refused, and ends with 1', async () => {
    const out = temporaryFolder()
    const dir = spoiledMails('default/resetkey.it.md', '"493027"', '"49 30 27"')
    const { status, stdout } = await runHere(['preview', '--out', out, '--mails', dir, '--json'])
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, mails: builtInCount, problems: [{ line: 1 }] })
    expect(existsSync(join(out, 'default/resetkey.it.html'))).toBe(false)
    expect(existsSync(join(out, 'default/resetkey.en.html'))).toBe(true)
  })
})
