/** `jwt-mailer token --as`: the line that it prints is run by a shell, and the service takes it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { sampleCall } from '../../src/commands/sample-call.ts'
import { testApp } from '../support/app.ts'
import { foreignSystems, mailsOfEveryKind } from '../support/foreign.ts'

const variables = {
  supabase: ['SUPABASE_HOOK_SECRET', 'SUPABASE_URL'],
  kratos: ['KRATOS_HOOK_SECRET', 'KRATOS_URL'],
  zitadel: ['ZITADEL_SIGNING_KEY', 'ZITADEL_URL'],
  logto: ['LOGTO_HOOK_SECRET', 'LOGTO_URL'],
} as const

describe.each(foreignSystems)('token --as $system', ({ system, settings }) => {
  const [secretName, urlName] = variables[system]
  const [secret = ''] = settings.secrets
  const env = { PATH: process.env['PATH'], [secretName]: secret, [urlName]: settings.urls[0] }

  test('prints a line that asks for a mail, and shows no secret', async () => {
    const { url, relay, mails } = await testApp({
      mailsDir: mailsOfEveryKind(),
      routes: { adapters: [settings] },
    })
    const { curl } = sampleCall(
      { as: system, app: 'default', to: "o'ada@example.com", url: await url() },
      env,
    )
    expect(curl).not.toContain(secret)
    const { stdout } = await promisify(execFile)('sh', ['-c', curl], { env })
    expect(stdout).toMatch(/^HTTP\/1\.1 200 /)
    await expect.poll(() => relay.mails.length).toBe(1)
    expect((await mails())[0]?.to?.address).toBe("o'ada@example.com")
  })

  test('says which variable is missing', () => {
    expect(() =>
      sampleCall({ as: system, app: 'default', to: 'ada@example.com', url: 'http://localhost' }, {}),
    ).toThrow(`set ${secretName} to what the service has`)
  })
})

test('token --as knows no other system', () => {
  expect(() => sampleCall({ as: 'pigeon', app: 'default', to: 'a@example.com', url: '' }, {})).toThrow(
    '--as knows supabase, kratos, zitadel, logto',
  )
})
