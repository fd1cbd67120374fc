/** Owns the reading of CSV (RFC 4180): rows of cells, from text that comes in pieces. */
import { CommandError } from './terminal.ts'

const maxCell = 64 * 1024
const maxCells = 100

/** Throws a `CommandError` for a cell or a row that no export has. */
export async function* csvRows(pieces: AsyncIterable<string>): AsyncGenerator<string[]> {
  let row: string[] = []
  let cell = ''
  let isQuoted = false
  /** The last character was a quote inside of quotes: the end of the cell, or the first half of a quote in it. */
  let mayEnd = false
  const endCell = () => {
    row.push(cell)
    cell = ''
    mayEnd = false
    if (row.length > maxCells) throw new CommandError('a row has more than 100 cells: is this a CSV file?')
  }
  for await (const piece of pieces)
    for (const character of piece) {
      if (mayEnd && character !== '"') isQuoted = false
      if (character === '"' && isQuoted) {
        if (mayEnd) cell += '"'
        mayEnd = !mayEnd
      } else if (isQuoted) cell += character
      else if (character === '"' && cell === '') isQuoted = true
      else if (character === ',') endCell()
      else if (character === '\n') {
        endCell()
        if (row.some((one) => one !== '')) yield row
        row = []
      } else if (character !== '\r') cell += character
      if (cell.length > maxCell) throw new CommandError('a cell has more than 64 KiB: is this a CSV file?')
    }
  endCell()
  if (row.some((one) => one !== '')) yield row
}
