/** Owns small documents that are fetched: within a time and a size, and without following a redirect. */
import type { IncomingMessage } from 'node:http'
import { type Agent, request as requestByHttps } from 'node:https'
import { type FetchReason, systemCodeOf } from './message.ts'

export interface FetchOptions {
  readonly maxBytes: number
  /** For everything: name, connection, answer. */
  readonly timeoutMs: number
  readonly accept?: string
  /** By default a connection of its own. */
  readonly agent?: Agent
}

/** The body of an answer 200. Rejects with a `FetchError` for every other answer, and for one that is too large or too late. */
export type FetchDocument = (url: URL, options: FetchOptions) => Promise<string>

/** No document: the reason, and never a word of what was answered. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
  readonly reason: FetchReason
  constructor(reason: FetchReason) {
    super(reason)
    this.reason = reason
  }
}

/** node:https and not fetch, which would load 14 MB. */
export const fetchDocument: FetchDocument = async (url, { maxBytes, timeoutMs, accept = '*/*', agent }) => {
  const request = url.protocol === 'https:' ? requestByHttps : process.getBuiltinModule('node:http').request
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const late = AbortSignal.timeout(timeoutMs)
  const headers = { 'user-agent': 'jwt-mailer', accept }
  const call = request(url, { agent: agent ?? false, signal: late, headers }, resolve)
  try {
    call.on('error', reject).end()
    const answer = await promise
    const { statusCode: status = 0 } = answer
    if (status !== 200) throw new FetchError(status >= 300 && status < 400 ? 'redirect' : 'status')
    return await readText(answer, maxBytes)
  } catch (error) {
    throw error instanceof FetchError
      ? error
      : new FetchError(late.aborted ? 'timeout' : (systemCodeOf(error) ?? 'connect'))
  } finally {
    call.destroy()
  }
}

async function readText(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new FetchError('size')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
