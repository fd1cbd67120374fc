/**
 * Owns a slow and talkative SMTP dialogue, one command at a time over plain sockets: unlike the transport it has to see
 * the certificate of a connection it would never use, and the exact reply at each step.
 */
import net from 'node:net'
import tls from 'node:tls'

/** A reply of the relay: its three digits and its lines without them (RFC 5321 4.2). */
export interface Reply {
  readonly code: number
  readonly lines: readonly string[]
}

/** `SILENCE`, `CLOSED`, `NOT_SMTP`, or the system's or TLS's own code. */
export class DialogueError extends Error {
  override readonly name = 'DialogueError'
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

export interface Place {
  readonly host: string
  readonly port: number
}

export interface Patience {
  /** The longest wait for one answer. */
  readonly stageMs: number
  /** Ends everything at once. */
  readonly signal: AbortSignal
}

export interface Dialogue {
  /** The next reply, without saying anything. */
  hear(): Promise<Reply>
  say(line: string): Promise<Reply>
  /** Forgets what came and stops listening: the socket belongs to TLS now. */
  leave(): void
}

const maxReply = 64 * 1024

/** One connection. What lies on top is what is spoken over and closed: closing a socket under TLS can crash Node 24. */
export interface Line {
  top: net.Socket | tls.TLSSocket
  readonly close: () => void
}

/** Rejects with a `DialogueError`; so does `encrypt`. */
export async function connectTo(place: Place, { stageMs, signal }: Patience): Promise<Line> {
  const line: Line = {
    top: net.connect({ host: place.host, port: place.port, noDelay: true }),
    close: () => line.top.destroy(),
  }
  signal.addEventListener('abort', line.close, { once: true })
  await opened(line.top, 'connect', stageMs)
  return line
}

/**
 * TLS over a connected line, 1.2 or newer. The certificate is not verified here: the caller has to ask `authorized`
 * before anything confidential is said.
 */
export async function encrypt(line: Line, host: string, { stageMs }: Patience): Promise<tls.TLSSocket> {
  const secured = tls.connect({
    socket: line.top,
    host,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ...(net.isIP(host) === 0 && { servername: host }),
  })
  line.top = secured
  await opened(secured, 'secureConnect', stageMs)
  return secured
}

function opened(socket: net.Socket, event: string, stageMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (code: string) => {
    reject(new DialogueError(code))
    socket.destroy()
  }
  const timer = setTimeout(fail, stageMs, 'SILENCE')
  // Stays for the life of the socket: an error nobody listens to would end the process.
  socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? 'CLOSED'))
  socket.once('close', () => fail('CLOSED'))
  socket.once(event, () => resolve())
  return promise.finally(() => clearTimeout(timer))
}

export function dialogueOver(socket: net.Socket, { stageMs }: Patience): Dialogue {
  let heard = ''
  let broken: string | undefined
  let wake = () => {}
  const take = (chunk: Buffer) => {
    heard += chunk.toString('latin1')
    wake()
  }
  const lost = () => {
    broken = 'CLOSED'
    wake()
  }
  socket.on('data', take)
  socket.once('end', lost)
  socket.once('close', lost)

  async function hear(): Promise<Reply> {
    const deadline = Date.now() + stageMs
    for (;;) {
      const reply = nextReply()
      if (reply) return reply
      if (broken) throw new DialogueError(broken)
      if (Date.now() >= deadline) throw new DialogueError('SILENCE')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now())
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  function nextReply(): Reply | undefined {
    const lines: string[] = []
    let rest = heard
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const [, code, more, text] = /^(\d{3})(?:([ -])(.*?))?\r?$/.exec(rest.slice(0, end)) ?? []
      if (code === undefined) throw new DialogueError('NOT_SMTP')
      lines.push(text ?? '')
      rest = rest.slice(end + 1)
      if (more === '-') continue
      heard = rest
      return { code: Number(code), lines }
    }
    if (heard.length > maxReply || /^(?!\d{0,3}$|\d{3}[ \r-])/.test(heard.slice(0, 4)))
      throw new DialogueError('NOT_SMTP')
    return undefined
  }

  return {
    hear,
    say(line) {
      socket.write(`${line}\r\n`)
      return hear()
    },
    leave() {
      heard = ''
      socket.off('data', take)
      socket.off('end', lost)
      socket.off('close', lost)
    },
  }
}
