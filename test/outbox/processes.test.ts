import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Outbox } from '../../src/outbox/api.ts'
import { countAll, mail, open, sent, type Store, stores } from './stores.ts'

const fixture = fileURLToPath(new URL('./fixtures/process.ts', import.meta.url))

for (const { name, skipped, start } of stores)
  describe.skipIf(skipped)(`several processes on one ${name}`, () => {
    let server: Store
    let store: Store
    const children: Child[] = []
    const opened: Outbox[] = []

    beforeAll(async () => {
      server = await start()
    })
    afterAll(() => server.close())
    beforeEach(async () => {
      store = await server.another()
    })
    afterEach(async () => {
      await Promise.all(children.splice(0).map((child) => child.kill()))
      await Promise.all(opened.splice(0).map((one) => one.close()))
    })

    function run(...words: string[]): Child {
      const child = startChild([store.address, ...words])
      children.push(child)
      return child
    }
    async function replica(clock = Date.now): Promise<Outbox> {
      const one = await open(store, { clock })
      opened.push(one)
      return one
    }

    test('three that start at once on an empty store all find the schema installed', async () => {
      store = server
      const all = Array.from({ length: 3 }, () => run('settle', 'a'))
      const lines = await Promise.all(all.map((child) => child.lines()))
      expect(lines.map(([first]) => first)).toEqual(['ready', 'ready', 'ready'])
      const states = lines.map(([, state]) => state)
      expect(states.filter((state) => state === 'owner')).toHaveLength(1)
      expect(states.filter((state) => state === 'existing')).toHaveLength(2)
      expect(await countAll(await replica())).toMatchObject({ sent: 1 })
    })

    test('a mail whose owner is killed before it settles is leased by another when the lease ends', async () => {
      const child = run('accept', 'a')
      expect(await child.line()).toBe('ready')
      expect(await child.line()).toBe('owner')
      await child.kill()
      let now = Date.now()
      const other = await replica(() => now)
      expect(await other.accept(mail('a'))).toMatchObject({ state: 'existing', mail: { state: 'sending' } })
      expect(await other.leaseDue(10)).toEqual([])
      now += 61_000
      const [lease] = await other.leaseDue(10)
      expect(lease).toMatchObject({ id: 'a', attempts: 2, token: mail('a').token })
    })

    test('a mail that was settled before the kill is not sent again', async () => {
      const child = run('settle', 'a')
      while ((await child.line()) !== 'sent');
      await child.kill()
      const other = await replica(() => Date.now() + 120_000)
      expect(await other.leaseDue(10)).toEqual([])
      expect(await other.accept(mail('a'))).toMatchObject({ state: 'existing', mail: { state: 'sent' } })
    })

    test('a limit of five lets exactly five through when three processes bring thirty-two', async () => {
      const all = [run('limit', '5', '11'), run('limit', '5', '11'), run('limit', '5', '10')]
      const lines = await Promise.all(all.map((child) => child.lines()))
      expect(lines.reduce((sum, [, owned]) => sum + Number(owned), 0)).toBe(5)
      expect(await countAll(await replica())).toMatchObject({ sending: 5 })
    })

    test('three that send six hundred mails side by side lose none', async () => {
      const all = ['x', 'y', 'z'].map((prefix) => run('flood', prefix, '200'))
      const lines = await Promise.all(all.map((child) => child.lines()))
      expect(new Set(lines.flatMap(([, ...ids]) => ids)).size).toBe(600)
      expect(await countAll(await replica())).toMatchObject({ sent: 600, sending: 0 })
    })

    test('two that are killed again and again in full flight lose no mail they accepted', async () => {
      const now = Date.now()
      const watcher = await replica(() => now + 120_000)
      const promised: unknown[] = []
      for (let round = 0; round < 3; round += 1) {
        const pair = ['p', 'q'].map((prefix) => run('flood', `${prefix}${round}-`, '100000'))
        for (const child of pair) {
          expect(await child.line()).toBe('ready')
          for (let count = 0; count < 20; count += 1) promised.push(await child.line())
        }
        for (const child of pair) {
          await child.kill()
          promised.push(...(await child.lines()))
        }
      }
      expect(promised.length).toBeGreaterThan(100)
      for (let due = await watcher.leaseDue(100); due.length > 0; due = await watcher.leaseDue(100))
        await Promise.all(due.map((one) => watcher.settle(one, sent)))
      const found = await Promise.all(promised.map((id) => watcher.find(String(id))))
      expect(found.filter((one) => one?.state !== 'sent')).toEqual([])
    })
  })

interface Child {
  /** The next thing it says. */
  line(): Promise<unknown>
  /** Everything it says until it ends by itself. */
  lines(): Promise<unknown[]>
  /** Dead when this resolves; what it said before can still be read. */
  kill(): Promise<void>
}

function startChild(words: readonly string[]): Child {
  const child: ChildProcess = spawn(process.execPath, [fixture, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const said = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]()
  const line = async () => {
    const { done, value } = await said.next()
    if (done === true) throw new Error('it ended')
    return JSON.parse(value) as unknown
  }
  return {
    line,
    async lines() {
      const all: unknown[] = []
      for (let next = await said.next(); next.done !== true; next = await said.next())
        all.push(JSON.parse(next.value))
      await exited
      return all
    },
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
