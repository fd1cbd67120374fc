/**
 * Owns one logged-in connection to a relay: how it is opened, and what goes through nodemailer's connection that its own
 * interface does not offer, which is one bound and one way to write.
 */
import type { Readable, Transform } from 'node:stream'
import { SMTPConnection } from '../mime/nodemailer.ts'
import type { SMTPConnectionCustomAuthHandler } from 'nodemailer/lib/smtp-connection'
import type { PasswordLogin, SmtpRelayConfig } from '../relay-config.ts'
import { type TokenSource, xoauth2 } from './oauth-token.ts'
import { connectionTrouble, type SmtpError, type Trouble } from './smtp-reply.ts'

/** A user with a source of access tokens. */
export interface TokenLogin {
  readonly user: string
  readonly tokens: TokenSource
}

export interface RelayAddress extends Pick<SmtpRelayConfig, 'host' | 'port' | 'tls'> {
  readonly auth?: PasswordLogin | TokenLogin | undefined
  /** What we call ourselves in EHLO: the sender's domain, so that no local host name leaks. */
  readonly ehloName: string
}

/** Bytes from the start of the connection or of a mail. Greeting, EHLO and login take about 1 KiB, a mail less. */
const maxReceivedBytes = 16 * 1024

type Send = Parameters<SMTPConnection['send']>
type OnData = (this: SMTPConnection, chunk: Buffer) => void
/** The mechanisms that the relay offers, of those that nodemailer speaks. */
interface Offered {
  readonly _supportedAuth: readonly string[]
}
/** What nodemailer has received and not yet read: whole replies, and the beginning of one. */
interface Unread {
  readonly _responseQueue: readonly string[]
  readonly _remainder: string
}
// oxlint-disable-next-line no-unsafe-type-assertion -- see `_onData` below
const { _onData: onData } = SMTPConnection.prototype as unknown as { _onData: OnData }

export class RelayConnection extends SMTPConnection {
  readonly #auth: RelayAddress['auth']
  #receivedBytes = 0

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
      ...(auth && 'tokens' in auth && { customAuth: { [byToken]: logInBy(auth) } }),
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
      else if (!this.#offersLogin(this.#auth)) lost({ reason: 'login_not_offered' })
      else this.#logIn(this.#auth, (refused) => (refused ? failed(refused) : opened()))
    })
  }

  #logIn(auth: PasswordLogin | TokenLogin, done: (refused: SmtpError | null) => void): void {
    const login = 'tokens' in auth ? { method: byToken, user: auth.user } : { ...auth }
    this.login(login, done)
  }

  /** nodemailer sends a password by PLAIN where the relay offers nothing it speaks, and after HELO. */
  #offersLogin(auth: PasswordLogin | TokenLogin): boolean {
    // oxlint-disable-next-line no-unsafe-type-assertion -- not public; a test holds the field
    const { _supportedAuth: offered } = this as unknown as Offered
    return offered.some((mechanism) => (mechanism === 'XOAUTH2') === 'tokens' in auth)
  }

  /** The relay has not answered since the last mail began. */
  get silent(): boolean {
    return this.#receivedBytes === 0
  }

  /**
   * The relay has said something that no command asked for. It would be taken for the answer to the next mail. To be
   * asked between two mails and when one has failed: then every reply that was asked for is there. The 2xx is the answer
   * to DATA after a refused sender or recipient: no relay grants DATA in that way, so it answers an earlier command.
   */
  outOfStep(error?: SmtpError): boolean {
    // oxlint-disable-next-line no-unsafe-type-assertion -- not public; a test holds both fields
    const { _responseQueue: replies, _remainder: beginning } = this as unknown as Unread
    const isUnasked = replies.some(isSpoken) || isSpoken(beginning)
    return isUnasked || (error?.responseCode !== undefined && String(this.lastServerResponse).startsWith('2'))
  }

  /**
   * Sends a mail whose `bytes` end with the final dot; `started` is called when the relay has asked for them, before the
   * first one leaves.
   *
   * nodemailer asks for them when the relay has answered DATA with 354, but also with 2xx, which RFC 5321 does not know
   * there: that is the reply to another command, and the next reply would be taken for the answer to this mail.
   */
  sendBytes(envelope: Send[0], bytes: Buffer, started: () => void, done: Send[2]): void {
    const message = new OneWriteMessage(bytes, () => {
      const granted = String(this.lastServerResponse).startsWith('354')
      if (granted) started()
      else this.#fail('the relay is out of step')
      return granted
    })
    this.#receivedBytes = 0
    // oxlint-disable-next-line no-unsafe-type-assertion -- nodemailer calls `pipe` and touches nothing else of a Readable
    this.send(envelope, message as unknown as Readable, done)
  }

  /**
   * nodemailer 10.6 bounds a single reply, but not how many lines come unasked. An empty line costs it a turn of the
   * event loop and a move of all lines behind it, also after the connection was closed: a relay, or whoever sits before
   * it where TLS has not begun, blocked the loop for 15 s with nothing but line breaks and filled 360 MB. `_onData` is
   * not public: a nodemailer without it fails the first test that connects.
   */
  _onData(chunk: Buffer): void {
    this.#receivedBytes += chunk.length
    if (this.#receivedBytes <= maxReceivedBytes) onData.call(this, chunk)
    else this.#fail('the relay says too much')
  }

  #fail(what: string): void {
    this.emit('error', Object.assign(new Error(what), { code: 'EPROTOCOL' }))
  }
}

/**
 * nodemailer's own XOAUTH2 renews a token only when the relay refuses it by a challenge, and Microsoft's says 535 at
 * once. Under the name of the mechanism nodemailer would choose a password's instead.
 */
const byToken = 'BY-TOKEN'

function logInBy({ user, tokens }: TokenLogin): SMTPConnectionCustomAuthHandler {
  return async (relay) => {
    const logIn = async (token: string) => {
      const reply = await relay.sendCommand(`AUTH XOAUTH2 ${xoauth2(user, token)}`)
      // the challenge says why, the reply to an empty answer that it is a refusal
      return reply.status === 334 ? relay.sendCommand('') : reply
    }
    const token = await tokens.current()
    let { status } = await logIn(token)
    if (status === 535) ({ status } = await logIn(await tokens.renew(token)))
    if (status !== 235) throw new Error('the relay refuses the token')
  }
}

const isSpoken = (line: string) => line.trim() !== ''

/**
 * A message for nodemailer that leaves in one write, final dot included, and so in one TLS record. The stream it is piped
 * into would search every byte for what cannot be there (`BuildMime`) and write the dot by itself, so the bytes are
 * pushed to the far side of that stream. A real Readable would do the same through its buffers, which costs every mail more.
 */
class OneWriteMessage {
  readonly #bytes: Buffer
  readonly #mayLeave: () => boolean

  constructor(bytes: Buffer, mayLeave: () => boolean) {
    this.#bytes = bytes
    this.#mayLeave = mayLeave
  }

  pipe(destination: Transform): void {
    if (!this.#mayLeave()) return
    destination.push(this.#bytes)
    destination.push(null)
  }
}
