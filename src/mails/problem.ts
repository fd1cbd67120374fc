/** Owns what a problem in the files of a catalogue is, how problems are collected, and how one is written as a line. */

export interface Problem {
  /** Relative to the catalogue's folder; the folder itself and files outside of it stand as they were given. */
  readonly file: string
  readonly line: number
  readonly message: string
}

/** Collects problems, so that one start tells all of them. */
export interface Problems {
  readonly found: readonly Problem[]
  /** The same problem counts once. */
  add(file: string, line: number, message: string): void
}

export function problemList(): Problems {
  const found: Problem[] = []
  const isKnown = ({ file, line, message }: Problem) =>
    found.some((known) => known.file === file && known.line === line && known.message === message)
  return {
    found,
    add(file, line, message) {
      const problem = { file, line, message }
      if (!isKnown(problem)) found.push(problem)
    },
  }
}

/** For people, at the edge: `file:line: message`, which editors and terminals make a link of. */
export function formatProblem({ file, line, message }: Problem): string {
  return `${file}:${line}: ${message}`
}

/** Thrown by `loadCatalogue` with everything that is wrong, by file and line. */
export class CatalogueError extends Error {
  override readonly name = 'CatalogueError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('the catalogue has problems')
    // what was found later in a file stays behind what was found first on its line
    this.problems = problems.toSorted((one, other) => compare(one.file, other.file) || one.line - other.line)
  }
}

const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0)
