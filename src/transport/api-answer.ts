/** Owns the answers of APIs: how one is read, what it means for the mail, and how long it asks us to wait. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Outcome, RelayReason } from '../message.ts'

export interface ApiAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** `undefined`: too long, too late, cut off, or no JSON. */
  readonly body?: unknown
}

/** One row of a relay's table. The first row that fits decides; what it does not name may be anything. */
export interface MeaningRow {
  readonly status?: number
  /** The word or number by which the API names the fault. */
  readonly code?: string | number
  /** Words of the answer, for an API that says the rest in sentences only. Addresses are taken out before. */
  readonly says?: RegExp
  readonly means: readonly [Outcome, RelayReason]
}

export interface Meaning {
  readonly outcome: Outcome
  readonly reason: RelayReason
}

/** What HTTP itself says (RFC 9110), for every API whose table has no row for it. */
const ofHttp: readonly MeaningRow[] = [
  { status: 400, means: ['refused', 'message'] },
  { status: 401, means: ['deferred', 'login'] },
  { status: 403, means: ['deferred', 'login'] },
  { status: 413, means: ['refused', 'size'] },
  { status: 422, means: ['refused', 'message'] },
  { status: 429, means: ['deferred', 'too_many'] },
  { status: 503, means: ['deferred', 'unavailable'] },
]

/** Of a page, in place of all rows: something on the way speaks, which neither has read the mail nor took it. */
const ofPage = ofHttp.filter(({ status }) => status !== 400 && status !== 422)

const maxAnswer = 64 * 1024
const maxWaitMs = 3_600_000

/** The meaning by the relay's own rows, else by what HTTP says. `code`: what the API calls the fault. */
export function meaningBy(rows: readonly MeaningRow[], answer: ApiAnswer, code?: string | number): Meaning {
  const words = wordsOf(answer.body)
  const fits = (row: MeaningRow) =>
    (row.status ?? answer.status) === answer.status &&
    (row.code === undefined || row.code === code) &&
    (row.says === undefined || row.says.test(words))
  const row = isPage(answer) ? ofPage.find(fits) : (rows.find(fits) ?? ofHttp.find(fits))
  const [outcome, reason] = row?.means ?? otherwise(answer.status)
  return { outcome, reason }
}

/** For people: no API answers with HTML, but proxies, firewalls and login pages of networks do, with 200 as well. */
export const isPage = ({ headers }: ApiAnswer) =>
  /^text\/html\b/i.test(headers['content-type'] ?? '') && headers['content-length'] !== '0'

/** Whatever has a fault of its own, a gateway above all, may have passed the mail on. Other statuses are not of this API. */
function otherwise(status: number): MeaningRow['means'] {
  if (status >= 500) return ['unknown', 'unavailable']
  return [status >= 200 && status < 300 ? 'unknown' : 'deferred', 'protocol']
}

function wordsOf(body: unknown): string {
  if (body === undefined) return ''
  return JSON.stringify(body)
    .slice(0, 4_096)
    .replace(/[^\s"<>:]+@[^\s"<>:]+/g, '')
}

/** The field of a JSON object. */
export function fieldOf(body: unknown, name: string): string | number | undefined {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
  return typeof value === 'string' || typeof value === 'number' ? value : undefined
}

/** Read to its end, so that the connection can be kept. Resolves with `undefined` for what is not JSON of our size. */
export async function readBody(answer: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > maxAnswer) return undefined
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    return undefined
  }
}

/** Retry-After, else the end of the window that the API names; whole milliseconds, a second to an hour. */
export function waitAskedFor(
  headers: IncomingHttpHeaders,
  epochMs: number,
  windowEnd?: number,
): number | undefined {
  const waitMs = retryAfterMs(headers['retry-after'], epochMs) ?? (windowEnd && windowEnd - epochMs)
  return waitMs === undefined ? undefined : Math.ceil(Math.min(Math.max(waitMs, 1_000), maxWaitMs))
}

/** RFC 9110 10.2.3: seconds or a date. */
function retryAfterMs(value: string | undefined, epochMs: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  const date = value.endsWith('GMT') ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : date - epochMs
}
