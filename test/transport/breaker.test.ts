import { describe, expect, it } from 'vitest'
import { breaker } from '../../src/transport/breaker.ts'

function clocked(random = 0) {
  let time = 1_000_000
  const guard = breaker({
    failures: 3,
    pauseMs: 1_000,
    maxPauseMs: 4_000,
    now: () => time,
    random: () => random,
  })
  return {
    guard,
    pass: (ms: number) => (time += ms),
    now: () => time,
    fail: (times = 1) => {
      for (let count = 0; count < times; count++) guard.failed(time)
    },
  }
}

describe('a breaker', () => {
  it('opens after failures in a row, not after single ones', () => {
    const { guard, fail } = clocked()
    fail(2)
    guard.succeeded()
    fail(2)
    expect(guard.state()).toBe('closed')
    expect(guard.admit()).toBe(true)
    fail()
    expect(guard.state()).toBe('open')
    expect(guard.admit()).toBe(false)
  })

  it('lets one mail through after the pause, and all when that one gets through', () => {
    const { guard, fail, pass } = clocked()
    fail(3)
    pass(999)
    expect(guard.ready()).toBe(false)
    pass(1)
    expect([guard.ready(), guard.admit(), guard.admit(), guard.admit()]).toEqual([true, true, false, false])
    expect(guard.state()).toBe('half_open')
    guard.succeeded()
    expect([guard.admit(), guard.admit(), guard.state()]).toEqual([true, true, 'closed'])
  })

  it('pauses twice as long after each failed trial, up to a limit, and short again after a success', () => {
    const { guard, fail, pass } = clocked()
    const pauses: number[] = []
    fail(3)
    for (let trial = 0; trial < 4; trial++) {
      let waited = 0
      for (; !guard.ready(); waited += 100) pass(100)
      pauses.push(waited)
      guard.admit()
      fail()
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 4_000])
    pass(4_000)
    guard.admit()
    guard.succeeded()
    fail(3)
    pass(1_000)
    expect(guard.ready()).toBe(true)
  })

  it('shortens pauses by chance, so that replicas do not come back in step', () => {
    const { guard, fail, pass } = clocked(1)
    fail(3)
    pass(800)
    expect(guard.ready()).toBe(true)
  })

  it('hears no news in the end of a mail that began before the last change', () => {
    const { guard, fail, pass, now } = clocked()
    const before = now()
    pass(1)
    fail(3)
    pass(1_000)
    guard.admit()
    guard.failed(before)
    guard.abandoned(before)
    expect(guard.state()).toBe('half_open')
    guard.succeeded()
    for (let count = 0; count < 5; count++) guard.failed(before)
    expect(guard.state()).toBe('closed')
  })

  it('closes also by a mail that was already on its way', () => {
    const { guard, fail } = clocked()
    fail(3)
    guard.succeeded()
    expect(guard.state()).toBe('closed')
  })

  it('gives the trial to the next mail when the first one never came to the relay', () => {
    const { guard, fail, pass, now } = clocked()
    fail(3)
    pass(1_000)
    expect(guard.admit()).toBe(true)
    guard.abandoned(now())
    expect(guard.admit()).toBe(true)
    expect(guard.admit()).toBe(false)
  })

  it('does not wait for the end of the pause when somebody has seen the relay well', () => {
    const { guard, fail } = clocked()
    fail(3)
    guard.hint()
    expect([guard.admit(), guard.admit()]).toEqual([true, false])
  })
})
