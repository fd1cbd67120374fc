/**
 * Owns one logged-in connection to a relay: how it is opened, and what goes through nodemailer's connection that its own
 * interface does not offer, which is one bound and one way to write.
 */
import type { Readable, Transform } from 'node:stream'
import { SMTPConnection } from '../mime/nodemailer.ts'
import { connectionTrouble, type SmtpError, type Trouble } from './smtp-reply.ts'

export interface RelayAddress {
  readonly host: string
  readonly port: number
  /** `starttls` and `implicit` verify the certificate; `off` is for loopback only, which the configuration checks. */
  readonly tls: 'starttls' | 'implicit' | 'off'
  readonly auth?: { readonly user: string; readonly pass: string } | undefined
  /** What we call ourselves in EHLO: the sender's domain, so that no local host name leaks. */
  readonly ehloName: string
}

/** Bytes from the start of the connection or of a mail. Greeting, EHLO and login take about 1 KiB, a mail less. */
const maxHeard = 16 * 1024

type Send = Parameters<SMTPConnection['send']>
type Hear = (this: SMTPConnection, chunk: Buffer) => void
// oxlint-disable-next-line no-unsafe-type-assertion -- see `_onData` below
const { _onData: hear } = SMTPConnection.prototype as unknown as { _onData: Hear }

export class RelayConnection extends SMTPConnection {
  readonly #auth: RelayAddress['auth']
  #heard = 0

  constructor({ host, port, tls, auth, ehloName }: RelayAddress, connectMs: number, silenceMs: number) {
    super({
      host,
      port,
      secure: tls === 'implicit',
      requireTLS: tls === 'starttls',
      ignoreTLS: tls === 'off',
      name: ehloName,
      tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true },
      connectionTimeout: connectMs,
      greetingTimeout: connectMs,
      dnsTimeout: connectMs,
      socketTimeout: silenceMs,
      socketCloseTimeout: 0,
      logger: false,
    })
    this.#auth = auth
  }

  /** Connects and logs in. `lost` may be called several times, and also later. */
  open(opened: () => void, lost: (trouble: Trouble) => void): void {
    const failed = (error: SmtpError) => lost(connectionTrouble(error))
    this.on('error', failed)
    // nodemailer reports the message's own failure right after `end`, and knows more about it than we do here
    this.on('end', () => setImmediate(lost, { reason: 'connect' }))
    this.connect((error) => {
      if (error) failed(error)
      else if (!this.#auth) opened()
      else if (!this.allowsAuth) lost({ reason: 'login_not_offered' })
      else this.login({ ...this.#auth }, (refused) => (refused ? failed(refused) : opened()))
    })
  }

  /** The relay has not answered since the last mail began. */
  get silent(): boolean {
    return this.#heard === 0
  }

  /**
   * Sends a mail whose `bytes` end with the final dot; `started` is called when the relay has asked for them, before the
   * first one leaves.
   *
   * All that nodemailer asks of a message stream is `pipe`, and it calls it when the relay has answered DATA with 354.
   * Or with 2xx, which RFC 5321 does not know there: that is the reply to another command, relay and we are out of
   * step, and what comes next would be taken for the answer to this mail.
   */
  sendBytes(envelope: Send[0], bytes: Buffer, started: () => void, done: Send[2]): void {
    const stream = {
      pipe: (destination: Transform) => {
        if (!String(this.lastServerResponse).startsWith('354')) return this.#fail('the relay is out of step')
        started()
        writeAtOnce(destination, bytes)
      },
    }
    this.#heard = 0
    // oxlint-disable-next-line no-unsafe-type-assertion -- the rest of Readable is never touched
    this.send(envelope, stream as unknown as Readable, done)
  }

  /**
   * nodemailer 10.6 bounds a single reply, but not how many lines come unasked. An empty line costs it a turn of the
   * event loop and a move of all lines behind it, also after the connection was closed: a relay, or whoever sits before
   * it where TLS has not begun, blocked the loop for 15 s with nothing but line breaks and filled 360 MB. `_onData` is
   * not public: a nodemailer without it fails the first test that connects.
   */
  _onData(chunk: Buffer): void {
    this.#heard += chunk.length
    if (this.#heard <= maxHeard) hear.call(this, chunk)
    else this.#fail('the relay says too much')
  }

  #fail(what: string): void {
    this.emit('error', Object.assign(new Error(what), { code: 'EPROTOCOL' }))
  }
}

/**
 * Mail and final dot in one write, and so in one TLS record. nodemailer's stream would write the dot by itself, and look
 * at every byte for what cannot be there (`BuildMime`): so what stands behind it is filled, not what stands before.
 */
function writeAtOnce(destination: Transform, bytes: Buffer): void {
  destination.push(bytes)
  destination.push(null)
}
