import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { describeError } from '../src/log.ts'

describe('an error in the log', () => {
  it('tells its class, its code and its place', () => {
    const error = Object.assign(new RangeError('out of it'), { code: 'ERR_PLACE' })
    expect(describeError(error)).toMatchObject({ type: 'RangeError', code: 'ERR_PLACE' })
    expect(describeError(error).frames?.[0]).toMatch(/^at .*log\.test\.ts:\d+:\d+/)
  })

  it('tells nothing of its message, also where that looks like a place', () => {
    const error = new TypeError(
      'hunter2 is wrong\n    at hunter2 (https://app.example.com/confirm/hunter2:1:1)',
    )
    expect(JSON.stringify(describeError(error))).not.toContain('hunter2')
    expect(describeError(error).frames?.[0]).toMatch(/log\.test\.ts/)
  })

  it('tells only the type of what is thrown and no error', () => {
    expect(describeError('hunter2')).toEqual({ type: 'string' })
    expect(describeError({ token: 'hunter2' })).toEqual({ type: 'object' })
  })
})

describe('a log that nobody reads', () => {
  it('loses lines instead of filling the memory', async () => {
    const logModule = new URL('../src/log.ts', import.meta.url).href
    const program = `
      const { openLog } = await import(${JSON.stringify(logModule)})
      const log = await openLog('info')
      for (let round = 0; round < 300; round++) {
        for (let line = 0; line < 1_000; line++) log.info({ text: 'x'.repeat(300) }, 'a line')
        await new Promise(setImmediate)
      }
      process.send(process.memoryUsage().rss)`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [rss] = await once(child, 'message')
    expect(Number(rss)).toBeLessThan(200 * 1024 * 1024)
  })
})
