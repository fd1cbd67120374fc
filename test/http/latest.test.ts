import { describe, expect, it } from 'vitest'
import { latest } from '../../src/http/latest.ts'
import { testApp } from '../support/app.ts'

describe('what is known', () => {
  it('is fresh when nobody else has to be asked', async () => {
    let value = 0
    const ask = latest(async () => ++value)
    expect([await ask(), await ask(), await ask()]).toEqual([1, 2, 3])
  })

  it('is answered while it is found out anew, once at a time', async () => {
    const reads: PromiseWithResolvers<string>[] = []
    const ask = latest(() => {
      const read = Promise.withResolvers<string>()
      reads.push(read)
      return read.promise
    })
    const firsts = [ask(), ask(), ask()]
    reads[0]?.resolve('one')
    expect(await Promise.all(firsts)).toEqual(['one', 'one', 'one'])
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['one', 'one', 'one'])
    expect(reads).toHaveLength(2)
    reads[1]?.resolve('two')
    await expect.poll(ask).toBe('two')
  })

  it('is nothing when the first answer hangs, or fails, and comes back', async () => {
    const reads: PromiseWithResolvers<string>[] = []
    const ask = latest(() => {
      const read = Promise.withResolvers<string>()
      reads.push(read)
      return read.promise
    })
    expect(await Promise.all([ask(), ask()])).toEqual([undefined, undefined])
    expect(await ask()).toBeUndefined()
    reads[0]?.reject(new Error('no'))
    await expect.poll(() => ask().then(() => reads.length)).toBe(2)
    expect(await ask()).toBeUndefined()
    reads[1]?.resolve('well')
    await expect.poll(ask).toBe('well')
  })
})

describe('readiness', () => {
  it('does not wait for a relay that does not answer, however many ask', async () => {
    const { app, relay } = await testApp({ script: { connect: () => 'hang' } })
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => app.inject('/health/ready')))
    expect(answers.every(({ statusCode }) => statusCode === 503)).toBe(true)
    expect(answers[0]?.json()).toMatchObject({ code: 'relay_unavailable', relays: { test: 'checking' } })
    expect(relay.connections()).toBe(1)
  })
})
