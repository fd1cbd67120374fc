/**
 * Stands in for SendGrid's Web API: an HTTPS server that holds requests to what the documentation of
 * `POST /v3/mail/send` says, and goes wrong where a script tells it to.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import { z } from 'zod'
import { portOf } from './port.ts'

const certificate = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** A status with headers to answer, or what to do instead of answering. */
export type SendgridAct =
  | 'close'
  | 'reset'
  | 'hang'
  | 'drip'
  | { status: number; headers?: Record<string, string>; body?: string }
/** `connect`: before TLS. `headers`: the body has not been read. `body`: it has. Called with its count, from 1. */
export interface SendgridScript {
  readonly connect?: (count: number) => 'close' | 'reset' | 'hang' | undefined
  readonly headers?: (count: number) => SendgridAct | undefined
  readonly body?: (count: number) => SendgridAct | undefined | Promise<SendgridAct | undefined>
  readonly scopes?: (count: number) => SendgridAct | undefined
}

export interface SendgridServer {
  readonly url: string
  /** What was answered 202. */
  readonly mails: SendgridMail[]
  /** Every whole request for a mail that came in, with the time. */
  readonly requests: { readonly at: number; readonly body: string }[]
  readonly connections: () => number
  /** Connections that are open now. */
  readonly open: () => number
  /** Ends every connection as a server does that has waited long enough. */
  readonly hangUp: () => void
  close(): Promise<void>
}

export interface SendgridOptions {
  readonly apiKey?: string
  readonly certificate?: 'localhost' | 'elsewhere' | 'expired'
  readonly maxBytes?: number
  readonly port?: number
}

/** SendGrid sets these itself and refuses a request that does. */
const reserved =
  /^(?:x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding|to|from|subject|reply-to|cc|bcc)$/i
const mailbox = z.strictObject({ email: z.email(), name: z.string().min(1).optional() })
const off = z.strictObject({ enable: z.boolean() })
const mailSchema = z.strictObject({
  personalizations: z
    .array(z.strictObject({ to: z.array(mailbox).min(1).max(1000) }))
    .min(1)
    .max(1000),
  from: mailbox,
  reply_to: mailbox.optional(),
  subject: z.string().min(1),
  content: z
    .array(z.strictObject({ type: z.string().min(1), value: z.string().min(1) }))
    .min(1)
    .refine(textComesFirst),
  headers: z.record(
    z.string().refine((name) => !reserved.test(name)),
    z.string(),
  ),
  custom_args: z
    .record(z.string(), z.string())
    .refine((value) => JSON.stringify(value).length < 10_000)
    .optional(),
  tracking_settings: z.strictObject({
    click_tracking: z.strictObject({ enable: z.boolean(), enable_text: z.boolean().optional() }),
    open_tracking: off.optional(),
    subscription_tracking: off.optional(),
    ganalytics: off.optional(),
  }),
})
export type SendgridMail = z.infer<typeof mailSchema>

function textComesFirst(content: readonly { type: string }[]): boolean {
  const order = ['text/plain', 'text/html']
  const places = content.map(({ type }) => order.indexOf(type)).filter((place) => place >= 0)
  return places.every((place, index) => index === 0 || place > places[index - 1]!)
}

export async function sendgridServer(
  script: SendgridScript = {},
  options: SendgridOptions = {},
): Promise<SendgridServer> {
  const { apiKey = 'SG.test-key', maxBytes = 30 * 1024 * 1024 } = options
  const name = options.certificate ?? 'localhost'
  const mails: SendgridMail[] = []
  const requests: { at: number; body: string }[] = []
  const sockets = new Set<Socket>()
  const counts = { connect: 0, headers: 0, body: 0, scopes: 0 }

  const server = createServer(
    {
      key: certificate(`${name === 'elsewhere' ? name : 'localhost'}.key`),
      cert: certificate(`${name}.crt`),
      keepAliveTimeout: 60_000,
    },
    (request, response) => void answer(request, response),
  )
  // the raw connection comes before TLS
  const [secure] = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    counts.connect++
    const act = script.connect?.(counts.connect)
    if (act === 'close') socket.end()
    else if (act === 'reset') socket.resetAndDestroy()
    else if (act === undefined) secure?.call(server, socket)
  })
  server.on('tlsClientError', () => {})

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    request.on('error', () => {})
    if (request.url === '/v3/scopes' && request.method === 'GET') {
      const act = script.scopes?.(++counts.scopes)
      return act ? perform(act, response) : respond(response, authorized(request) ? 200 : 401)
    }
    if (request.url !== '/v3/mail/send' || request.method !== 'POST') return respond(response, 404)
    const early = script.headers?.(++counts.headers)
    if (early) return perform(early, response)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const body = Buffer.concat(chunks).toString()
    requests.push({ at: performance.now(), body })
    const act = await script.body?.(++counts.body)
    if (act) return perform(act, response)
    if (!authorized(request)) return respond(response, 401)
    if (request.headers['content-type'] !== 'application/json') return respond(response, 415)
    if (body.length > maxBytes) return respond(response, 413)
    const mail = mailSchema.safeParse(parse(body))
    if (!mail.success) return respond(response, 400)
    mails.push(mail.data)
    respond(response, 202, { 'x-message-id': `sg-${mails.length}` })
  }

  const authorized = ({ headers }: IncomingMessage) => headers.authorization === `Bearer ${apiKey}`

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  return {
    url: `https://localhost:${portOf(server)}`,
    mails,
    requests,
    connections: () => counts.connect,
    open: () => sockets.size,
    hangUp: () => {
      for (const socket of sockets) socket.end()
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** Never silent for long, and never at its end. */
function drip({ socket }: ServerResponse): void {
  socket?.write('HTTP/1.1 200 OK\r\nx-drip: ')
  const timer = setInterval(() => socket?.write('a'), 20)
  socket?.once('close', () => clearInterval(timer))
}

function perform(act: SendgridAct, response: ServerResponse): void {
  if (act === 'hang') return
  if (act === 'drip') return drip(response)
  if (act === 'close') return void response.socket?.end()
  if (act === 'reset') return void response.socket?.destroy()
  respond(response, act.status, act.headers, act.body)
}

function respond(
  response: ServerResponse,
  status: number,
  headers: Record<string, string> = {},
  body?: string,
): void {
  const message = 'a sentence that quotes ada@example.com'
  const text =
    body ?? (status === 202 ? '' : JSON.stringify({ errors: [{ message, field: null, help: null }] }))
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
