/** Owns the doctor's round: all checks side by side, each with an end, whatever the other side does. */
import { about, type Check, codeOf, type Finding } from './finding.ts'

export interface RunOptions {
  /** After this a check is broken off; what it has found by then stands. */
  readonly checkMs?: number
  /** Called with the areas still being looked at, whenever one is done. */
  readonly onProgress?: (waitingFor: readonly string[]) => void
}

/** The findings in the order of the checks. Never rejects. */
export async function runChecks(checks: readonly Check[], options: RunOptions = {}): Promise<Finding[]> {
  const { checkMs = 20_000, onProgress = () => undefined } = options
  const waitingFor = new Set(checks)
  const progress = () => onProgress([...waitingFor].map(({ area }) => area))
  progress()
  const found = await Promise.all(
    checks.map(async (check) => {
      const findings = await collect(check, checkMs)
      waitingFor.delete(check)
      progress()
      return findings
    }),
  )
  return found.flat()
}

async function collect({ area, run }: Check, checkMs: number): Promise<Finding[]> {
  const findings: Finding[] = []
  const stop = new AbortController()
  const gather = async () => {
    for await (const finding of run(stop.signal)) if (!stop.signal.aborted) findings.push(finding)
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => (timer = setTimeout(resolve, checkMs, 'late')))
  const end = await Promise.race([gather().catch((bug: unknown) => brokenOff(area, bug)), late])
  clearTimeout(timer)
  stop.abort()
  if (end === 'late') findings.push(tooLate(area, checkMs))
  else if (end) findings.push(end)
  return findings
}

function tooLate(area: string, checkMs: number): Finding {
  const says = `no end within ${checkMs / 1000} s: the other side answers too slowly`
  return about(area).bad(says, 'Run doctor again; if it stays so, ask whoever runs the other side.')
}

/** A bug of ours. Its message may quote anything, so only its kind is told. */
function brokenOff(area: string, bug: unknown): Finding {
  const kind = bug instanceof Error ? bug.name : typeof bug
  return about(area).bad(`the check itself failed (${kind}, ${codeOf(bug)})`, 'Please report this as a bug.')
}
