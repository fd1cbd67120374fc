import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createServer } from '../../src/http/node-http.ts'
import { intake, type IntakeOptions } from '../../src/http/intake.ts'
import { openMetrics } from '../../src/metrics.ts'
import { testApp } from '../support/app.ts'
import { portOf } from '../support/port.ts'

interface Talk {
  readonly socket: Socket
  readonly text: () => string
  readonly isClosed: () => boolean
}

async function talkTo(port: number, words: string): Promise<Talk> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  let text = ''
  let closed = false
  socket.on('data', (chunk) => (text += chunk.toString()))
  socket.on('close', () => (closed = true))
  await once(socket, 'connect')
  socket.write(words)
  return { socket, text: () => text, isClosed: () => closed }
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
const count = (text: string, what: string) => text.split(what).length - 1

describe('requests that wait on a connection', () => {
  it('are answered in their order while there are at most 64', async () => {
    const { url } = await testApp()
    const { text } = await talkTo(Number(new URL(await url()).port), get('/health/live').repeat(64))
    await expect.poll(() => count(text(), '"live"')).toBe(64)
    expect(text()).not.toContain('503')
  })

  it.each(['/health/live', '/openapi.json', '/nowhere', '/%zz', '/emailservice/garbage'])(
    'beyond that are refused, and the connection is closed: %s',
    async (path) => {
      const metrics = await openMetrics()
      const { url, log } = await testApp({ routes: { metrics: { metrics } } })
      const { text, isClosed } = await talkTo(Number(new URL(await url()).port), get(path).repeat(1_600))
      await expect.poll(isClosed).toBe(true)
      const answers = text()
        .split(/(?=HTTP\/1\.1 \d)/)
        .filter((part) => part !== '')
      expect(answers).toHaveLength(65)
      expect(answers.at(-1)).toMatch(/^HTTP\/1.1 503 [^]*connection: close[^]*"code":"relay_unavailable"/i)
      expect(count(log(), '"reason":"busy"')).toBe(1)
      expect(await metrics.text()).toMatch(/status="503",code="relay_unavailable"\} 1/)
    },
  )

  it('leave a place for the first request of every other connection', async () => {
    const { url } = await testApp()
    const port = Number(new URL(await url()).port)
    const greedy = Array.from({ length: 30 }, async () => {
      const { socket } = await talkTo(port, '')
      socket.pause()
      socket.write(get('/openapi.json').repeat(1_600))
    })
    await Promise.all(greedy)
    const { text } = await talkTo(port, get('/health/live'))
    await expect.poll(text).toContain('"live"')
  })
})

describe('the bounds', () => {
  /** A server that gives no answer by itself, and what came to it. */
  async function silentServer(options: Partial<IntakeOptions>) {
    const requests = intake({ refuse: (response) => response.writeHead(503).end(), ...options })
    const open: { answer: (bytes: number) => void }[] = []
    let requestCount = 0
    const server = createServer((request, response) => {
      requestCount++
      if (!requests.admit(request, response)) return
      const answer = (bytes: number) => {
        requests.hold(response, bytes)
        response.end('a'.repeat(bytes))
      }
      open.push({ answer })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return { port: portOf(server), open, requestCount: () => requestCount }
  }

  it('hold over all connections, and let go of what has ended', async () => {
    const { port, open } = await silentServer({ maxPipelined: 10, maxPipelinedInAll: 3 })
    const first = await talkTo(port, get('/').repeat(4))
    await expect.poll(() => open.length).toBe(4)
    const second = await talkTo(port, get('/').repeat(2))
    await expect.poll(() => open.length).toBe(5)
    first.socket.destroy()
    await expect.poll(second.isClosed).toBe(true)
    const third = await talkTo(port, get('/').repeat(4))
    await expect.poll(() => open.length).toBe(9)
    for (const { answer } of open) answer(1)
    await expect.poll(() => count(third.text(), 'HTTP/1.1 200')).toBe(4)
    third.socket.write(get('/').repeat(4))
    await expect.poll(() => open.length).toBe(13)
  })

  it('leave what is behind a refused request unread', async () => {
    const { port, open, requestCount } = await silentServer({ maxPipelined: 4 })
    const { socket, isClosed } = await talkTo(port, get('/').repeat(1_000))
    await expect.poll(() => open.length).toBe(4)
    socket.write(get('/').repeat(1_000))
    await expect.poll(isClosed).toBe(true)
    expect(requestCount()).toBe(5)
  })

  it('cut off the answers that wait longest to be read', async () => {
    const { port, open } = await silentServer({ maxAnswerBytes: 20_000_000 })
    const deaf = await talkTo(port, '')
    deaf.socket.pause()
    deaf.socket.write(get('/'))
    await expect.poll(() => open.length).toBe(1)
    open[0]?.answer(15_000_000)
    const hearing = await talkTo(port, get('/'))
    await expect.poll(() => open.length).toBe(2)
    open[1]?.answer(15_000_000)
    await expect.poll(() => hearing.text().length).toBeGreaterThan(15_000_000)
    deaf.socket.resume()
    await expect.poll(deaf.isClosed).toBe(true)
    expect(deaf.text().length).toBeLessThan(15_000_000)
  })
})
