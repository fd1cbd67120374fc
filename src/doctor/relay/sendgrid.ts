/** Owns the examination of SendGrid's Web API: whether it can be reached, and whether our key may send mail. */
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { z } from 'zod'
import type { SendgridRelayConfig } from '../../relay-config.ts'
import type { ClockSource } from '../clock.ts'
import { about, CheckStopped, codeOf, type Finding, untilStopped } from '../finding.ts'

const askMs = 8000
const maxAnswer = 256 * 1024
const scopesSchema = z.object({ scopes: z.array(z.string()) })

type SendGridAccess = Pick<SendgridRelayConfig, 'name' | 'baseUrl' | 'apiKey'>

/** Returns whether the key may send mail. */
export function examineSendGrid(
  access: SendGridAccess,
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  return untilStopped(`relay ${access.name}`, examineSteps(access, signal))
}

async function* examineSteps(
  { name, baseUrl, apiKey }: SendGridAccess,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { ok } = about(`relay ${name}`)
  const host = new URL(baseUrl).host
  const answer = await askScopes(baseUrl, { authorization: `Bearer ${apiKey}` }, signal).catch(
    (error: unknown) => {
      throw connectTrouble(host, codeOf(error))
    },
  )
  yield ok(`${host} answers over TLS`)
  const scopes = scopesSchema.safeParse(answer.body)
  const maySend = answer.status === 200 && scopes.data?.scopes.includes('mail.send') === true
  if (!maySend) throw keyTrouble(answer.status, scopes.success)
  yield ok('the key may send mail')
}

interface Answer {
  readonly status: number
  readonly date: string | undefined
  /** `undefined`: too long, cut off, or no JSON. */
  readonly body: unknown
}

/** node:https, because it stops a handshake that hangs at once. With fetch the handshake would keep the process alive. */
async function askScopes(
  baseUrl: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Answer> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(askMs)])
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const call = request(`${baseUrl}/v3/scopes`, { headers, signal: limits, agent: false }, resolve)
  call.on('error', reject).end()
  const answer = await promise
  const { statusCode: status = 0, headers: received } = answer
  return { status, date: received.date, body: await bodyOf(answer).finally(() => call.destroy()) }
}

async function bodyOf(answer: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const part of answer) {
      size += part.length
      if (size > maxAnswer) return undefined
      parts.push(part)
    }
    return JSON.parse(Buffer.concat(parts).toString())
  } catch {
    return undefined
  }
}

function keyTrouble(status: number, listed: boolean): CheckStopped {
  const newKey = 'Make an API key with the permission "Mail Send" and put it into SENDGRID_API_KEY.'
  if (status === 200 && listed)
    return new CheckStopped('the key may not send mail (mail.send is not among its scopes)', newKey)
  if (status === 401) return new CheckStopped('the key is wrong or was deleted (401)', newKey)
  if (status === 403)
    return new CheckStopped(
      'the key is refused (403)',
      'Look at IP Access Management and the state of the account at SendGrid, and at the region: EU accounts use https://api.eu.sendgrid.com.',
    )
  if (status === 429) return new CheckStopped('SendGrid is asked too often (429)', 'Try again in a minute.')
  if (status >= 500)
    return new CheckStopped(
      `SendGrid has a fault of its own (${status})`,
      'Look at status.sendgrid.com and try again.',
    )
  return new CheckStopped(`the server there is not SendGrid's API (${status})`, 'Check SENDGRID_API_URL.')
}

function connectTrouble(host: string, code: string): CheckStopped {
  if (code === 'ABORT_ERR')
    return new CheckStopped(
      `${host} does not answer within ${askMs / 1000} s`,
      'Is outgoing HTTPS (port 443) open here?',
    )
  if (code === 'ENOTFOUND')
    return new CheckStopped(`there is no host named ${host}`, 'Correct SENDGRID_API_URL.')
  if (/CERT|SELF_SIGNED|SIGNATURE|ISSUER/.test(code))
    return new CheckStopped(
      `${host} shows a certificate that is not valid for it (${code})`,
      'Correct SENDGRID_API_URL; if it is right, something intercepts the connection, perhaps a proxy of your own.',
    )
  return new CheckStopped(
    `${host} cannot be reached (${code})`,
    'Check SENDGRID_API_URL, and whether outgoing HTTPS is open here.',
  )
}

/** Reads the Date header. It holds whole seconds, so half a second is added. */
export function sendGridClock({ baseUrl }: Pick<SendGridAccess, 'baseUrl'>): ClockSource {
  return async (signal) => {
    const { date = '' } = await askScopes(baseUrl, {}, signal)
    const epochMs = Date.parse(date)
    if (Number.isNaN(epochMs)) throw new Error('no Date header')
    return { owner: 'SendGrid', epochMs: epochMs + 500 }
  }
}
