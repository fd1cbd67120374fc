/** Owns the sentence a start ends with when the environment needs attention, and how its lines come together. */

/** All that is wrong, one line each: `NAME: what to do`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`Cannot start, the environment needs attention:\n${problems.map((line) => `  ${line}`).join('\n')}`)
    this.problems = problems
  }
}

/** For a start that tells all that is wrong at once: `collect` returns what is read, or keeps the problems. */
export function problemCollector() {
  const problems: string[] = []
  const collect = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      problems.push(...error.problems)
      return undefined
    }
  }
  return { problems, collect }
}
