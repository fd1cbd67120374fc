import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { acceptJson, bodyReader } from '../../src/http/bodies.ts'
import { acceptRawBodies, emptyBody, type RawBody } from '../../src/http/raw-body.ts'
import { testApp } from '../support/app.ts'
import { portOf } from '../support/port.ts'
import { sampleClaims, signToken } from '../support/tokens.ts'

/** An app with one route for JSON and one for bytes, whose unfinished bodies share `maxBytes`. */
async function echoApp(maxBytes?: number) {
  const app = Fastify({ bodyLimit: 64 * 1024 })
  app.decorate('readBody', bodyReader(maxBytes))
  app.removeAllContentTypeParsers()
  app.setErrorHandler((error: Error & { code: string }, _request, reply) =>
    reply.code(error.code === 'too_large' ? 413 : error.code === 'bad_request' ? 400 : 503).send(error.code),
  )
  await app.register(async (plugin) => {
    acceptJson(plugin)
    plugin.post('/json', ({ body }) => body)
  })
  await app.register(async (plugin) => {
    acceptRawBodies(plugin)
    plugin.post<{ Body: RawBody }>('/raw', ({ body = emptyBody }) => ({ hex: body.toString('hex') }))
    plugin.post<{ Body: RawBody }>('/size', ({ body = emptyBody }) => ({ size: body.length }))
    plugin.post('/small', { bodyLimit: 10 }, () => 'taken')
  })
  onTestFinished(() => app.close())
  return app
}

async function socketTo(app: FastifyInstance): Promise<Socket & { text: () => string }> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect(portOf(app.server), '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  let text = ''
  socket.on('data', (chunk) => (text += chunk.toString()))
  await once(socket, 'connect')
  return Object.assign(socket, { text: () => text })
}

const chunked = (path: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
const inPieces = (text: string) => [...text].map((piece) => `1\r\n${piece}\r\n`).join('')

describe('a body', () => {
  it('is the same whatever pieces it comes in', async () => {
    const app = await echoApp()
    const text = JSON.stringify({ words: 'a'.repeat(5_000) })
    const socket = await socketTo(app)
    socket.write(`${chunked('/json')}${inPieces(text)}0\r\n\r\n`)
    await expect.poll(socket.text).toMatch(/\}$/)
    expect(socket.text()).toContain(`\r\n\r\n${text}`)
  })

  it('of a mail may come byte by byte', async () => {
    const { app, relay } = await testApp()
    const socket = await socketTo(app)
    const body = JSON.stringify({ token: signToken(sampleClaims({ user_name: 'Zoë' })) })
    socket.write(`${chunked('/emailservice')}${inPieces(body)}0\r\n\r\n`)
    await expect.poll(socket.text).toContain('"sent"')
    expect(relay.mails).toHaveLength(1)
  })

  it('that is not announced is empty', async () => {
    const { app } = await testApp()
    const socket = await socketTo(app)
    socket.write('POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n')
    await expect.poll(socket.text).toMatch(/^HTTP\/1.1 400 [^]*"code":"bad_request"/)
  })

  it.each([
    ['announced', 'Content-Length: 65537', ''],
    ['in pieces', 'Transfer-Encoding: chunked', `10001\r\n${'a'.repeat(65_537)}\r\n`],
  ])('that is too large is refused before it ends: %s', async (_title, header, body) => {
    const { app } = await testApp()
    const socket = await socketTo(app)
    socket.write(
      `POST /emailservice HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${header}\r\n\r\n${body}`,
    )
    await expect.poll(socket.text).toMatch(/^HTTP\/1.1 413 [^]*too_large/)
    expect(socket.text().toLowerCase()).toContain('connection: close')
  })

  it('gives its place to newer ones when all that are unfinished take too much', async () => {
    const app = await echoApp(9_000)
    const unfinished = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = await socketTo(app)
        socket.write(`${chunked('/json')}${inPieces('"'.padEnd(2_500, 'a'))}`)
        return socket
      }),
    )
    const refused = () => unfinished.filter((socket) => socket.text().startsWith('HTTP/1.1 503')).length
    // two have room: each holds 2,500 bytes in some 4,100
    await expect.poll(refused).toBe(3)
    const whole = await socketTo(app)
    whole.write(`${chunked('/json')}${inPieces('"'.padEnd(2_500, 'b'))}1\r\n"\r\n0\r\n\r\n`)
    await expect.poll(whole.text).toMatch(/^HTTP\/1.1 200 /)
    expect(refused()).toBe(4)
  })

  it('that a client breaks off leaves its place to others', async () => {
    const app = await echoApp(4_500)
    for (let count = 0; count < 10; count++) {
      const socket = await socketTo(app)
      socket.write(`${chunked('/json')}${inPieces('"'.padEnd(2_500, 'a'))}`)
      await new Promise((written) => setTimeout(written, 20))
      socket.destroy()
    }
    const kept = await socketTo(app)
    kept.write(`${chunked('/json')}${inPieces('"'.padEnd(2_500, 'a'))}`)
    await new Promise((written) => setTimeout(written, 20))
    kept.write('1\r\n"\r\n0\r\n\r\n')
    await expect.poll(kept.text).toMatch(/^HTTP\/1.1 200 /)
  })
})

describe('a raw body', () => {
  it.each([
    ['with a type', { 'content-type': 'application/json' }],
    ['with a type nobody knows', { 'content-type': 'x/y; z=1' }],
    ['without a type', {}],
  ])('arrives byte by byte: %s', async (_title, headers) => {
    const app = await echoApp()
    const payload = Buffer.from('00ff7b220d0a', 'hex')
    const answer = await app.inject({ method: 'POST', url: '/raw', headers, payload })
    expect(answer.json()).toEqual({ hex: '00ff7b220d0a' })
  })

  it('may be empty', async () => {
    const app = await echoApp()
    expect((await app.inject({ method: 'POST', url: '/raw' })).json()).toEqual({ hex: '' })
  })

  it('may have 256 KiB, or what its route says', async () => {
    const app = await echoApp()
    const status = async (url: string, bytes: number) =>
      (await app.inject({ method: 'POST', url, payload: Buffer.alloc(bytes) })).statusCode
    expect(await status('/size', 256 * 1024)).toBe(200)
    expect(await status('/size', 256 * 1024 + 1)).toBe(413)
    expect(await status('/small', 10)).toBe(200)
    expect(await status('/small', 11)).toBe(413)
  })
})
