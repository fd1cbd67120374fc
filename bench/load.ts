/**
 * Owns the callers of the service: keep-alive connections that each ask for one mail at a time, as the callers of the
 * contract do (`GET /emailservice/:token`). Tokens are minted before the clock starts, one per mail.
 */
import { createHmac } from 'node:crypto'
import { type Caller, takeOrders } from './drive.ts'
import { type HttpConnection, httpConnection } from './http-connection.ts'
import { recipientOf } from './marker.ts'

const [secret = ''] = process.argv.slice(2)

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signToken(claims: object, key: string): string {
  const input = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

/** The four claims of the original's callers; they sign the link token with a key that the service does not have. */
function mintRequest(port: number, tag: number, seq: number): string {
  const user_email = recipientOf(tag, seq)
  const link = signToken({ user_email, purpose: 'confirm', seq }, 'known to the calling app only')
  const claims = {
    user_email,
    user_aut_key: `K${tag}x${seq}`,
    email_link_url: 'https://app.example.com/confirm/',
    email_link_token: link,
  }
  return `GET /emailservice/${signToken(claims, secret)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`
}

takeOrders(async ({ tag, callers, max, port = 0 }) => {
  const requests = Array.from({ length: max }, (_, seq) => mintRequest(port, tag, seq))
  const connections = Array.from({ length: callers }, () => httpConnection(port))
  await Promise.all(connections.map((connection) => connection.opened()))
  const caller = (connection: HttpConnection): Caller => {
    return async (seq) => (await connection.ask(requests[seq] ?? ''))?.includes('"error":0') ?? false
  }
  const close = () => {
    for (const connection of connections) connection.close()
  }
  return { callers: connections.map(caller), close }
})
