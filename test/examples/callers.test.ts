/** The callers in Go, PHP, Ruby and Java as a person starts them, against the real service. */
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { required, titled } from '../support/missing.ts'
import { portOf } from '../support/port.ts'
import { type Service, startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'

const examples = resolve(import.meta.dirname, '../../examples')
const callers = [
  ['Go', 'go', ['run', 'go/send.go'], 'version'],
  ['PHP', 'php', ['php/send.php'], '--version'],
  ['Ruby', 'ruby', ['ruby/send.rb'], '--version'],
  ['Java', 'java', ['java/Send.java'], '--version'],
] as const
const words = ['ada@example.com', '7hK2pQ', 'https://app.example.com/c/', 'abc.def']
let service: Service

beforeAll(async () => {
  service = await startService({ mode: 'development', env: { JWT_MAILER_SECRET: secret } })
})
afterAll(async () => void (await service?.stop()))

/** A program that runs for a moment is not worth a second compiler that makes it faster, nor threads that collect garbage. */
const briefJava = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC'

/** What the machine needs for its compilers, and the two variables of the caller. */
function environment(url: string, key = secret) {
  const { PATH, HOME, GOCACHE, JAVA_HOME } = process.env
  const compilers = { GOCACHE, GOTOOLCHAIN: 'local', JAVA_HOME, JDK_JAVA_OPTIONS: briefJava }
  return { PATH, HOME, ...compilers, JWT_MAILER_URL: url, JWT_MAILER_SECRET: key }
}

const mails = async () =>
  (await (await fetch(`${service.url}/inbox/messages`)).json()) as { subject: string }[]

describe.each(callers)('a caller in %s', (_name, program, args, version) => {
  const found = spawnSync(program, [version], { timeout: 60_000 })
  const missing = required('REQUIRE_CALLERS', found.status === 0 ? undefined : `no ${program}`)
  const callerTest = (title: string, body: () => Promise<void>) =>
    test.skipIf(missing)(titled(title, missing), body, 120_000)

  async function call(given: readonly string[], env: ReturnType<typeof environment>) {
    const child = spawn(program, [...args, ...given], { cwd: examples, env, timeout: 110_000 })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk))
    const [status] = (await once(child, 'close')) as [number]
    return { status, stdout, stderr }
  }

  callerTest('sends a mail, also when the address of the mailer ends with a slash', async () => {
    const before = (await mails()).length
    const { status, stdout } = await call(words, environment(`${service.url}/`))
    expect(JSON.parse(stdout)).toMatchObject({ error: 0, code: 'sent' })
    expect(status).toBe(0)
    expect(await mails()).toHaveLength(before + 1)
  })

  callerTest('shows a refusal and ends with an error', async () => {
    const { status, stdout } = await call(words, environment(service.url, 'another secret, as long as it'))
    expect(JSON.parse(stdout)).toMatchObject({ error: 1, code: 'token_signature' })
    expect(status).toBe(1)
  })

  callerTest('says how it is called', async () => {
    const { status, stderr } = await call(['ada@example.com'], environment(service.url))
    expect(stderr).toContain('usage')
    expect(status).not.toBe(0)
  })

  callerTest('tries again with the same token when the service says "not now"', async () => {
    const bodies: string[] = []
    const server = createServer(async (request, response) => {
      bodies.push((await request.toArray()).join(''))
      const [status, code] = bodies.length < 2 ? ([503, 'store_unknown'] as const) : ([200, 'sent'] as const)
      response.writeHead(status).end(JSON.stringify({ error: 0, msg: '', code, id: '1' }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { status, stdout } = await call(words, environment(`http://127.0.0.1:${portOf(server)}`))
    expect(JSON.parse(stdout)).toMatchObject({ code: 'sent' })
    expect(status).toBe(0)
    expect(bodies).toHaveLength(2)
    expect(bodies[0]).toBe(bodies[1])
  })
})
