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

/** Both lists in falling order. Positions are relative to the checkout. */
export interface SelfTimes {
  readonly functions: SelfTime[]
  /** A package of node_modules, `src`, or a part of Node. */
  readonly places: SelfTime[]
}

/** Reads the newest profiles in `dir`, of all threads of the service in `root`. */
export function readSelfTimes(dir: string, root: string): SelfTimes {
  const functions = new Map<string, number>()
  const places = new Map<string, number>()
  for (const { nodes, samples, timeDeltas } of newestProfiles(dir)) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    for (const [i, id] of samples.entries()) {
      const frame = frames.get(id)
      if (!frame || frame.functionName === '(idle)') continue
      const file = frame.url.replace('file://', '').replace(`${root}/`, '')
      const ms = (timeDeltas[i] ?? 0) / 1000
      add(
        functions,
        `${frame.functionName || '(anonymous)'} ${file && `${file}:${frame.lineNumber + 1}`}`,
        ms,
      )
      add(places, placeOf(file, frame.functionName), ms)
    }
  }
  return { functions: sorted(functions), places: sorted(places) }
}

/** Node writes one file for each thread, `CPU.<day>.<time>.<pid>.<thread>.<number>.cpuprofile`. */
function newestProfiles(dir: string): Profile[] {
  const names = readdirSync(dir).filter((name) => name.endsWith('.cpuprofile'))
  const pidOf = (name: string) => name.split('.')[3]
  const newest = names.toSorted().at(-1)
  if (newest === undefined) throw new Error(`no profile in ${dir}: the service did not end by itself`)
  return names
    .filter((name) => pidOf(name) === pidOf(newest))
    .map((name): Profile => JSON.parse(readFileSync(join(dir, name), 'utf8')))
}

function placeOf(file: string, functionName: string): string {
  if (functionName.startsWith('(')) return functionName
  if (!file) return 'native code'
  const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  if (name) return name
  return file.startsWith('node:') ? file.split('/').slice(0, 2).join('/') : (file.split('/')[0] ?? file)
}

function add(sums: Map<string, number>, key: string, ms: number): void {
  sums.set(key, (sums.get(key) ?? 0) + ms)
}

function sorted(sums: Map<string, number>): SelfTime[] {
  const total = [...sums.values()].reduce((a, b) => a + b, 0)
  const rows = [...sums].map(([where, ms]) => ({ where, ms, share: ms / total }))
  return rows.toSorted((a, b) => b.ms - a.ms)
}
