/**
 * Owns the inbox of a development machine: a real SMTP server on loopback that keeps the newest mails in memory.
 * It takes every mail (no TLS, no login, no unknown recipient) and never reads one.
 */
import { randomBytes } from 'node:crypto'
import { portOf } from '../port.ts'
import type { SMTPServer, SMTPServerEnvelope } from 'smtp-server'

export interface InboxMail {
  /** Ten hexadecimal digits. */
  readonly id: string
  readonly receivedAt: Date
  /** What MAIL FROM and RCPT TO said, whatever the headers claim. An empty `from` is the null sender. */
  readonly envelope: { readonly from: string; readonly to: readonly string[] }
  /** The mail exactly as it came over the wire, dot-stuffing undone. */
  readonly source: Buffer
}

export interface InboxOptions {
  /** Mails kept; the oldest go first. */
  readonly max?: number
  /** Bytes of one mail; a larger one is refused with 552. */
  readonly maxBytes?: number
  /** Bytes of all mails together; the oldest go first, the newest stays in any case. */
  readonly maxTotalBytes?: number
  readonly host?: string
  /** 0 takes a free one. */
  readonly port?: number
  readonly now?: () => Date
}

export interface Inbox {
  readonly port: number
  /** Newest first. */
  list(): InboxMail[]
  find(id: string): InboxMail | undefined
  clear(): void
  close(): Promise<void>
}

const mebibyte = 1024 * 1024

/** Opens the inbox. Rejects with the socket's own error when the port cannot be had. */
export async function openInbox(options: InboxOptions = {}): Promise<Inbox> {
  const { maxBytes = mebibyte, host = '127.0.0.1', port = 0, now = () => new Date() } = options
  const mails = boundedMails(options.max ?? 200, options.maxTotalBytes ?? 32 * mebibyte)
  // Loaded here and not above: it takes some 70 ms, which a service with a relay of its own never has to pay.
  const smtp = await import('smtp-server')
  const server = new smtp.SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    // Without it the server hangs up after ten commands of a client that never logs in.
    authOptional: true,
    disableReverseLookup: true,
    size: maxBytes,
    rejectOversized: true,
    maxClients: 256,
    maxRecipients: 100,
    // RFC 5321 4.5.3.2.7: a client may be silent for five minutes. Ours keeps its connections.
    socketTimeout: 300_000,
    closeTimeout: 200,
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => {
        // Read to the end all the same: the server answers (552 by itself) only then.
        if (stream.sizeExceeded) chunks.length = 0
        else chunks.push(chunk)
      })
      stream.on('end', () => {
        if (stream.sizeExceeded) return done()
        const id = randomBytes(5).toString('hex')
        const { envelope } = session
        mails.keep({ id, receivedAt: now(), envelope: addressesOf(envelope), source: Buffer.concat(chunks) })
        return done(null, `Kept as ${id}`)
      })
    },
  })
  return {
    port: await listen(server, port, host),
    list: mails.list,
    find: mails.find,
    clear: mails.clear,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

function boundedMails(max: number, maxTotalBytes: number) {
  const mails = new Map<string, InboxMail>()
  let totalBytes = 0
  return {
    list: () => [...mails.values()].toReversed(),
    find: (id: string) => mails.get(id),
    clear: () => {
      mails.clear()
      totalBytes = 0
    },
    keep: (mail: InboxMail) => {
      mails.set(mail.id, mail)
      totalBytes += mail.source.length
      for (const oldest of mails.values()) {
        if (oldest === mail || (mails.size <= max && totalBytes <= maxTotalBytes)) break
        mails.delete(oldest.id)
        totalBytes -= oldest.source.length
      }
    },
  }
}

function addressesOf({ mailFrom, rcptTo }: SMTPServerEnvelope): InboxMail['envelope'] {
  return { from: mailFrom ? mailFrom.address : '', to: rcptTo.map((recipient) => recipient.address) }
}

function listen(server: SMTPServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      // A client that drops its connection must not end the program that hosts the inbox.
      server.on('error', () => {})
      resolve(portOf(server.server))
    })
  })
}
