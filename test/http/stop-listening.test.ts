import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { stopListening } from '../../src/http/stop-listening.ts'
import { portOf } from '../../src/port.ts'
import { titled } from '../support/missing.ts'

const question = 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

it('accepts what the kernel has accepted before it closes the listener', async () => {
  const server = createServer((_request, response) => response.end('answered'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const port = portOf(server)
  // by the end of this turn the kernel has accepted them all, and the program none
  const callers: Socket[] = Array.from({ length: 50 }, () => connect(port, '127.0.0.1'))
  for (const caller of callers) caller.write(question)
  const answers = callers.map((caller) => text(caller))
  await new Promise(process.nextTick)
  await stopListening(server)
  expect(server.listening).toBe(false)
  for (const answer of await Promise.all(answers)) expect(answer).toContain('answered')
})

it('answers the next request of a kept connection before it closes it', async () => {
  const server = createServer((_request, response) => {
    if (!server.listening) response.setHeader('connection', 'close')
    response.end('answered')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const caller = connect(portOf(server), '127.0.0.1')
  const all = text(caller)
  caller.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(caller, 'data')
  const stopped = stopListening(server)
  await expect.poll(() => server.listening, { interval: 1 }).toBe(false)
  caller.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect((await all).match(/answered/g)).toHaveLength(2)
  await stopped
})

const notLinux = process.platform === 'linux' ? undefined : 'not Linux'
it.skipIf(notLinux)(titled('has the kernel accept one connection at a time', notLinux), async () => {
  const server = createServer((_request, response) => response.end('answered'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const stopped = stopListening(server)
  const callers = Array.from({ length: 20 }, () => connect(portOf(server), '127.0.0.1'))
  for (const caller of callers) caller.on('error', () => undefined)
  await expect.poll(() => server.listening, { interval: 1 }).toBe(false)
  expect(callers.filter(({ connecting }) => connecting).length).toBeGreaterThan(15)
  for (const caller of callers) caller.destroy()
  await stopped
})
