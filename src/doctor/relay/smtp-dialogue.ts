/**
 * Owns an SMTP dialogue, one command at a time over plain sockets. The doctor cannot use the transport for it: it has to
 * see the certificate of a connection that the transport would refuse, and the exact reply to each command.
 */
import net from 'node:net'
import tls from 'node:tls'
import type { SmtpRelayConfig } from '../../relay-config.ts'
import { within } from '../../timers.ts'
import { CheckStopped, codeOf } from '../finding.ts'

/** A reply of the relay: its three digits, and its lines without them (RFC 5321 4.2). */
export interface Reply {
  readonly code: number
  readonly lines: readonly string[]
}

/** `SILENCE`, `CLOSED`, `NOT_SMTP`, or the code of the system or of TLS. */
export class DialogueError extends Error {
  override readonly name = 'DialogueError'
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

export interface WaitLimits {
  /** The longest wait for one answer. */
  readonly stageMs: number
  /** Closes every connection at once. */
  readonly signal: AbortSignal
}

export interface Dialogue {
  /** The next reply, without sending anything. */
  readReply(): Promise<Reply>
  send(command: string): Promise<Reply>
  /** Stops reading and drops what was read, so that TLS can take over the socket. */
  detach(): void
}

const maxReply = 64 * 1024

export interface Connection {
  /** The outermost socket: that of TLS once there is one. Closing the one below it can crash Node 24. */
  socket: net.Socket | tls.TLSSocket
  readonly close: () => void
}

/** Rejects with a `DialogueError`; so does `encrypt`. */
export async function connectTo(
  { host, port }: Pick<SmtpRelayConfig, 'host' | 'port'>,
  { stageMs, signal }: WaitLimits,
): Promise<Connection> {
  const connection: Connection = {
    socket: net.connect({ host, port, noDelay: true }),
    close: () => connection.socket.destroy(),
  }
  signal.addEventListener('abort', connection.close, { once: true })
  await waitForEvent(connection.socket, 'connect', stageMs)
  return connection
}

/**
 * TLS 1.2 or newer over an open connection. It does not verify the certificate: the caller has to look at `authorized`
 * before it sends anything confidential.
 */
export async function encrypt(
  connection: Connection,
  host: string,
  { stageMs }: WaitLimits,
): Promise<tls.TLSSocket> {
  const secured = tls.connect({
    socket: connection.socket,
    host,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ...(net.isIP(host) === 0 && { servername: host }),
  })
  connection.socket = secured
  await waitForEvent(secured, 'secureConnect', stageMs)
  return secured
}

async function waitForEvent(socket: net.Socket, event: string, stageMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<'opened'>()
  // stays for the life of the socket: an error without a listener ends the process
  socket.on('error', (error: NodeJS.ErrnoException) => reject(new DialogueError(error.code ?? 'CLOSED')))
  socket.once('close', () => reject(new DialogueError('CLOSED')))
  socket.once(event, () => resolve('opened'))
  try {
    if ((await within(stageMs, promise)) === undefined) throw new DialogueError('SILENCE')
  } catch (error) {
    socket.destroy()
    throw error
  }
}

export function dialogueOver(socket: net.Socket, { stageMs }: WaitLimits): Dialogue {
  let received = ''
  let isClosed = false
  let wake = () => {}
  const onData = (chunk: Buffer) => {
    received += chunk.toString('latin1')
    wake()
  }
  const onClose = () => {
    isClosed = true
    wake()
  }
  socket.on('data', onData)
  socket.once('end', onClose)
  socket.once('close', onClose)

  async function readReply(): Promise<Reply> {
    const deadline = performance.now() + stageMs
    for (;;) {
      const reply = takeReply()
      if (reply) return reply
      if (isClosed) throw new DialogueError('CLOSED')
      const leftMs = deadline - performance.now()
      if (leftMs <= 0) throw new DialogueError('SILENCE')
      await within(leftMs, new Promise<void>((resolve) => (wake = resolve)))
    }
  }

  /** Takes the first whole reply out of what was received. */
  function takeReply(): Reply | undefined {
    const lines: string[] = []
    let rest = received
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const [, code, more, text] = /^(\d{3})(?:([ -])(.*?))?\r?$/.exec(rest.slice(0, end)) ?? []
      if (code === undefined) throw new DialogueError('NOT_SMTP')
      lines.push(text ?? '')
      rest = rest.slice(end + 1)
      if (more === '-') continue
      received = rest
      return { code: Number(code), lines }
    }
    if (received.length > maxReply || /^(?!\d{0,3}$|\d{3}[ \r-])/.test(received.slice(0, 4)))
      throw new DialogueError('NOT_SMTP')
    return undefined
  }

  return {
    readReply,
    send(command) {
      socket.write(`${command}\r\n`)
      return readReply()
    },
    detach() {
      received = ''
      socket.off('data', onData)
      socket.off('end', onClose)
      socket.off('close', onClose)
    },
  }
}

/** Fails with a sentence when the relay does not answer. */
export async function expectReply(reply: Promise<Reply>, command: string): Promise<Reply> {
  try {
    return await reply
  } catch (error) {
    const what = codeOf(error) === 'SILENCE' ? 'does not answer' : 'closes the connection at'
    throw new CheckStopped(`the relay ${what} ${command}`, 'Try again; if it stays so, ask its operator.')
  }
}
