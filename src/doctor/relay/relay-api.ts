/** Owns how the doctor asks a relay's API, and the troubles that all of them have alike. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { HttpsRelayConfig } from '../../relay-config.ts'
import type { ClockSource } from '../clock.ts'
import { CheckStopped, codeOf } from '../finding.ts'

const askMs = 8000
const maxAnswer = 256 * 1024

/** How the operator knows each API. */
export const titles: Readonly<Record<HttpsRelayConfig['name'], string>> = {
  sendgrid: 'SendGrid',
  ses: 'Amazon SES',
  postmark: 'Postmark',
  mailgun: 'Mailgun',
  resend: 'Resend',
  brevo: 'Brevo',
}

export interface Question {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** `undefined`: too long, cut off, or no JSON. */
  readonly body: unknown
}

type Place = Pick<HttpsRelayConfig, 'name' | 'baseUrl'>

/** Ends the check when there is no answer. */
export async function askApi(relay: Place, question: Question, signal: AbortSignal): Promise<Answer> {
  return ask(relay, question, signal).catch((error: unknown) => {
    throw connectTrouble(relay, codeOf(error))
  })
}

/** node:https, because it stops a handshake that hangs at once. With fetch the handshake would keep the process alive. */
async function ask(
  { baseUrl }: Place,
  { path, method = 'GET', headers = {} }: Question,
  signal: AbortSignal,
): Promise<Answer> {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(askMs)])
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const own = { 'user-agent': 'jwt-mailer', accept: 'application/json' }
  const options = { method, headers: { ...own, ...headers }, signal: limits, agent: false }
  const call = request(baseUrl + path, options, resolve)
  call.on('error', reject).end()
  const answer = await promise
  const { statusCode: status = 0, headers: received } = answer
  return { status, headers: received, body: await bodyOf(answer).finally(() => call.destroy()) }
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

export const hostOf = ({ baseUrl }: Place) => new URL(baseUrl).host

const addressVariable = ({ name }: Place) => `${name.toUpperCase()}_API_URL`

function connectTrouble(relay: Place, code: string): CheckStopped {
  const [host, variable] = [hostOf(relay), addressVariable(relay)]
  if (code === 'ABORT_ERR')
    return new CheckStopped(
      `${host} does not answer within ${askMs / 1000} s`,
      'Is outgoing HTTPS (port 443) open here?',
    )
  if (code === 'ENOTFOUND')
    return new CheckStopped(
      `there is no host named ${host}`,
      relay.name === 'ses' ? `Correct SES_REGION, or ${variable}.` : `Correct ${variable}.`,
    )
  if (/CERT|SELF_SIGNED|SIGNATURE|ISSUER/.test(code))
    return new CheckStopped(
      `${host} shows a certificate that is not valid for it (${code})`,
      `Correct ${variable}; if it is right, something intercepts the connection, perhaps a proxy of your own.`,
    )
  return new CheckStopped(
    `${host} cannot be reached (${code})`,
    `Check ${variable}, and whether outgoing HTTPS is open here.`,
  )
}

/** A status that says nothing about our key. */
export function apiTrouble(relay: Place, status: number): CheckStopped {
  const title = titles[relay.name]
  if (status === 429) return new CheckStopped(`${title} is asked too often (429)`, 'Try again in a minute.')
  if (status >= 500)
    return new CheckStopped(
      `${title} has a fault of its own (${status})`,
      `Look at ${statusPages[relay.name]} and try again.`,
    )
  return new CheckStopped(
    `the server there is not ${title}'s API (${status})`,
    `Check ${addressVariable(relay)}.`,
  )
}

const statusPages: Readonly<Record<HttpsRelayConfig['name'], string>> = {
  sendgrid: 'status.sendgrid.com',
  ses: 'health.aws.amazon.com',
  postmark: 'status.postmarkapp.com',
  mailgun: 'status.mailgun.com',
  resend: 'resend-status.com',
  brevo: 'status.brevo.com',
}

/** Reads the Date header. It holds whole seconds, so half a second is added. */
export function apiClock(relay: Place): ClockSource {
  return async (signal) => {
    const { headers } = await ask(relay, { path: '/' }, signal)
    const epochMs = Date.parse(headers.date ?? '')
    if (Number.isNaN(epochMs)) throw new Error('no Date header')
    return { owner: titles[relay.name], epochMs: epochMs + 500 }
  }
}
