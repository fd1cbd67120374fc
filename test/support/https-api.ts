/**
 * The server below the stand-ins for relays' APIs: real TLS, and trouble where a script tells it to. What one API is
 * like (its paths, its checks of a request, its words) is in a file of its own.
 */
import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { portOf } from './port.ts'

const fixture = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))

export interface Reply {
  readonly status: number
  readonly headers?: Record<string, string>
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown
  /** The status comes, but of the body only the first byte. */
  readonly hangs?: boolean
}
/** What to answer, or to do instead of answering. */
export type ApiAct = 'close' | 'reset' | 'hang' | 'drip' | Reply
type ApiScriptAct = (count: number) => ApiAct | undefined | Promise<ApiAct | undefined>
/** `take`: the mail is taken, and the connection cut in the place of the answer. */
type BodyAct = ApiAct | 'take' | undefined
/** `connect`: before TLS. `headers`: the body has not been read. `body`: it has. Called with its count, from 1. */
export interface ApiScript {
  readonly connect?: (count: number) => 'close' | 'reset' | 'hang' | undefined
  readonly headers?: ApiScriptAct
  readonly body?: (count: number) => BodyAct | Promise<BodyAct>
  /** A request that is no mail. */
  readonly question?: ApiScriptAct
}
export interface ApiOptions {
  readonly certificate?: 'localhost' | 'elsewhere' | 'expired'
  readonly port?: number
}

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Each octet is one character. */
  readonly body: string
}

/** What the documentation of one API says. */
export interface Api<Mail> {
  readonly mailPath: string
  /** A mail comes with the reply when it is taken. */
  readonly take: (request: ApiRequest) => Reply & { readonly mail?: Mail }
  readonly answer: (request: ApiRequest) => Reply
}

export interface ApiServer<Mail> {
  readonly url: string
  readonly port: number
  /** What was taken. */
  readonly mails: Mail[]
  /** Every whole request for a mail that came in, with the time. */
  readonly requests: (ApiRequest & { readonly at: number })[]
  /** Every other request. */
  readonly questions: ApiRequest[]
  readonly connections: () => number
  /** Connections that are open now. */
  readonly open: () => number
  /** Ends every connection as a server does that has waited long enough. */
  readonly hangUp: () => void
  close(): Promise<void>
}

/** Lets this process trust the authority of the stand-ins. */
export function trustStandIns(): void {
  const authority = fixture('ca.crt').toString()
  const trusted = tls.getCACertificates('default')
  if (!trusted.includes(authority)) tls.setDefaultCACertificates([...trusted, authority])
}

export async function apiServer<Mail>(
  api: Api<Mail>,
  script: ApiScript = {},
  options: ApiOptions = {},
): Promise<ApiServer<Mail>> {
  const name = options.certificate ?? 'localhost'
  const mails: Mail[] = []
  const requests: ApiServer<Mail>['requests'] = []
  const questions: ApiRequest[] = []
  const sockets = new Set<Socket>()
  const counts = { connect: 0, headers: 0, body: 0, question: 0 }

  const server = createServer(
    {
      key: fixture(`${name === 'elsewhere' ? name : 'localhost'}.key`),
      cert: fixture(`${name}.crt`),
      keepAliveTimeout: 60_000,
    },
    (request, response) => void serve(request, response),
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

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    incoming.on('error', () => {})
    const { method = '', url: path = '', headers } = incoming
    const isMail = method === 'POST' && path === api.mailPath && headers['content-length'] !== '0'
    const early = isMail ? await script.headers?.(++counts.headers) : undefined
    if (early) return perform(early, response)
    const body = await bodyOf(incoming)
    if (body === undefined) return
    const request = { method, path, headers, body }
    if (!isMail) {
      questions.push(request)
      return perform((await script.question?.(++counts.question)) ?? api.answer(request), response)
    }
    requests.push({ ...request, at: performance.now() })
    const act = await script.body?.(++counts.body)
    if (act && act !== 'take') return perform(act, response)
    const { mail, ...reply } = api.take(request)
    if (mail !== undefined) mails.push(mail)
    perform(act === 'take' ? 'reset' : reply, response)
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const port = portOf(server)
  return {
    url: `https://localhost:${port}`,
    port,
    mails,
    requests,
    questions,
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

/** `undefined`: cut off. */
async function bodyOf(incoming: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString('latin1')
}

/** Never silent for long, and never at its end. */
function drip({ socket }: ServerResponse): void {
  socket?.write('HTTP/1.1 200 OK\r\nx-drip: ')
  const timer = setInterval(() => socket?.write('a'), 20)
  socket?.once('close', () => clearInterval(timer))
}

function perform(act: ApiAct, response: ServerResponse): void {
  if (act === 'hang') return
  if (act === 'drip') return drip(response)
  if (act === 'close') return void response.socket?.end()
  if (act === 'reset') return void response.socket?.destroy()
  const { status, headers, body = { message: 'a sentence that quotes ada@example.com' }, hangs } = act
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  if (hangs) response.write(text.slice(0, 1))
  else response.end(text)
}

/** The JSON of a request; `undefined` for what is none. */
export function jsonOf({ body }: ApiRequest): unknown {
  try {
    return JSON.parse(Buffer.from(body, 'latin1').toString())
  } catch {
    return undefined
  }
}
