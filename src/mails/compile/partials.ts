/** Owns the lines of a mail: its own, and those of the partials it asks for, each with the place where it stands. */
import type { Report } from './names.ts'

export interface SourceLine {
  readonly text: string
  /** A number that `Lines.placeOf` understands. */
  readonly line: number
}

export interface Partial {
  /** Relative to the catalogue's folder. */
  readonly file: string
  readonly text: string
}

export interface Lines {
  readonly lines: readonly SourceLine[]
  /** The file and the line in it. */
  placeOf(line: number): { readonly file: string; readonly line: number }
}

/** Lines of the n-th partial are numbered from n times this. */
const span = 1_000_000

const request = /^\s*\{%-?\s*(?:render|include)\s+["']([a-z0-9_-]{1,64})["']\s*-?%\}\s*$/

/** A line `{% render "name" %}` is replaced by the lines of that partial. Partials do not ask for others. */
export function expandPartials(
  own: readonly SourceLine[],
  file: string,
  partial: (name: string) => Partial | undefined,
  report: Report,
): Lines {
  const files = [file]
  const lines = own.flatMap((line): SourceLine[] => {
    const name = request.exec(line.text)?.[1]
    if (name === undefined) return [line]
    const found = partial(name)
    if (!found) {
      report(
        line.line,
        `there is no partial \`${name}\`: write _${name}.md beside this mail, or with its language`,
      )
      return []
    }
    const start = span * files.length
    files.push(found.file)
    return splitLines(found.text).map((text, index) => ({ text, line: start + index + 1 }))
  })
  return {
    lines,
    placeOf: (line) => ({ file: files[Math.floor(line / span)] ?? file, line: line % span }),
  }
}

export function splitLines(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split('\n')
}
