/**
 * Owns the SMTP server that all senders share: STARTTLS and AUTH are required, every mail is taken and counted by
 * its recipient, none is kept. Answers the commands of one flight in one flight, after `rttMs` (the handshake is not
 * delayed). It does little on purpose, so that it never limits a sender.
 */
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import { answer } from './ipc.ts'
import { listenLocally } from './listen.ts'
import { readRecipient } from './marker.ts'

/** How the mails of one order arrived. `misaddressed`: the header does not name the recipient of the envelope. */
export interface Tally {
  readonly missing: number
  readonly duplicates: number
  readonly misaddressed: number
  readonly strangers: number
}

/** What the driver reports about the order `tag`. */
export interface Claimed {
  readonly tag: number
  readonly issued: number
  readonly failed: readonly number[]
}

const EXTENSIONS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES']
const DOT = Buffer.from('\r\n.\r\n')
const EMPTY = Buffer.alloc(0)
const MAX_LINE = 2048
const MAX_MESSAGE = 1024 * 1024

const [keyFile = '', certFile = '', user = '', password = ''] = process.argv.slice(2)
const secureContext = createSecureContext({ key: readFileSync(keyFile), cert: readFileSync(certFile) })
const credentials = Buffer.from(`\0${user}\0${password}`).toString('base64')

const arrivals = new Map<number, number[]>()
let rttMs = 0
let misaddressed = 0
let strangers = 0
let capture: ((message: string) => void) | undefined

function record(recipients: string[], message: Buffer): void {
  if (capture) {
    capture(message.toString('latin1'))
    capture = undefined
  }
  const [recipient = ''] = recipients
  const mail = recipients.length === 1 ? readRecipient(recipient) : undefined
  if (!mail) {
    strangers++
    return
  }
  if (!message.includes(recipient, 0, 'latin1')) misaddressed++
  const counts = arrivals.get(mail.tag) ?? []
  arrivals.set(mail.tag, counts)
  counts[mail.seq] = (counts[mail.seq] ?? 0) + 1
}

/** A failed mail may have arrived once (its answer was lost), an accepted one must have. */
function tally(orders: Claimed[]): Tally {
  let missing = 0
  let duplicates = 0
  for (const { tag, issued, failed } of orders) {
    const counts = arrivals.get(tag) ?? []
    const excused = new Set(failed)
    for (let seq = 0; seq < Math.max(issued, counts.length); seq++) {
      const count = counts[seq] ?? 0
      if (count > 1) duplicates += count - 1
      if (count === 0 && !excused.has(seq)) missing++
      if (count > 0 && seq >= issued) strangers++
    }
  }
  return { missing, duplicates, misaddressed, strangers }
}

/** What AUTH PLAIN would have sent in place of the two lines of AUTH LOGIN. */
function plainProof(...lines: [name: string, secret: string]): string {
  const texts = lines.map((line) => Buffer.from(line, 'base64').toString())
  return Buffer.from(`\0${texts.join('\0')}`).toString('base64')
}

function serve(socket: Socket): void {
  let stream: Socket = socket
  let secure = false
  let welcome = false
  let recipients: string[] = []
  let inMessage = false
  let buffer: Buffer = EMPTY
  let searched = 0
  let out = ''
  /** Takes the next line instead of `command`, during AUTH. */
  let takeLine: ((line: string) => string) | undefined

  function login(proof: string): string {
    takeLine = undefined
    welcome = proof === credentials
    return welcome ? '235 2.7.0 Welcome' : '535 5.7.8 Wrong credentials'
  }

  function askLogin(name?: string): string {
    const askPassword = (given: string) => {
      takeLine = (secret) => login(plainProof(given, secret))
      return '334 UGFzc3dvcmQ6'
    }
    if (name) return askPassword(name)
    takeLine = askPassword
    return '334 VXNlcm5hbWU6'
  }

  function authenticate(line: string): string {
    const [, mechanism = '', initial] = line.split(' ')
    if (!secure) return '538 5.7.11 Encryption required'
    if (mechanism.toUpperCase() === 'LOGIN') return askLogin(initial)
    if (mechanism.toUpperCase() !== 'PLAIN') return '504 5.5.4 Unknown mechanism'
    if (initial) return login(initial)
    takeLine = login
    return '334 '
  }

  function command(line: string): string {
    const verb = line.slice(0, 4).toUpperCase()
    if (verb === 'EHLO') {
      const offers = ['localhost', ...EXTENSIONS, secure ? 'AUTH PLAIN LOGIN' : 'STARTTLS']
      return offers.map((offer, i) => `250${i === offers.length - 1 ? ' ' : '-'}${offer}`).join('\r\n')
    }
    if (verb === 'AUTH') return authenticate(line)
    if (verb === 'NOOP') return '250 2.0.0 Ok'
    if (verb === 'QUIT') return '221 2.0.0 Bye'
    if (!welcome) return '530 5.7.0 STARTTLS and AUTH first'
    if (verb === 'MAIL' || verb === 'RSET') {
      recipients = []
      return '250 2.0.0 Ok'
    }
    if (verb === 'RCPT') {
      recipients.push(/<([^>]*)>/.exec(line)?.[1] ?? '')
      return '250 2.1.5 Ok'
    }
    if (verb !== 'DATA') return '500 5.5.1 Unknown command'
    if (recipients.length === 0) return '503 5.5.1 RCPT first'
    inMessage = true
    return '354 Go ahead'
  }

  /** Handles one line or one message at the front of the buffer; false when there is none yet. */
  function step(): boolean {
    const end = buffer.indexOf(inMessage ? DOT : '\r\n', searched)
    if (end < 0) {
      searched = Math.max(0, buffer.length - DOT.length)
      if (buffer.length > (inMessage ? MAX_MESSAGE : MAX_LINE)) stream.destroy()
      return false
    }
    searched = 0
    if (inMessage) {
      record(recipients, buffer.subarray(0, end + 2))
      buffer = buffer.subarray(end + DOT.length)
      inMessage = false
      out += '250 2.0.0 Taken\r\n'
      return true
    }
    const line = buffer.toString('latin1', 0, end)
    buffer = buffer.subarray(end + 2)
    if (!secure && line.toUpperCase() === 'STARTTLS') {
      encrypt()
      return false
    }
    out += `${(takeLine ?? command)(line)}\r\n`
    return true
  }

  function encrypt(): void {
    socket.write('220 2.0.0 Go ahead\r\n')
    socket.removeAllListeners('data')
    buffer = EMPTY
    secure = true
    stream = new TLSSocket(socket, { isServer: true, secureContext })
    stream.on('data', feed)
    stream.on('error', () => stream.destroy())
  }

  function feed(chunk: Buffer): void {
    buffer = buffer.length > 0 ? Buffer.concat([buffer, chunk]) : chunk
    while (step());
    if (out === '') return
    const flight = out
    out = ''
    if (rttMs > 0 && secure) setTimeout(() => stream.write(flight, 'latin1'), rttMs)
    else stream.write(flight, 'latin1')
  }

  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', feed)
  socket.write('220 localhost ESMTP sink\r\n')
}

const listening = listenLocally(createServer(serve))

answer({
  port: () => listening,
  delay: (ms: number) => {
    rttMs = ms
  },
  /** The next mail as it came, latin1. */
  capture: () =>
    new Promise<string>((taken) => {
      capture = taken
    }),
  tally,
})
