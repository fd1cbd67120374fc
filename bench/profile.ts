/** Owns the reading of a V8 CPU profile: which functions the time went to themselves, not through their callees. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface SelfTime {
  readonly where: string
  readonly ms: number
  /** Of the time that was not idle. */
  readonly share: number
}

/** The `top` functions of the newest profile in `dir`; positions are relative to `root`. */
export function readSelfTimes(dir: string, root: string, top = 25): SelfTime[] {
  const [newest] = readdirSync(dir)
    .filter((name) => name.endsWith('.cpuprofile'))
    .toSorted()
    .toReversed()
  if (!newest) throw new Error(`no profile in ${dir}: the service did not end by itself`)
  const { nodes, samples, timeDeltas }: Profile = JSON.parse(readFileSync(join(dir, newest), 'utf8'))
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame, root)]))
  const times = new Map<string, number>()
  for (const [i, id] of samples.entries()) {
    const where = places.get(id) ?? ''
    times.set(where, (times.get(where) ?? 0) + (timeDeltas[i] ?? 0) / 1000)
  }
  times.delete('(idle)')
  const total = [...times.values()].reduce((a, b) => a + b, 0)
  return [...times]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, top)
    .map(([where, ms]) => ({ where, ms, share: ms / total }))
}

function placeOf(frame: Profile['nodes'][number]['callFrame'], root: string): string {
  const name = frame.functionName || '(anonymous)'
  if (!frame.url) return name
  const file = frame.url.replace('file://', '').replace(`${root}/`, '')
  return `${name} ${file}:${frame.lineNumber + 1}`
}
