/** Owns the sentence a start ends with when the environment needs attention. */

/** All that is wrong, one line each: `NAME: what to do`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`Cannot start, the environment needs attention:\n${problems.map((line) => `  ${line}`).join('\n')}`)
    this.problems = problems
  }
}
