/** Owns how an operator finds mails that wait or are dead: by app, kind, reason, id or address, page by page. */
import { z } from 'zod'
import { MailerError } from '../errors.ts'
import { type FoundMails, type MailQuery, type StoredMail, storedMailSchema } from './api.ts'
import type { OperationQueues } from './operation-queues.ts'
import { isUnavailable } from './reconnect.ts'
import type { Seal } from './seal.ts'
import type { Place, SearchOperation } from './store/operation.ts'

/** How many rows a page may look at while filters leave few of them. */
const scanned = 1000
const statesOf = { waiting: ['sending', 'queued'], dead: ['dead'] } as const

type Source = Pick<SearchOperation, 'state' | 'recipient'>
type Found = Place & { readonly mail: StoredMail; readonly source: number }

export function searcher(
  rowsOf: OperationQueues['rowsOf'],
  seal: Pick<Seal, 'names'>,
  find: (id: string) => Promise<StoredMail | undefined>,
): (query: MailQuery) => Promise<FoundMails> {
  return async (query) =>
    // whom a mail is for is known to the search alone
    query.id === undefined || query.address !== undefined ? searchPage(query) : findOne(query, query.id)

  async function findOne({ state, app, kind, detail }: MailQuery, id: string): Promise<FoundMails> {
    const mail = await find(id)
    const states: readonly string[] = statesOf[state]
    const fits =
      mail !== undefined &&
      states.includes(mail.state) &&
      (app ?? mail.app) === mail.app &&
      (kind ?? mail.kind) === mail.kind &&
      (detail ?? mail.detail) === mail.detail
    return { mails: fits ? [mail] : [], next: null }
  }

  async function searchPage(query: MailQuery): Promise<FoundMails> {
    const { limit } = query
    const start = query.after === undefined ? { source: 0, place: undefined } : readPlace(query.after)
    const found: Found[] = []
    for (const [source, from] of sourcesOf(query).entries()) {
      if (source < start.source) continue
      const after = source === start.source ? start.place : undefined
      const { rows, end } = await search(query, from, after, limit + 1 - found.length)
      found.push(...rows.map((row) => ({ ...row, source })))
      const last = found[limit - 1]
      if (found.length > limit && last) return page(found.slice(0, limit), writePlace(last.source, last))
      if (end) return page(found, writePlace(source, end))
    }
    return page(found, null)
  }

  async function search(query: MailQuery, from: Source, after: Place | undefined, limit: number) {
    const { app, kind, detail, id } = query
    const isFiltered = [app, kind, detail, id].some((filter) => filter !== undefined)
    const scan = isFiltered || (from.state === 'sending' && from.recipient !== undefined) ? scanned : limit
    try {
      const rows = await rowsOf({ op: 'search', ...from, app, kind, detail, id, after, limit, scan })
      const mails = rows.filter((row) => row['end_id'] === undefined)
      const end = rows.find((row) => row['end_id'] !== undefined)
      return {
        rows: mails.map((row) => ({ ...placeOf(row, 'id'), mail: storedMailSchema.parse(row) })),
        end: end && placeOf(end, 'end_id'),
      }
    } catch (error) {
      // a place that this database cannot have given
      if (after === undefined || isUnavailable(error)) throw error
      throw new MailerError('bad_request', { reason: 'body' })
    }
  }

  function sourcesOf({ state, address }: MailQuery): Source[] {
    const states: readonly SearchOperation['state'][] = statesOf[state]
    if (address === undefined) return states.map((each) => ({ state: each }))
    const recipients = seal.names(address)
    return states.flatMap((each) => recipients.map((recipient) => ({ state: each, recipient })))
  }
}

function page(found: readonly Found[], next: string | null): FoundMails {
  return { mails: found.map(({ mail }) => mail), next }
}

/** Numbers as the database writes them: some are larger than ours can be. */
function placeOf(row: Readonly<Record<string, unknown>>, id: 'id' | 'end_id'): Place {
  return { due: String(row['due_key']), created: String(row['created_key']), id: String(row[id]) }
}

const placeSchema = z.tuple([z.int().min(0).max(8), z.string(), z.string(), z.string()])

const writePlace = (source: number, { due, created, id }: Place) =>
  Buffer.from(JSON.stringify([source, due, created, id])).toString('base64url')

function readPlace(text: string): { readonly source: number; readonly place: Place } {
  try {
    const [source, due, created, id] = placeSchema.parse(
      JSON.parse(Buffer.from(text, 'base64url').toString()),
    )
    return { source, place: { due, created, id } }
  } catch {
    throw new MailerError('bad_request', { reason: 'body' })
  }
}
