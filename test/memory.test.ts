import { existsSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scriptedRelay, type ScriptedRelay } from './support/relay.ts'
import { type Service, startService } from './support/service.ts'
import { titled } from './support/missing.ts'
import { secret } from './support/tokens.ts'

const project = resolve(import.meta.dirname, '..')
const maxMebibytes = 256

const post = (path: string, rest: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${rest}`
const get = (path: string, rest = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${rest}\r\n`
const bytewise = `Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(60_000)}`
/** Fills what the kernel keeps for a connection, so that nothing behind it is answered. */
const unread = get('/openapi.json').repeat(60)

/** What strangers send without a token, on how many connections; none of them reads an answer. */
const attacks: readonly [title: string, connections: number, bytes: string][] = [
  ['questions for the description', 40, get('/openapi.json').repeat(1_600)],
  ['questions for the readiness, while the relay does not answer', 20, get('/health/ready').repeat(4_000)],
  ['paths that cannot be read', 60, 'GET /%zz HTTP/1.1\r\n\r\n'.repeat(3_000)],
  ['bodies byte by byte', 20, post('/emailservice', bytewise)],
  ['bodies byte by byte that no route reads', 20, unread + post('/nowhere', bytewise)],
  ['bodies byte by byte where none belongs', 20, unread + get('/', bytewise)],
  [
    'bodies without their end',
    3_000,
    post('/emailservice', `Content-Length: 65536\r\n\r\n${'a'.repeat(65_500)}`),
  ],
  ['heads without their end', 3_000, `GET /${'a'.repeat(12_000)} HTTP/1.1\r\nX: ${'a'.repeat(11_000)}`],
  [
    'many small headers',
    3_000,
    `GET / HTTP/1.1\r\n${Array.from({ length: 2_400 }, (_, at) => `a${at}:b\r\n`).join('')}`,
  ],
  ['long requests', 3_000, get(`/emailservice/${'a'.repeat(12_000)}`, `X: ${'b'.repeat(11_000)}\r\n`)],
]

async function sendAll(port: number, connections: number, bytes: string): Promise<Socket[]> {
  const sockets: Socket[] = []
  const buffer = Buffer.from(bytes)
  for (let count = 0; count < connections; count++) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write(buffer)
    sockets.push(socket)
    if (count % 50 === 49) await sleep(20)
  }
  return sockets
}

/** The most memory that the process has had at any time. */
function peakMebibytes(pid: number | undefined): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kibibytes) / 1024)
}

const notLinux = existsSync('/proc/self/status') ? undefined : 'no /proc'

describe.skipIf(notLinux !== undefined)(titled(`memory stays under ${maxMebibytes} MiB`, notLinux), () => {
  let relay: ScriptedRelay
  let service: Service

  beforeAll(async () => {
    const [, flags = ''] =
      /^web: node (.*) src\/start\.js$/m.exec(readFileSync(join(project, 'Procfile'), 'utf8')) ?? []
    relay = await scriptedRelay({ connect: () => 'hang' })
    service = await startService({
      mode: 'production',
      program: [...flags.split(' '), join(project, 'src/start.js')],
      env: {
        JWT_MAILER_SECRET: secret,
        MAIL_FROM: 'noreply@example.com',
        SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
      },
    })
  })
  afterAll(async () => {
    await service.stop()
    await relay.close()
  })

  it.each(attacks)('%s', async (_title, connections, bytes) => {
    const sockets = await sendAll(service.port, connections, bytes)
    for (let count = 0; count < 10; count++) {
      await sleep(100)
      const answer = await fetch(`${service.url}/health/live`)
      expect(answer.status).toBe(200)
    }
    for (const socket of sockets) socket.destroy()
    expect(peakMebibytes(service.child.pid)).toBeLessThan(maxMebibytes)
  })
})
