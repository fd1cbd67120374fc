import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { MailerError } from '../../src/errors.ts'
import { type BatchOptions, batcher } from '../../src/outbox/group-commit.ts'

/** A batcher over a store that doubles numbers, `held` back, and refuses a number for which `check` throws. */
function doubling(
  options: Partial<BatchOptions<number, number>> & {
    held?: Promise<void>
    check?: (n: number) => void
  } = {},
) {
  const { held, check = () => undefined, ...bounds } = options
  const batches: number[][] = []
  const starts: number[] = []
  const batch = batcher<number, number>({
    weigh: (bytes) => bytes,
    ...bounds,
    run: async (numbers) => {
      starts.push(performance.now())
      batches.push([...numbers])
      await held
      for (const n of numbers) check(n)
      return numbers.map((n) => n * 2)
    },
  })
  return { batch, batches, starts }
}
const range = (count: number) => Array.from({ length: count }, (_, n) => n)

test('operations of one turn of the event loop share a transaction, and each gets its own answer', async () => {
  const { batch, batches } = doubling()
  expect(await Promise.all([1, 2, 3].map((n) => batch.submit(n)))).toEqual([2, 4, 6])
  expect(batches).toEqual([[1, 2, 3]])
})

test('operations that arrive while a transaction runs share the next one', async () => {
  const hold = Promise.withResolvers<void>()
  const { batch, batches } = doubling({ held: hold.promise })
  const first = batch.submit(1)
  await expect.poll(() => batches).toHaveLength(1)
  const later = [2, 3].map((n) => batch.submit(n))
  hold.resolve()
  await Promise.all([first, ...later])
  expect(batches).toEqual([[1], [2, 3]])
})

test('a lone operation does not wait for company', async () => {
  const { batch } = doubling()
  let turns = 0
  let next: NodeJS.Immediate | undefined
  const countTurn = () => {
    turns += 1
    next = setImmediate(countTurn)
  }
  countTurn()
  const each: number[] = []
  for (let n = 0; n < 50; n += 1) {
    const from = turns
    await batch.submit(n)
    each.push(turns - from)
  }
  clearImmediate(next)
  // the shortest timer lasts for many turns of the event loop
  expect(Math.max(...each)).toBeLessThanOrEqual(2)
})

