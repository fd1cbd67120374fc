/** Owns small documents that are fetched by HTTPS: within a time and a size, and without following a redirect. */
import type { IncomingMessage } from 'node:http'
import { type Agent, request as requestByHttps } from 'node:https'

export interface HttpsGetOptions {
  readonly maxBytes: number
  readonly timeoutMs: number
  /** By default a connection of its own. */
  readonly agent?: Agent
}

/** The body of an answer 200. Rejects for every other answer, and for one that is too large or too late. */
export type HttpsGet = (url: string, options: HttpsGetOptions) => Promise<string>

/** node:https and not fetch, which would load 14 MB. */
export const getByHttps: HttpsGet = async (url, { maxBytes, timeoutMs, agent }) => {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = { agent: agent ?? false, signal: AbortSignal.timeout(timeoutMs) } as const
  const call = requestByHttps(url, { ...options, headers: { 'user-agent': 'jwt-mailer' } }, resolve)
  try {
    call.on('error', reject).end()
    const answer = await promise
    if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`)
    const pieces: Buffer[] = []
    let bytes = 0
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > maxBytes) throw new Error('too large')
      pieces.push(piece)
    }
    return Buffer.concat(pieces).toString()
  } finally {
    call.destroy()
  }
}
