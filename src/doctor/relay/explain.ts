/** Owns the sentences about what a relay does wrong: what it means, and what a person can do. */
import { CheckStopped } from '../finding.ts'
import { hostAndPort, type SmtpRelay } from './operator-hints.ts'
import type { Reply } from './smtp-dialogue.ts'

const maxQuote = 160

/** The reply in the relay's own words. They may be hostile, so only printable ASCII of a bounded length passes. */
export function quoteReply({ code, lines }: Reply): string {
  const text = lines
    .join(' ')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
  return `${code} ${text.length > maxQuote ? `${text.slice(0, maxQuote)}…` : text}`.trim()
}

export function nameTrouble(host: string, code: string): CheckStopped {
  if (code === 'ENOTFOUND')
    return new CheckStopped(
      `there is no host named ${host}`,
      'Correct the host name; it is probably misspelt.',
    )
  return new CheckStopped(
    `the name ${host} could not be looked up (${code})`,
    'Check the name, and whether this machine reaches its DNS server.',
  )
}

const blocked25 =
  'Most hosts and clouds block outgoing port 25: use the submission port of the relay, 587 (smtp://) or 465 (smtps://).'

export function connectTrouble(
  relay: Pick<SmtpRelay, 'host' | 'port'>,
  code: string,
  waitedMs: number,
): CheckStopped {
  const { port } = relay
  const place = hostAndPort(relay)
  const usual = 'Check host and port (587 with smtp://, 465 with smtps://), and whether the relay is running.'
  if (code === 'SILENCE' || code === 'ETIMEDOUT') {
    const says = `no answer from ${place} within ${waitedMs / 1000} s: something on the way drops the connection`
    return new CheckStopped(
      says,
      port === 25
        ? blocked25
        : `Open port ${port} in the firewall, or use another port of the relay (2525, 465).`,
    )
  }
  if (code === 'ECONNREFUSED')
    return new CheckStopped(
      `nothing listens at ${place}`,
      port === 25 ? `Is the relay running? ${blocked25}` : usual,
    )
  return new CheckStopped(`${place} cannot be reached (${code})`, port === 25 ? blocked25 : usual)
}

/** `answer` is a reply other than 220, or the code of the error that came instead. */
export function greetingTrouble(relay: SmtpRelay, answer: string): CheckStopped {
  const place = hostAndPort(relay)
  if (answer === 'SILENCE')
    return new CheckStopped(
      `${place} takes the connection and then sends nothing`,
      'Check the port; some relays also greet addresses they distrust very slowly.',
    )
  if (answer === 'NOT_SMTP')
    return new CheckStopped(`the server at ${place} does not speak SMTP`, 'Check host and port.')
  if (/^\d/.test(answer))
    return new CheckStopped(
      `the relay refuses the connection: ${answer}`,
      answer.startsWith('4')
        ? 'The relay says that this is temporary: try again in a few minutes.'
        : 'The address of this machine may be on a blocklist; ask the operator of the relay.',
    )
  return new CheckStopped(
    `${place} takes the connection and closes it at once`,
    'The relay may block the address of this machine; ask its operator.',
  )
}

export function loginTrouble(variables: string, reply: Reply): CheckStopped {
  if (reply.code >= 400 && reply.code < 500)
    return new CheckStopped(
      `the relay cannot check the login just now: ${quoteReply(reply)}`,
      'Try again in a few minutes.',
    )
  return new CheckStopped(
    `login refused: ${quoteReply(reply)}`,
    `Check user and password in ${variables}; in a URL they are percent-encoded.`,
  )
}

/** Of the reply only the codes: its text may repeat the token. */
export function tokenLoginTrouble(variables: string, { code, lines }: Reply): CheckStopped {
  const [enhanced] = /^[245]\.\d{1,3}\.\d{1,3}\b/.exec(lines[0] ?? '') ?? []
  const reply = enhanced === undefined ? `${code}` : `${code} ${enhanced}`
  if (code >= 400 && code < 500)
    return new CheckStopped(
      `the relay cannot check the login just now: ${reply}`,
      'Try again in a few minutes.',
    )
  return new CheckStopped(
    `there is an access token, but the relay refuses it: ${reply}`,
    `Check the user in ${variables}, and what the application or the service account may do for this mailbox: docs/relays.md, "Login by XOAUTH2".`,
  )
}

/** The token endpoint has given no token. */
export function tokenTrouble(status: number | undefined, cause: string | undefined): CheckStopped {
  if (status === undefined)
    return new CheckStopped(
      `the token endpoint does not answer (${cause ?? 'CLOSED'})`,
      'Check the address in SMTP_OAUTH_TOKEN_URL (or token_uri of the service account), and whether this machine may reach it.',
    )
  if (status === 200)
    return new CheckStopped(
      'the token endpoint answers without an access token',
      'Check the address in SMTP_OAUTH_TOKEN_URL: it is the one that ends in /token.',
    )
  return new CheckStopped(
    `the token endpoint refuses us with ${status}`,
    'Check SMTP_OAUTH_CLIENT_ID, SMTP_OAUTH_CLIENT_SECRET (it may have expired) and SMTP_OAUTH_SCOPE, or SMTP_OAUTH_SERVICE_ACCOUNT and its delegation to the whole domain.',
  )
}

export function senderTrouble(sender: string, relay: SmtpRelay, reply: Reply): CheckStopped {
  if (reply.code === 530 && !relay.auth)
    return new CheckStopped(
      `the relay asks for a login: ${quoteReply(reply)}`,
      'Configure its user and password.',
    )
  if (reply.code >= 400 && reply.code < 500)
    return new CheckStopped(
      `the relay takes no mail just now: ${quoteReply(reply)}`,
      'Try again in a few minutes; if it stays so, look at your quota there.',
    )
  return new CheckStopped(
    `the relay refuses mail from ${sender}: ${quoteReply(reply)}`,
    `Verify ${sender.split('@')[1]} as sending domain at the relay, or set MAIL_FROM to an address it may send for.`,
  )
}
