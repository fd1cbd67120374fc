/**
 * Owns the callers of the service: keep-alive connections that each ask for one mail at a time, as the callers of the
 * contract do (`GET /emailservice/:token`). Tokens are minted before the clock starts, one per mail.
 */
import { createHmac } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { type Caller, takeOrders } from './drive.ts'
import { recipientOf } from './marker.ts'

const ANSWER_TIMEOUT_MS = 30_000
const [secret = ''] = process.argv.slice(2)

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signToken(claims: object, key: string): string {
  const input = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

/** The four claims of the original's callers; they sign the link token with a key that the service does not have. */
function mintRequest(port: number, tag: number, seq: number): string {
  const user_email = recipientOf(tag, seq)
  const link = signToken({ user_email, purpose: 'confirm', seq }, 'known to the calling app only')
  const claims = {
    user_email,
    user_aut_key: `K${tag}x${seq}`,
    email_link_url: 'https://app.example.com/confirm/',
    email_link_token: link,
  }
  return `GET /emailservice/${signToken(claims, secret)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
}

/** The body of the response at the front of `text`, or undefined while it is incomplete. */
function readBody(text: string): string | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0)
  const body = text.slice(head + 4)
  return body.length >= length ? body : undefined
}

/** One connection. Resolves to undefined when it breaks or stays silent; the next request opens a new one. */
function httpConnection(port: number) {
  let socket: Socket | undefined
  let text = ''
  let settle: ((body: string | undefined) => void) | undefined

  function finish(body: string | undefined): void {
    text = ''
    settle?.(body)
    settle = undefined
  }
  function open(): Socket {
    const opened = connect(port, '127.0.0.1')
    opened.setNoDelay(true)
    opened.setEncoding('latin1')
    opened.setTimeout(ANSWER_TIMEOUT_MS, () => opened.destroy())
    opened.on('error', () => opened.destroy())
    opened.on('data', (chunk) => {
      text += String(chunk)
      const body = readBody(text)
      if (body !== undefined) finish(body)
    })
    opened.on('close', () => {
      if (socket !== opened) return
      socket = undefined
      finish(undefined)
    })
    return opened
  }
  return {
    opened: () =>
      new Promise<void>((resolve, reject) => {
        socket = open()
        socket.once('connect', resolve)
        socket.once('error', reject)
      }),
    ask: (request: string) =>
      new Promise<string | undefined>((resolve) => {
        settle = resolve
        socket ??= open()
        socket.write(request, 'latin1')
      }),
    close: () => socket?.destroy(),
  }
}

takeOrders(async ({ tag, callers, max, port = 0 }) => {
  const requests = Array.from({ length: max }, (_, seq) => mintRequest(port, tag, seq))
  const connections = Array.from({ length: callers }, () => httpConnection(port))
  await Promise.all(connections.map((connection) => connection.opened()))
  const caller = (connection: ReturnType<typeof httpConnection>): Caller => {
    return async (seq) => (await connection.ask(requests[seq] ?? ''))?.includes('"error":0') ?? false
  }
  const close = () => {
    for (const connection of connections) connection.close()
  }
  return { callers: connections.map(caller), close }
})
