/** Owns what the doctor says: one finding per thing looked at, and the shape of a check. */

/** ok: nothing to do · warn: works, but will hurt some day · bad: mails are lost, or anybody can send them. */
export type Level = 'ok' | 'warn' | 'bad'

export interface Finding {
  /** What was looked at: `relay smtp`, `domain example.com`, `store`, … */
  readonly area: string
  readonly level: Level
  /** What is so, in one sentence. Never a secret. */
  readonly says: string
  /** What a person can do about it. */
  readonly todo?: string
}

/** Findings come one by one, so that what was found before a check ran out of time is kept. */
export interface Check {
  readonly area: string
  readonly run: (signal: AbortSignal) => AsyncIterable<Finding> | Iterable<Finding>
}

/** The three ways to say something about one area. */
export function about(area: string) {
  return {
    ok: (says: string): Finding => ({ area, level: 'ok', says }),
    warn: (says: string, todo: string): Finding => ({ area, level: 'warn', says, todo }),
    bad: (says: string, todo: string): Finding => ({ area, level: 'bad', says, todo }),
  }
}

/** Ends a check: later steps would only repeat this. */
export class CheckStopped extends Error {
  override readonly name = 'CheckStopped'
  readonly says: string
  readonly todo: string
  constructor(says: string, todo: string) {
    super(says)
    this.says = says
    this.todo = todo
  }
}

/** The findings of `steps`. A `CheckStopped` becomes the last finding. Returns whether all steps were taken. */
export async function* untilStopped(
  area: string,
  steps: AsyncIterable<Finding>,
): AsyncGenerator<Finding, boolean> {
  try {
    yield* steps
    return true
  } catch (error) {
    if (!(error instanceof CheckStopped)) throw error
    yield about(area).bad(error.says, error.todo)
    return false
  }
}

/** The code of a system, TLS or database error. Its message is never shown: it may quote anything. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'unknown'
}