test('an operation that can wait joins the transaction of the next urgent one', async () => {
  const { batch, batches } = doubling()
  const delayed = batch.submit(1, 60_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(batches).toEqual([])
  expect(await Promise.all([batch.submit(2), delayed])).toEqual([4, 2])
  expect(batches).toEqual([[1, 2]])
})

test('an operation that can wait has its own transaction when no urgent one comes, at once when the batcher is to become idle', async () => {
  expect(await doubling().batch.submit(1, 1)).toBe(2)
  const { batch, batches } = doubling()
  const delayed = batch.submit(1, 60_000)
  await batch.idle()
  expect(batches).toEqual([[1]])
  expect(await delayed).toBe(2)
})

test('operations that can wait do so as long as the most hurried of them, and not when many are there', async () => {
  const { batch, batches } = doubling()
  expect(await Promise.all([batch.submit(1, 60_000), batch.submit(2, 1), batch.submit(3, 60_000)])).toEqual([
    2, 4, 6,
  ])
  await Promise.all(range(32).map((n) => batch.submit(n, 60_000)))
  expect(batches).toEqual([[1, 2, 3], range(32)])
})

test('operations that can wait and arrive while a transaction runs wait for an urgent one afterwards', async () => {
  const hold = Promise.withResolvers<void>()
  const { batch, batches } = doubling({ held: hold.promise })
  const first = batch.submit(1)
  await expect.poll(() => batches).toHaveLength(1)
  const delayed = [2, 3].map((n) => batch.submit(n, 60_000))
  hold.resolve()
  await first
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(batches).toEqual([[1]])
  await batch.idle()
  expect(await Promise.all(delayed)).toEqual([4, 6])
  expect(batches).toEqual([[1], [2, 3]])
})

test('an operation whose delay ends while a transaction runs is carried out after it', async () => {
  const hold = Promise.withResolvers<void>()
  const { batch, batches } = doubling({ held: hold.promise })
  const first = batch.submit(1)
  await expect.poll(() => batches).toHaveLength(1)
  const delayed = batch.submit(2, 1)
  await new Promise((resolve) => setTimeout(resolve, 10))
  hold.resolve()
  expect(await Promise.all([first, delayed])).toEqual([2, 4])
  expect(batches).toEqual([[1], [2]])
})

test('finished transactions leave nothing in memory', async () => {
  const { batch, batches } = doubling({ gatherMs: 0 })
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const held = async (transactions: number) => {
    for (let count = 0; count < transactions; count++) await batch.submit(1)
    batches.length = 0
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await held(2_000)
  // at 64 bytes each it was more than a megabyte; what the program itself keeps meanwhile, it keeps once
  const first = await held(20_000)
  expect(Math.min(first - before, (await held(20_000)) - first)).toBeLessThan(400_000)
})

test('under load a transaction waits for more operations', async () => {
  const { batch, batches, starts } = doubling({ gatherMs: 100 })
  await Promise.all(range(250).map((n) => batch.submit(n)))
  await batch.submit(3)
  expect(batches).toEqual([range(250), [3]])
  expect(starts[1]! - starts[0]!).toBeGreaterThan(50)
})

test('a batch ends at its number of operations and at its bytes', async () => {
  const many = doubling({ maxOperations: 4 })
  await Promise.all(range(10).map((n) => many.batch.submit(n)))
  expect(many.batches.map(({ length }) => length)).toEqual([4, 4, 2])
  const heavy = doubling({ maxBytes: 10 })
  await Promise.all([6, 4, 1, 20, 3].map((n) => heavy.batch.submit(n)))
  expect(heavy.batches).toEqual([[6, 4], [1], [20], [3]])
})

test('an operation at fault fails alone', async () => {
  const { batch } = doubling({
    check(n) {
      if (n === 2) throw new Error('two')
    },
  })
  const answers = await Promise.allSettled([1, 2, 3].map((n) => batch.submit(n)))
  expect(
    answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : String(answer.reason))),
  ).toEqual([2, 'Error: two', 6])
})

test('when the store is unavailable all fail together, and none is tried again', async () => {
  const { batch, batches } = doubling({
    check() {
      throw new MailerError('store_unavailable')
    },
  })
  const answers = await Promise.allSettled([1, 2, 3].map((n) => batch.submit(n)))
  expect(answers.every(({ status }) => status === 'rejected')).toBe(true)
  expect(batches).toEqual([[1, 2, 3]])
})

test('a full queue refuses at once, by number and by bytes', async () => {
  const busy = { code: 'store_unavailable', reason: 'busy' }
  const { batch } = doubling({ maxWaiting: 3 })
  const taken = range(3).map((n) => batch.submit(n))
  await expect(batch.submit(4)).rejects.toMatchObject(busy)
  await Promise.all(taken)
  expect(await batch.submit(4)).toBe(8)
  const heavy = doubling({ maxWaitingBytes: 100 })
  const first = heavy.batch.submit(60)
  await expect(heavy.batch.submit(60)).rejects.toMatchObject(busy)
  expect(await first).toBe(120)
  expect(await heavy.batch.submit(60)).toBe(120)
})

test('two hundred answers come a few in each turn of the event loop', async () => {
  const { batch, batches } = doubling()
  const perTurn = [0]
  const tick = () => {
    perTurn.push(0)
    turning = setImmediate(tick)
  }
  let turning = setImmediate(tick)
  const answered = range(200).map(async (n) => {
    await batch.submit(n)
    perTurn[perTurn.length - 1] = (perTurn.at(-1) ?? 0) + 1
  })
  await Promise.all(answered)
  clearImmediate(turning)
  expect(batches).toHaveLength(1)
  expect(perTurn.reduce((sum, count) => sum + count, 0)).toBe(200)
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(64)
})

test('it is idle when every operation has been answered', async () => {
  const { batch } = doubling({ held: new Promise(setImmediate) })
  let answered = 0
  for (const n of range(3)) void batch.submit(n).then(() => (answered += 1))
  await batch.idle()
  await batch.idle()
  expect(answered).toBe(3)
})
