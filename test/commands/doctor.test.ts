import { describe, expect, it } from 'vitest'
import { runCommand } from '../../src/cli.ts'
import { deployment } from '../doctor/healthy-deployment.ts'

/** Calls `jwt-mailer doctor` with these words in this environment. */
async function doctor(env: NodeJS.ProcessEnv, ...words: string[]) {
  const out: string[] = []
  const terminal = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void out.push(line),
    paint: (_style: string, text: string) => text,
  }
  const code = await runCommand(['doctor', ...words], terminal, env)
  return { out: out.join('\n'), code }
}

describe('jwt-mailer doctor', () => {
  it('ends with 0 when nothing is ✗, and says so in JSON as well', async () => {
    const { options } = await deployment()
    const { out, code } = await doctor(options.env, '--json', '--dns', options.dns, '--dkim-selector', 'key1')
    expect(code).toBe(0)
    const { ok, findings } = JSON.parse(out)
    expect(ok).toBe(true)
    expect(findings).toContainEqual({ area: 'relay mailertogo', level: 'ok', says: 'login accepted (PLAIN)' })
  })

  it('ends with 1 when something is ✗', async () => {
    const { options } = await deployment({ env: { MAILERTOGO_SMTP_PASSWORD: 'wrong-password' } })
    const { out, code } = await doctor(options.env, '--dns', options.dns, '--dkim-selector', 'key1')
    expect(code).toBe(1)
    expect(out).toContain('✗                           login refused: 535')
    expect(out).not.toContain('wrong-password')
    expect(out).toMatch(/1 ✗ to mend, \d ! to look at$/)
  })

  it('refuses options it cannot use with a sentence, and examines nothing', async () => {
    for (const [words, sentence] of [
      [['--dns', 'dns.example.com'], 'It must be an IP address, with or without a port.'],
      [['--send-to', 'Ada <ada@example.com>'], 'It must be one plain address, such as me@example.com.'],
      [
        ['--dkim-selector', 's1._domainkey.example.com/'],
        'It must be the part before ._domainkey, such as s1.',
      ],
    ] as const) {
      const { out, code } = await doctor({}, ...words)
      expect(out).toContain(sentence)
      expect(code).toBe(2)
      expect(out).not.toContain('✓')
    }
  })
})
