/** Owns what is said about a variable of the environment, and the error that ends a start with all of it. */

export interface ConfigProblem {
  readonly variable: string
  /** What is so, read after the variable's name: `is missing`. Never a secret; no full stop. */
  readonly says: string
  /** What to do about it, as a whole sentence. */
  readonly todo?: string
}

/** A problem as a person reads it: `NAME: what is so. What to do.` */
export function problemLine({ variable, says, todo }: ConfigProblem): string {
  return `${variable}: ${says}.${todo === undefined ? '' : ` ${todo}`}`
}

/** Keeps the service from starting, and names every variable at fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly ConfigProblem[]
  constructor(...problems: readonly ConfigProblem[]) {
    const lines = problems.map((problem) => `  ${problemLine(problem)}`)
    super(`Cannot start, the environment needs attention:\n${lines.join('\n')}`)
    this.problems = problems
  }
}

/** `collect` returns what `read` returns, or keeps the problems of its `ConfigError` and returns `undefined`. */
export function problemCollector() {
  const problems: ConfigProblem[] = []
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
