/** Owns how the checks are run: side by side, each for a limited time, whatever the other side does. */
import { within } from '../timers.ts'
import { about, type Check, codeOf, type Finding } from './finding.ts'

/** With the start of the process, `jwt-mailer doctor` is through in less than 30 s. */
export const usualCheckMs = 20_000

export interface RunOptions {
  /** After this a check is stopped; what it has found by then is kept. */
  readonly checkMs?: number
  /** Called with the areas still being looked at, whenever one is done. */
  readonly onProgress?: (waitingFor: readonly string[]) => void
}

/** The findings in the order of the checks. Never rejects. */
export async function runChecks(checks: readonly Check[], options: RunOptions = {}): Promise<Finding[]> {
  const { checkMs = usualCheckMs, onProgress = () => undefined } = options
  const waitingFor = new Set(checks)
  const progress = () => onProgress([...waitingFor].map(({ area }) => area))
  progress()
  const found = await Promise.all(
    checks.map(async (check) => {
      const findings = await runCheck(check, checkMs)
      waitingFor.delete(check)
      progress()
      return findings
    }),
  )
  return found.flat()
}

async function runCheck({ area, run }: Check, checkMs: number): Promise<Finding[]> {
  const findings: Finding[] = []
  const stop = new AbortController()
  const collectFindings = async () => {
    try {
      for await (const finding of run(stop.signal)) if (!stop.signal.aborted) findings.push(finding)
    } catch (bug) {
      if (!stop.signal.aborted) findings.push(checkFailed(area, bug))
    }
    return 'done'
  }
  const end = await within(checkMs, collectFindings())
  stop.abort()
  return end === 'done' ? findings : [...findings, checkTookTooLong(area, checkMs)]
}

function checkTookTooLong(area: string, checkMs: number): Finding {
  const says = `no end within ${checkMs / 1000} s: the other side answers too slowly`
  return about(area).bad(says, 'Run doctor again; if it stays so, ask the operator of the other side.')
}

/** A bug of ours. Its message may quote anything, so only its class and code are shown. */
function checkFailed(area: string, bug: unknown): Finding {
  const kind = bug instanceof Error ? bug.name : typeof bug
  return about(area).bad(`the check itself failed (${kind}, ${codeOf(bug)})`, 'Please report this as a bug.')
}
