import { expect, test } from 'vitest'
import { pause, within } from '../src/timers.ts'

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
const never = () => new Promise<never>(() => undefined)

test('a promise that settles in time gives its value or its error, and its timer is cleared', async () => {
  const before = timers()
  expect(await within(60_000, Promise.resolve(7))).toBe(7)
  await expect(within(60_000, Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(timers()).toBe(before)
})

test('a promise that takes longer gives undefined, and may reject later without harm', async () => {
  expect(await within(5, never())).toBeUndefined()
  const { promise, reject } = Promise.withResolvers<number>()
  expect(await within(5, promise)).toBeUndefined()
  reject(new Error('late'))
  await new Promise(setImmediate)
})

test('a pause ends early when it is aborted, and at once when it was before', async () => {
  const stop = new AbortController()
  const paused = pause(60_000, stop.signal)
  stop.abort()
  await paused
  await pause(60_000, stop.signal)
})
