/** Owns the examination of SendGrid's Web API: is it there, and may our key send mail? */
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { z } from 'zod'
import type { ClockSource } from '../clock.ts'
import { about, codeOf, type Finding } from '../finding.ts'

const askMs = 8000
const maxAnswer = 256 * 1024
const scopesSchema = z.object({ scopes: z.array(z.string()) })

export interface SendGridAccess {
  readonly name: string
  readonly baseUrl: string
  readonly apiKey: string
}

export async function* examineSendGrid(
  { name, baseUrl, apiKey }: SendGridAccess,
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  const { ok, bad } = about(`relay ${name}`)
  const host = new URL(baseUrl).host
  let answer: Answer
  try {
    answer = await ask(baseUrl, { authorization: `Bearer ${apiKey}` }, signal)
  } catch (error) {
    yield bad(...unreachable(host, codeOf(error)))
    return false
  }
  yield ok(`${host} answers over TLS`)
  const scopes = scopesSchema.safeParse(answer.body)
  if (answer.status === 200 && scopes.data?.scopes.includes('mail.send')) {
    yield ok('the key may send mail')
    return true
  }
  yield bad(...refusal(answer.status, scopes.success))
  return false
}

interface Answer {
  readonly status: number
  readonly date: string | undefined
  /** `undefined` when it is too long, cut off or no JSON. */
  readonly body: unknown
}

/** node:https, because a handshake that hangs can be broken off at once; that of fetch holds the process. */
async function ask(baseUrl: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(askMs)])
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const call = request(`${baseUrl}/v3/scopes`, { headers, signal: limits, agent: false }, resolve)
  call.on('error', reject).end()
  const answer = await promise
  const { statusCode: status = 0, headers: heard } = answer
  return { status, date: heard.date, body: await bodyOf(answer).finally(() => call.destroy()) }
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

function refusal(status: number, listed: boolean): [string, string] {
  const newKey = 'Make an API key with the permission "Mail Send" and put it into SENDGRID_API_KEY.'
  if (status === 200 && listed)
    return ['the key may not send mail (mail.send is not among its scopes)', newKey]
  if (status === 401) return ['the key is wrong or was deleted (401)', newKey]
  if (status === 403)
    return [
      'the key is refused (403)',
      'Look at IP Access Management and the state of the account at SendGrid, and at the region: EU accounts use https://api.eu.sendgrid.com.',
    ]
  if (status === 429) return ['it is asked too often (429)', 'Try again in a minute.']
  if (status >= 500)
    return [`it has trouble of its own (${status})`, 'Look at status.sendgrid.com and try again.']
  return [`what answers there is not SendGrid's API (${status})`, 'Check SENDGRID_API_URL.']
}

function unreachable(host: string, code: string): [string, string] {
  if (code === 'ABORT_ERR')
    return [`${host} does not answer within ${askMs / 1000} s`, 'Is outgoing HTTPS (port 443) open here?']
  if (code === 'ENOTFOUND') return [`there is no host named ${host}`, 'Correct SENDGRID_API_URL.']
  if (/CERT|SELF_SIGNED|SIGNATURE|ISSUER/.test(code))
    return [
      `${host} shows a certificate that is not good for it (${code})`,
      'Correct SENDGRID_API_URL; if it is right, somebody is in between, perhaps a proxy of your own.',
    ]
  return [
    `${host} cannot be reached (${code})`,
    'Check SENDGRID_API_URL, and whether outgoing HTTPS is open here.',
  ]
}

/** The Date header; it is cut to whole seconds, so half a second is added. */
export function sendGridClock({ baseUrl }: Pick<SendGridAccess, 'baseUrl'>): ClockSource {
  return async (signal) => {
    const { date = '' } = await ask(baseUrl, {}, signal)
    const time = Date.parse(date)
    if (Number.isNaN(time)) throw new Error('no Date header')
    return { who: 'SendGrid', time: time + 500 }
  }
}
