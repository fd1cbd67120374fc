/** Owns how a table becomes text: columns side by side where they fit, else each row as names and values. */
import type { Align, Inline, Row } from './blocks.ts'
import { fill, type Filling, forEachRow, type Part, type Slots, templateOf } from './placeholders.ts'

export interface TextTable {
  readonly head: readonly Slots[]
  readonly align: readonly Align[]
  readonly rows: readonly TextRow[]
  /** Indents of the first line and of each further one. */
  readonly first: string
  readonly rest: string
  /** A blank line before it. */
  readonly gap: boolean
  /** Follows a label. */
  readonly colon: string
}
type TextRow =
  | { readonly cells: readonly Slots[] }
  | { readonly loop: number; readonly body: readonly TextRow[] }
  | { readonly test: number; readonly yes: readonly TextRow[]; readonly no: readonly TextRow[] }

const between = '  '

/** `wordsOf` writes the words of a cell. */
export function compileTable(
  head: readonly Part[][],
  { align, rows }: { readonly align: readonly Align[]; readonly rows: readonly Row[] },
  wordsOf: (cell: readonly Inline[]) => Part[],
  place: Pick<TextTable, 'first' | 'rest' | 'gap' | 'colon'>,
): TextTable {
  const rowsText = (all: readonly Row[]): TextRow[] =>
    all.map((row) => {
      if ('cells' in row) return { cells: row.cells.map((cell) => templateOf(wordsOf(cell))) }
      if ('loop' in row) return { loop: row.loop, body: rowsText(row.body) }
      return { test: row.test, yes: rowsText(row.yes), no: rowsText(row.no) }
    })
  const { first, rest, gap, colon } = place
  return { head: head.map((cell) => templateOf(cell)), align, rows: rowsText(rows), first, rest, gap, colon }
}

/** Empty when no row is there. */
export function fillTable(table: TextTable, filling: Filling, width: number): string {
  const head = table.head.map((cell) => cellText(cell, filling))
  const rows = filledRows(table.rows, filling)
  if (rows.length === 0) return ''
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const whole = widths.reduce((sum, each) => sum + each + between.length, table.rest.length - between.length)
  const lines =
    whole <= width ? columns([head, ...rows], widths, table.align) : pairs(head, rows, table.colon)
  return lines
    .map((line, index) => `${`${index === 0 ? table.first : table.rest}${line}`.trimEnd()}\n`)
    .join('')
}

function filledRows(rows: readonly TextRow[], filling: Filling): string[][] {
  const filled: string[][] = []
  for (const row of rows) {
    if ('cells' in row) filled.push(row.cells.map((cell) => cellText(cell, filling)))
    else if ('loop' in row) forEachRow(filling, row.loop, () => filled.push(...filledRows(row.body, filling)))
    else filled.push(...filledRows(filling.plain[row.test] === '' ? row.no : row.yes, filling))
  }
  return filled
}

/** Plain spaces, so that a padded column is one. */
function cellText(cell: Slots, filling: Filling): string {
  return fill(cell, filling).replace(/\n/g, ' ').trim()
}

function columns(rows: readonly string[][], widths: readonly number[], align: readonly Align[]): string[] {
  return rows.map((row) =>
    widths.map((width, column) => pad(row[column] ?? '', width, align[column] ?? null)).join(between),
  )
}

function pad(text: string, width: number, align: Align): string {
  if (align === 'right') return text.padStart(width)
  return align === 'center' ? text.padStart((width + text.length) >> 1).padEnd(width) : text.padEnd(width)
}

/** A blank line between the rows. */
function pairs(head: readonly string[], rows: readonly string[][], colon: string): string[] {
  return rows.flatMap((row, index) => [
    ...(index === 0 ? [] : ['']),
    ...head.flatMap((name, column) => {
      const value = row[column] ?? ''
      return value === '' ? [] : [name === '' ? value : `${name}${colon} ${value}`]
    }),
  ])
}
