/**
 * Owns the CSV in which SendGrid, SES and Postmark export the addresses that they do not mail: which of its rows are
 * bounces. The file is read in pieces, and nothing of it is kept in memory but a page of addresses.
 */
import { createReadStream } from 'node:fs'
import { checkAddress } from '../address.ts'
import { csvRows } from './csv.ts'
import { CommandError } from './terminal.ts'

export interface ImportCounts {
  readonly imported: number
  /** Complaints, and what was suppressed by hand: they do not say that there is no such address. */
  readonly skipped: number
  readonly invalid: number
}

const pageSize = 500
const maxRows = 2_000_000

/** Names of columns, in small letters without spaces and underscores. */
const addressNames = ['email', 'emailaddress', 'recipient']
const reasonNames = ['suppressionreason', 'reason', 'type']
const statusNames = ['status']

/** Throws a `CommandError` when the file cannot be read, or has no column of addresses. */
export async function importBounces(
  file: string,
  suppress: (addresses: readonly string[]) => Promise<void>,
): Promise<ImportCounts> {
  const counts = { imported: 0, skipped: 0, invalid: 0 }
  let columns: Columns | undefined
  let page: string[] = []
  const flush = async () => {
    await suppress(page)
    counts.imported += page.length
    page = []
  }
  for await (const row of readRows(file)) {
    if (columns === undefined) {
      columns = columnsOf(row)
      if (columns.isHeader) continue
    }
    const address = addressIn(row, columns)
    if (address === undefined) counts.invalid += 1
    else if (!isBounce(row, columns)) counts.skipped += 1
    else page.push(address)
    if (page.length === pageSize) await flush()
    if (counts.imported + counts.skipped + counts.invalid >= maxRows)
      throw new CommandError(`the file has more than ${maxRows} rows: divide it`)
  }
  await flush()
  return counts
}

async function* readRows(file: string): AsyncGenerator<string[]> {
  const stream = file === '-' ? process.stdin : createReadStream(file)
  try {
    yield* csvRows(stream.setEncoding('utf8'))
  } catch (error) {
    if (error instanceof CommandError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new CommandError(`${file} cannot be read (${code})`)
  }
}

interface Columns {
  readonly isHeader: boolean
  readonly address: number
  /** -1: there is none. */
  readonly reason: number
  readonly status: number
}

/** SES writes no header: an address, and why. */
function columnsOf(row: readonly string[]): Columns {
  if (row[0]?.includes('@')) return { isHeader: false, address: 0, reason: 1, status: -1 }
  const names = row.map((name) => name.toLowerCase().replaceAll(/[\s_\ufeff]/g, ''))
  const find = (wanted: readonly string[]) =>
    wanted.map((name) => names.indexOf(name)).find((at) => at >= 0) ?? -1
  const address = find(addressNames)
  if (address < 0)
    throw new CommandError(
      'the file has no column named email, as the exports of SendGrid, SES and Postmark have',
    )
  return { isHeader: true, address, reason: find(reasonNames), status: find(statusNames) }
}

function addressIn(row: readonly string[], { address }: Columns): string | undefined {
  try {
    return checkAddress((row[address] ?? '').trim())
  } catch {
    return undefined
  }
}

/** SendGrid's reasons are what a server has said, so only the words of the others decide; a status 4.x.x will pass. */
function isBounce(row: readonly string[], { reason, status }: Columns): boolean {
  const why = (row[reason] ?? '').trim()
  return (
    !/^(?:complaint|spam ?complaint|manual ?suppression)$/i.test(why) &&
    !(row[status] ?? '').trim().startsWith('4')
  )
}
