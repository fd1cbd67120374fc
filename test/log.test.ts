import { describe, expect, it } from 'vitest'
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
