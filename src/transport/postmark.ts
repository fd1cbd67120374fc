/** Owns Postmark's email API as a relay: how a mail is told, and what an answer means. */
import { joinBody, type Message, type Transport } from '../message.ts'
import { oneLine } from '../mime/mime.ts'
import type { PostmarkRelayConfig } from '../relay-config.ts'
import { type ApiAnswer, fieldOf, meaningBy, type MeaningRow } from './api-answer.ts'
import { apiHeaders, quotedMailbox, recipientName } from './api-mail.ts'
import { httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface PostmarkOptions
  extends HttpsRelayOptions,
    Pick<PostmarkRelayConfig, 'serverToken' | 'messageStream'> {}

/** Sources: [H] "HTTP response codes" and [E] "API error codes" of postmarkapp.com/developer/api/overview. `code`: ErrorCode. */
const rows: readonly MeaningRow[] = [
  { status: 200, means: ['sent', 'accepted'] }, // [H]
  { code: 10, means: ['deferred', 'login'] }, // [E] 401: bad or missing token
  { code: 100, means: ['deferred', 'unavailable'] }, // [E] maintenance
  { code: 400, means: ['refused', 'sender'] }, // [E] 422: there is no such sender signature
  { code: 401, means: ['refused', 'sender'] }, // [E] 422: it is not confirmed
  { code: 405, means: ['deferred', 'quota'] }, // [E] 422: out of credits
  { code: 406, means: ['refused', 'recipient'] }, // [E] 422: inactive: it bounced or complained
  { code: 412, means: ['deferred', 'policy'] }, // [E] 422: the account waits for its approval
  { code: 413, means: ['deferred', 'policy'] }, // [E] 422: the account is not active
  { code: 300, says: /'To'/, means: ['refused', 'recipient'] }, // [E] 422: invalid 'To' address
  { code: 300, says: /'From'/, means: ['refused', 'sender'] }, // [E] 422: invalid 'From' address
  { code: 429, means: ['deferred', 'too_many'] }, // [E] 429
  { status: 413, means: ['refused', 'size'] }, // [H] more than 10 MB
  { status: 415, means: ['deferred', 'protocol'] }, // [H]
  { status: 422, means: ['refused', 'message'] }, // [H]
  { status: 500, means: ['unknown', 'unavailable'] }, // [H] "in most cases the message is lost"
  { status: 503, means: ['deferred', 'unavailable'] }, // [H] planned outage
]

export function postmarkTransport(options: PostmarkOptions): Transport {
  const headers = { 'x-postmark-server-token': options.serverToken, 'content-type': 'application/json' }
  const meaningOf = (answer: ApiAnswer) => meaningBy(rows, answer, fieldOf(answer.body, 'ErrorCode'))
  return httpsRelay(
    {
      path: '/email',
      write: (message) => ({ headers, body: JSON.stringify(mailOf(message, options.messageStream)) }),
      meaningOf,
      question: () => ({ method: 'GET', path: '/server', headers }),
      troubleIn(answer) {
        const { outcome, reason } = meaningOf(answer)
        return outcome === 'sent' || reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )
}

function mailOf(message: Message, messageStream: string): unknown {
  // Postmark keeps our Message-ID only when it is asked to
  const headers = { ...apiHeaders(message), 'X-PM-KeepID': 'true' }
  return {
    From: quotedMailbox(message.from),
    To: quotedMailbox({ name: recipientName(message), address: message.to.address }),
    ...(message.replyTo && { ReplyTo: message.replyTo }),
    Subject: oneLine(message.subject),
    TextBody: message.text,
    HtmlBody: joinBody(message.html),
    MessageStream: messageStream,
    // comes back in Postmark's webhooks
    Metadata: { mail: message.id },
    Headers: Object.entries(headers).map(([Name, Value]) => ({ Name, Value })),
    TrackOpens: false,
    TrackLinks: 'None',
  }
}
