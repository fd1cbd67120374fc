import { describe, expect, it } from 'vitest'
import { about, type Check } from '../../src/doctor/finding.ts'
import { runChecks } from '../../src/doctor/run.ts'

const never = () => new Promise<never>(() => {})

describe("the doctor's round", () => {
  it('tells the findings in the order of the checks, whichever ends first', async () => {
    const slow: Check = {
      area: 'slow',
      async *run() {
        await new Promise((resolve) => setTimeout(resolve, 30))
        yield about('slow').ok('well')
      },
    }
    const quick: Check = { area: 'quick', run: () => [about('quick').ok('well')] }
    const waiting: string[] = []
    const findings = await runChecks([slow, quick], { onProgress: (areas) => waiting.push(areas.join(' ')) })
    expect(findings.map(({ area }) => area)).toEqual(['slow', 'quick'])
    expect(waiting).toEqual(['slow quick', 'slow', ''])
  })

  it('ends although a check does not, with what that check had found', async () => {
    let aborted = false
    const stuck: Check = {
      area: 'stuck',
      async *run(signal) {
        signal.addEventListener('abort', () => (aborted = true))
        yield about('stuck').ok('begun')
        await never()
      },
    }
    const findings = await runChecks([stuck], { checkMs: 50 })
    expect(findings).toEqual([
      { area: 'stuck', level: 'ok', says: 'begun' },
      expect.objectContaining({
        area: 'stuck',
        level: 'bad',
        says: expect.stringContaining('no end within 0.05 s'),
      }),
    ])
    expect(aborted).toBe(true)
  })

  it('goes on when a check has a bug, and does not show its message', async () => {
    const broken: Check = {
      area: 'broken',
      run: () => {
        throw new TypeError('cannot read secret hunter2')
      },
    }
    const well: Check = { area: 'well', run: () => [about('well').ok('fine')] }
    const findings = await runChecks([broken, well])
    expect(findings.map(({ level }) => level)).toEqual(['bad', 'ok'])
    expect(JSON.stringify(findings)).not.toContain('hunter2')
  })
})
