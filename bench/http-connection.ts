/** Owns one kept HTTP connection of a load: one request at a time, and as little CPU of the load as can be. */
import { connect, type Socket } from 'node:net'

const answerTimeoutMs = 30_000

export interface HttpConnection {
  opened(): Promise<void>
  /** The body of the answer. Resolves to undefined when the connection breaks or stays silent; the next request opens a new one. */
  ask(request: string): Promise<string | undefined>
  close(): void
}

export function httpConnection(port: number): HttpConnection {
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
    opened.setTimeout(answerTimeoutMs, () => opened.destroy())
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

/** The body of the response at the front of `text`, or undefined while it is incomplete. */
function readBody(text: string): string | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return undefined
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0)
  const body = text.slice(head + 4)
  return body.length >= length ? body : undefined
}
