/**
 * Owns the bound on what a relay may say: nodemailer 10.6 bounds a single reply, but not how many lines come unasked.
 *
 * An empty line costs it a turn of the event loop and a move of all lines behind it, also after the connection was
 * closed. A relay, or whoever sits before it where TLS has not begun, blocked the loop for 15 s with nothing but line
 * breaks and filled 360 MB. `_onData` is not public: a nodemailer without it fails the first test that connects.
 */
import { SMTPConnection } from '../nodemailer.ts'

/** Bytes from the start of the connection or of a mail. Greeting, EHLO and login take about 1 KiB, a mail less. */
const maxHeard = 16 * 1024

type Hear = (this: SMTPConnection, chunk: Buffer) => void
// oxlint-disable-next-line no-unsafe-type-assertion -- see above
const { _onData: hear } = SMTPConnection.prototype as unknown as { _onData: Hear }

export class BoundedConnection extends SMTPConnection {
  #heard = 0

  override send(...mail: Parameters<SMTPConnection['send']>): void {
    this.#heard = 0
    super.send(...mail)
  }

  _onData(chunk: Buffer): void {
    this.#heard += chunk.length
    if (this.#heard <= maxHeard) hear.call(this, chunk)
    else this.emit('error', Object.assign(new Error('the relay says too much'), { code: 'EPROTOCOL' }))
  }
}
