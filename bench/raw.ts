/**
 * Owns sender (c), the limit: one mail at a time per connection, MAIL, RCPT and DATA in one flight, then the message
 * in one flight. The message is prebuilt; only the recipient is written into it.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as encrypt } from 'node:tls'
import { takeOrders } from './drive.ts'
import { recipientOf } from './marker.ts'
import type { RelayTarget, Sample } from './sample.ts'

const target: RelayTarget = JSON.parse(process.argv[2] ?? '{}')
const sample: Sample = JSON.parse(readFileSync(target.sampleFile, 'utf8'))
const ca = readFileSync(target.certFile)

/** Sends `bytes` and resolves to the codes of the replies, once there are `replies` of them. */
type Exchange = (bytes: string | Buffer, replies: number) => Promise<string>

function conversation(socket: Socket): Exchange {
  let text = ''
  let codes: string[] = []
  let wanted = 0
  let settle: ((codes: string) => void) | undefined
  const lines = (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
      if (text[3] !== '-') codes.push(text.slice(0, 3))
      text = text.slice(end + 2)
    }
    if (settle && codes.length >= wanted) finish()
  }
  const finish = () => {
    const all = codes.join(' ')
    codes = []
    settle?.(all)
    settle = undefined
  }
  socket.setEncoding('latin1')
  socket.on('data', lines)
  socket.on('close', finish)
  socket.on('error', () => socket.destroy())
  return (bytes, replies) =>
    new Promise((resolve) => {
      wanted = replies
      settle = resolve
      if (bytes.length > 0) socket.write(bytes)
    })
}

async function expect(got: Promise<string>, wanted: string): Promise<void> {
  const codes = await got
  if (codes !== wanted) throw new Error(`the sink said ${codes || 'nothing'} instead of ${wanted}`)
}

async function login(): Promise<Exchange> {
  const plain = connect(target.port, '127.0.0.1')
  plain.setNoDelay(true)
  const clear = conversation(plain)
  await expect(clear('', 1), '220')
  await expect(clear('EHLO bench\r\n', 1), '250')
  await expect(clear('STARTTLS\r\n', 1), '220')
  plain.removeAllListeners('data')
  const exchange = conversation(encrypt({ socket: plain, servername: 'localhost', ca }))
  await expect(exchange('EHLO bench\r\n', 1), '250')
  const proof = Buffer.from(`\0${target.user}\0${target.password}`).toString('base64')
  await expect(exchange(`AUTH PLAIN ${proof}\r\n`, 1), '235')
  return exchange
}

async function sender(): Promise<(recipient: string) => Promise<boolean>> {
  const exchange = await login()
  const message = Buffer.from(`${sample.raw}.\r\n`, 'latin1')
  const at = message.indexOf(sample.recipient)
  return async (recipient) => {
    message.write(recipient, at, 'latin1')
    const envelope = `MAIL FROM:<${sample.sender}>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`
    if ((await exchange(envelope, 3)) !== '250 250 354') return false
    return (await exchange(message, 1)) === '250'
  }
}

const senders = Promise.all(Array.from({ length: target.connections }, sender))

takeOrders(async ({ tag }) => ({
  callers: (await senders).map((send) => (seq) => send(recipientOf(tag, seq))),
}))
