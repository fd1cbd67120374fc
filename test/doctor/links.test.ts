import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examine, folder, lines } from './healthy-deployment.ts'

describe('the doctor looks at the links', () => {
  it.each([
    ['https://app.example.com', 'production', 'ok: links: https://app.example.com resolves'],
    [
      'https://gone.example.com',
      'production',
      'bad: links: gone.example.com does not exist in DNS, so its links lead nowhere → Correct link_origins in app.json. Or add the name.',
    ],
    [
      'http://app.example.com',
      'production',
      'bad: links: http://app.example.com is not https, so mails with such links are refused → Correct link_origins in app.json.',
    ],
    [
      'http://app.example.com',
      'development',
      'warn: links: http://app.example.com is not https: anybody on the way can read the link and use it → Use https, and ALLOW_HTTP_LINKS=off.',
    ],
    [
      'https://web',
      'production',
      'bad: links: https://web is no public name: recipients of the mail cannot open it → Correct link_origins in app.json.',
    ],
    ['http://web', 'development', 'ok: links: http://web is for development'],
  ] as const)('and says whether links to %s work in %s', async (origin, mode, expected) => {
    const dir = folder()
    cpSync(new URL('../../mails', import.meta.url), dir, { recursive: true })
    writeFileSync(join(dir, 'default/app.json'), JSON.stringify({ link_origins: [origin] }))
    const findings = await examine({ env: { MAILS_DIR: dir, NODE_ENV: mode } })
    const links = findings.filter(({ area }) => area === 'links')
    const said = (['ok', 'warn', 'bad'] as const).flatMap((level) =>
      lines(links, level).map((line) => `${level}: ${line}`),
    )
    expect(said).toEqual([expected])
  })
})
