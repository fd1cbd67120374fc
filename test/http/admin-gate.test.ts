import { describe, expect, it } from 'vitest'
import { openMetrics } from '../../src/metrics.ts'
import { testApp } from '../support/app.ts'
import { previewApp } from '../support/preview.ts'

const adminToken = 'an admin token that is long enough'

describe('wrong admin tokens', () => {
  async function scrapes() {
    const metrics = await openMetrics()
    const { app } = await testApp({ routes: { metrics: { metrics, adminToken } } })
    return async (token: string | undefined, remoteAddress = '192.0.2.1') => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      return app.inject({ url: '/metrics', headers, remoteAddress })
    }
  }

  it('are heard ten times a minute from one address, and then not even the right one is', async () => {
    const scrape = await scrapes()
    for (let count = 0; count < 10; count++) expect((await scrape(`wrong ${count}`)).statusCode).toBe(401)
    const braked = await scrape('wrong')
    expect(braked.statusCode).toBe(429)
    expect(braked.json()).toMatchObject({ code: 'rate_limited' })
    expect(Number(braked.headers['retry-after'])).toBeGreaterThan(50)
    expect((await scrape(adminToken)).statusCode).toBe(429)
  })

  it('lock out nobody else, and no token at all is no try', async () => {
    const scrape = await scrapes()
    for (let count = 0; count < 20; count++) await scrape('wrong', '2001:db8::1')
    expect((await scrape(adminToken, '2001:db8::ffff')).statusCode).toBe(429)
    expect((await scrape(adminToken, '2001:db8:0:1::1')).statusCode).toBe(200)
    for (let count = 0; count < 20; count++) expect((await scrape(undefined)).statusCode).toBe(401)
    expect((await scrape(adminToken)).statusCode).toBe(200)
  })

  it('are heard again after a minute', async () => {
    let time = Date.now()
    const { app } = await previewApp({ adminToken, now: () => time })
    const signIn = async (token: string) =>
      (await app.inject({ method: 'POST', url: '/preview/login', payload: { token } })).statusCode
    for (let count = 0; count < 10; count++) expect(await signIn('wrong')).toBe(401)
    expect(await signIn(adminToken)).toBe(429)
    time += 60_000
    expect(await signIn(adminToken)).toBe(204)
  })
})
