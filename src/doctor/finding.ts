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

/** Findings come one by one, so that what was learned before a check ran out of time is not lost. */
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

/** Thrown by a step after which the following ones make no sense. */
export class Ailment extends Error {
  override readonly name = 'Ailment'
  readonly todo: string
  constructor(says: string, todo: string) {
    super(says)
    this.todo = todo
  }
}

/** The code of a system, TLS or database error; the sentence it comes with is never shown. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'unknown'
}
