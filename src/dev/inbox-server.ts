/**
 * Owns the inbox of a development machine: a real SMTP server on loopback that keeps the newest mails in memory.
 * It takes every mail (no TLS, no login, no unknown recipient) and never reads one.
 */
import { randomBytes } from 'node:crypto'
import { portOf } from '../port.ts'
import type { SMTPServer, SMTPServerEnvelope } from 'smtp-server'

export interface InboxMail {
  /** Of a mail of this service: the `id` of the answer to its caller. Of any other: ten hexadecimal digits. */
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
  remove(id: string): void
  clear(): void
  /** One more request was answered with this mail. */
  noteRepeat(id: string): void
  /** How many requests after the first were. */
  repeatsOf(id: string): number
  /** Calls back after each mail that comes in, until the returned function is called. */
  onMail: (listener: () => void) => () => void
  close(): Promise<void>
}

const mebibyte = 1024 * 1024

/** Opens the inbox. Rejects with the socket's own error when the port cannot be had. */
export async function openInbox(options: InboxOptions = {}): Promise<Inbox> {
  const { maxBytes = mebibyte, host = '127.0.0.1', port = 0, now = () => new Date() } = options
  const mails = boundedMails(options.max ?? 200, options.maxTotalBytes ?? 32 * mebibyte)
  const listeners = new Set<() => void>()
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
        const source = Buffer.concat(chunks)
        const id = answerIdOf(source) ?? randomBytes(5).toString('hex')
        mails.keep({ id, receivedAt: now(), envelope: addressesOf(session.envelope), source })
        for (const listener of listeners) listener()
        return done(null, `Kept as ${id}`)
      })
    },
  })
  return {
    port: await listen(server, port, host),
    ...mails,
    onMail(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

function boundedMails(max: number, maxTotalBytes: number) {
  const mails = new Map<string, InboxMail>()
  const repeats = new Map<string, number>()
  let totalBytes = 0
  const remove = (id: string) => {
    totalBytes -= mails.get(id)?.source.length ?? 0
    mails.delete(id)
    repeats.delete(id)
  }
  return {
    list: () => [...mails.values()].toReversed(),
    find: (id: string) => mails.get(id),
    remove,
    clear: () => [...mails.keys()].forEach(remove),
    noteRepeat: (id: string) => void (mails.has(id) && repeats.set(id, (repeats.get(id) ?? 0) + 1)),
    repeatsOf: (id: string) => repeats.get(id) ?? 0,
    keep: (mail: InboxMail) => {
      // the same mail once more takes the place of the earlier one
      remove(mail.id)
      mails.set(mail.id, mail)
      totalBytes += mail.source.length
      for (const oldest of mails.values()) {
        if (oldest === mail || (mails.size <= max && totalBytes <= maxTotalBytes)) break
        remove(oldest.id)
      }
    },
  }
}

const headerBytes = 64 * 1024
/** The Message-ID of a mail of this service: the id of the answer and when the mail began, or that of a preview. */
const ownMessageId = /^Message-ID:\s*<(?:([\w-]{32})-[0-9a-z]+|(preview-[0-9a-f]{16}))@/im

function answerIdOf(source: Buffer): string | undefined {
  const end = source.indexOf('\r\n\r\n')
  const head = source.subarray(0, end === -1 ? headerBytes : Math.min(end, headerBytes)).toString('latin1')
  const [, id, preview] = ownMessageId.exec(head) ?? []
  return id ?? preview
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
