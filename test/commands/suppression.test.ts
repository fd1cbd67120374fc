/** The suppression list as an operator sees it, and what the exports of relays become in it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../src/cli.ts'
import { csvRows } from '../../src/commands/csv.ts'
import { sqliteEngine } from '../../src/outbox/store/sqlite.ts'
import { secret } from '../support/tokens.ts'

let dir: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'jwt-mailer-suppression-'))
  const engine = sqliteEngine({ path: join(dir, 'outbox.sqlite') })
  await engine.open()
  await engine.close()
})
afterAll(() => rmSync(dir, { recursive: true }))

async function run(words: readonly string[], more: NodeJS.ProcessEnv = {}) {
  const base = { NODE_ENV: 'production', JWT_MAILER_SECRET: secret, MAIL_FROM: 'noreply@example.com' }
  const env = { ...base, SMTP_URL: 'smtp://localhost:25?tls=off', DATA_DIR: dir, SUPPRESSION: 'app', ...more }
  let [out, err] = ['', '']
  const terminal = {
    out: (line: string) => void (out += `${line}\n`),
    err: (line: string) => void (err += `${line}\n`),
    paint: (_style: string, text: string) => text,
  }
  const code = await runCommand(['suppression', ...words], terminal, env)
  return { code, out, err }
}
const file = (name: string, text: string) => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}

describe('jwt-mailer suppression', () => {
  it('adds an address, shows it without naming it, and lifts it', async () => {
    expect(await run(['show', 'ada@example.com'])).toMatchObject({
      code: 1,
      out: 'The address is not suppressed.\n',
    })
    expect(await run(['list'])).toMatchObject({ code: 0, out: 'No address is suppressed.\n' })
    const added = await run(['add', 'Ada@example.com', '--days', '90'])
    expect(added).toMatchObject({ code: 0, err: '' })
    expect(added.out).toMatch(/^ADDRESS \(HMAC\) .*\n[\w-]{22} +\* +added +1 +\S+Z +\S+Z\n$/)
    const shown = await run(['show', 'ada@example.com', '--json'])
    expect(JSON.parse(shown.out)).toMatchObject({ suppressed: [{ app: '*', reason: 'added' }] })
    expect((await run(['list'])).out).not.toContain('@')
    expect(await run(['lift', 'ada@example.com', '--app', 'shop'])).toMatchObject({ code: 1 })
    expect(await run(['lift', 'ada@example.com'])).toMatchObject({ code: 0, out: 'Lifted.\n' })
    expect(await run(['lift', 'ada@example.com'])).toMatchObject({ code: 1 })
  })

  it.each<[string, string, object]>([
    [
      'SendGrid',
      'status,reason,email,created\r\n5.1.1,"550 5.1.1 ""no such, user""\r\nhere",sendgrid@example.com,1700000000\r\n4.2.2,full,soft@example.com,1\r\n',
      { imported: 1, skipped: 1, invalid: 0 },
    ],
    [
      'SES',
      'ses@example.com,BOUNCE\ncomplaint@example.com,COMPLAINT',
      { imported: 1, skipped: 1, invalid: 0 },
    ],
    [
      'Postmark',
      '\ufeffEmailAddress,SuppressionReason,Origin,CreatedAt\npostmark@example.com,HardBounce,Recipient,2026-01-01\nspam@example.com,SpamComplaint,Recipient,x\nhand@example.com,ManualSuppression,Admin,x\nnobody,HardBounce,x,x\n',
      { imported: 1, skipped: 2, invalid: 1 },
    ],
  ])('imports the bounces of %s', async (name, text, counts) => {
    const path = file(`${name}.csv`, text)
    const { code, out } = await run(['import', path, '--app', 'shop', '--json'])
    expect({ code, counts: JSON.parse(out) }).toEqual({ code: 0, counts })
    const shown = await run(['show', `${name.toLowerCase()}@example.com`, '--json'])
    expect(JSON.parse(shown.out)).toMatchObject({ suppressed: [{ app: 'shop', reason: 'imported' }] })
  })

  it('says what is wrong with a file, an address or the configuration', async () => {
    expect((await run(['import', join(dir, 'missing.csv')])).err).toContain('cannot be read (ENOENT)')
    expect((await run(['import', file('other.csv', 'name,age\nada,36\n')])).err).toContain(
      'no column named email',
    )
    expect((await run(['import', file('large.csv', 'x'.repeat(70_000))])).err).toContain(
      'is this a CSV file?',
    )
    expect(await run(['add', 'ada'])).toMatchObject({ code: 2 })
    expect(await run(['add', 'ada@example.com', '--days', '0'])).toMatchObject({ code: 2 })
    expect((await run(['add', 'ada@example.com'], { SUPPRESSION: 'off' })).err).toContain(
      'SUPPRESSION is off',
    )
  })
})

it('CSV is read whatever the pieces it comes in', async () => {
  const text = 'a,"b ""c"", d",\r\n\r\n"e\nf",g\n"",h'
  const rows = [
    ['a', 'b "c", d', ''],
    ['e\nf', 'g'],
    ['', 'h'],
  ]
  for (const size of [1, 2, 3, 100]) {
    async function* pieces() {
      for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
    }
    const read: string[][] = []
    for await (const row of csvRows(pieces())) read.push(row)
    expect(read).toEqual(rows)
  }
})
