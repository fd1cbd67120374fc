import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openMetrics } from '../../src/metrics.ts'
import { previewApp } from '../support/preview.ts'
import { startService } from '../support/service.ts'

const pages = [
  ['GET', '/inbox'],
  ['GET', '/inbox/messages'],
  ['DELETE', '/inbox/messages'],
  ['GET', '/inbox/messages/0123456789'],
  ['GET', '/inbox/messages/0123456789/html'],
  ['GET', '/inbox/messages/0123456789/source'],
  ['GET', '/preview'],
  ['GET', '/preview/mails'],
  ['POST', '/preview/mails/default/confirmation/en'],
  ['POST', '/preview/mails/default/confirmation/en/html'],
  ['POST', '/preview/mails/default/confirmation/en/send'],
  ['GET', '/docs'],
  ['GET', '/openapi.json'],
  ['GET', '/metrics'],
] as const

async function devApp(devHost = '127.0.0.1') {
  return previewApp({}, { devHost, docs: true, metrics: { metrics: await openMetrics() } })
}

describe('the pages of a developer', () => {
  it('do not answer to a foreign name or another site', async () => {
    const { app, logLines } = await devApp()
    const names = ['evil.example', 'evil.example:8080', 'localhost.evil.example', 'localhost@evil.example']
    const foreign: Record<string, string>[] = [
      ...names.map((host) => ({ host })),
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
    ]
    const words = (headers: Record<string, string>) =>
      'host' in headers
        ? 'in development the service answers to localhost and to HOST only'
        : 'a page of another site may not ask this'
    for (const [method, url] of pages) {
      for (const headers of foreign) {
        const answer = await app.inject({ method, url, headers: { host: 'localhost:8080', ...headers } })
        expect([url, headers, answer.statusCode]).toEqual([url, headers, 400])
        expect(answer.json()).toEqual({
          error: 1,
          msg: `Bad request: ${words(headers)}`,
          code: 'bad_request',
        })
      }
    }
    expect(new Set(logLines().map(({ reason }) => reason))).toEqual(new Set(['foreign_name', 'origin']))
  })

  it('answer to names of this machine', async () => {
    const { app } = await devApp()
    const names = [
      'localhost',
      'localhost:8080',
      'LOCALHOST',
      'shop.localhost:1',
      '127.0.0.1:8080',
      '[::1]:8080',
    ]
    for (const host of names)
      for (const url of ['/inbox', '/preview', '/docs'])
        expect((await app.inject({ url, headers: { host } })).statusCode).toBe(200)
  })

  it('answer to their own requests, to programs, and when a link of another site is followed', async () => {
    const { app } = await devApp()
    const statusFor = async (headers: Record<string, string>, method: 'GET' | 'DELETE' = 'GET') =>
      (await app.inject({ method, url: '/inbox/messages', headers: { host: 'localhost:1', ...headers } }))
        .statusCode
    expect(await statusFor({})).toBe(200)
    expect(await statusFor({ 'sec-fetch-site': 'none' })).toBe(200)
    expect(await statusFor({ 'sec-fetch-site': 'same-origin' }, 'DELETE')).toBe(204)
    expect(await statusFor({ origin: 'http://localhost:1' }, 'DELETE')).toBe(204)
    const visit = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    expect(await statusFor(visit)).toBe(200)
    expect(await statusFor(visit, 'DELETE')).toBe(400)
  })

  it('answer to addresses, and to HOST, only where they are offered to a network', async () => {
    const [home, network, named] = [await devApp(), await devApp('0.0.0.0'), await devApp('mailer.test')]
    const statusOf = async ({ app }: typeof home, host: string) =>
      (await app.inject({ url: '/inbox', headers: { host } })).statusCode
    expect(await statusOf(home, '192.0.2.7:8080')).toBe(400)
    expect(await statusOf(network, '192.0.2.7:8080')).toBe(200)
    expect(await statusOf(network, '[2001:db8::1]:8080')).toBe(200)
    expect(await statusOf(network, 'mailer.test')).toBe(400)
    expect(await statusOf(named, 'mailer.test:8080')).toBe(200)
    expect(await statusOf(named, 'evil.example')).toBe(400)
  })

  it('are what the start of the service serves: on this machine only', async () => {
    const service = await startService({ mode: 'development', env: { HOST: '' } })
    onTestFinished(async () => void (await service.stop()))
    const statusFor = (host: string, name: string) =>
      new Promise<unknown>((resolve) => {
        request({ host, port: service.port, path: '/inbox', headers: { host: name } }, (answer) => {
          answer.resume()
          resolve(answer.statusCode)
        })
          .on('error', (error: Error & { code?: string }) => resolve(error.code))
          .end()
      })
    expect(await statusFor('127.0.0.1', 'localhost')).toBe(200)
    expect(await statusFor('127.0.0.1', 'evil.example')).toBe(400)
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === 'IPv4' && !each.internal)?.address
    if (outer !== undefined) expect(await statusFor(outer, outer)).toBe('ECONNREFUSED')
  })
})
