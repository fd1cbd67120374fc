/** What the store answers to many: once at a time, seldom, and nobody waits for what hangs. */
import { expect, it } from 'vitest'
import { storeAnswer } from '../src/store-answer.ts'

function shared() {
  const reads: PromiseWithResolvers<string>[] = []
  const state = { now: 0, trouble: undefined as string | undefined, reads }
  const ask = storeAnswer({
    read: () => {
      const read = Promise.withResolvers<string>()
      reads.push(read)
      return read.promise
    },
    trouble: () => state.trouble,
    restMs: 1_000,
    waitMs: 1,
    now: () => state.now,
  })
  return { ask, state, reads }
}

it('is read once for all who ask, and again after its rest', async () => {
  const { ask, state, reads } = shared()
  const asked = [ask(), ask()]
  reads[0]?.resolve('one')
  expect(await Promise.all(asked)).toEqual(['one', 'one'])
  state.now = 999
  expect(await ask()).toBe('one')
  state.now = 1_000
  const again = ask()
  reads[1]?.resolve('two')
  expect([await again, reads.length]).toEqual(['two', 2])
})

it('rests for longer when it took long', async () => {
  const { ask, state, reads } = shared()
  const slow = ask()
  state.now = 100
  reads[0]?.resolve('slow')
  expect(await slow).toBe('slow')
  state.now = 2_099
  expect([await ask(), reads.length]).toEqual(['slow', 1])
  state.now = 2_100
  void ask()
  expect(reads).toHaveLength(2)
})

it('is nothing while it hangs, and is not asked for a second time', async () => {
  const { ask, state, reads } = shared()
  expect([await ask(), await ask()]).toEqual([undefined, undefined])
  state.now = 1e9
  expect([await ask(), reads.length]).toEqual([undefined, 1])
  reads[0]?.resolve('late')
  await expect.poll(ask).toBe('late')
})

it('is nothing when it fails, and while the store is known to be away', async () => {
  const { ask, state, reads } = shared()
  const asked = ask()
  reads[0]?.reject(new Error('no'))
  expect(await asked).toBeUndefined()
  Object.assign(state, { now: 1_000, trouble: 'down' })
  expect([await ask(), reads.length]).toEqual([undefined, 1])
  state.trouble = undefined
  const back = ask()
  reads[1]?.resolve('well')
  expect(await back).toBe('well')
})
