/** Owns the sentences for what a relay does wrong: what it means, and what a person can do. */
import { Ailment } from '../finding.ts'
import { placeOf, type SmtpRelay } from './operator-hints.ts'
import type { Reply } from './smtp-dialogue.ts'

const maxQuote = 160

/** A relay's own words, made fit for a terminal: they say more than any of ours, and may be hostile. */
export function quote({ code, lines }: Reply): string {
  const text = lines
    .join(' ')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
  return `${code} ${text.length > maxQuote ? `${text.slice(0, maxQuote)}…` : text}`.trim()
}

export function nameTrouble(host: string, code: string): Ailment {
  if (code === 'ENOTFOUND')
    return new Ailment(`there is no host named ${host}`, 'Correct the host name; it is probably misspelt.')
  return new Ailment(
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
): Ailment {
  const { port } = relay
  const place = placeOf(relay)
  const usual = 'Check host and port (587 with smtp://, 465 with smtps://), and whether the relay is running.'
  if (code === 'SILENCE' || code === 'ETIMEDOUT') {
    const says = `no answer from ${place} within ${waitedMs / 1000} s: something on the way drops the connection`
    return new Ailment(
      says,
      port === 25
        ? blocked25
        : `Open port ${port} in the firewall, or use another port of the relay (2525, 465).`,
    )
  }
  if (code === 'ECONNREFUSED')
    return new Ailment(
      `nobody listens at ${place}`,
      port === 25 ? `Is the relay running? ${blocked25}` : usual,
    )
  return new Ailment(`${place} cannot be reached (${code})`, port === 25 ? blocked25 : usual)
}

/** `heard` is a reply other than 220, or why there was none. */
export function greetingTrouble(relay: SmtpRelay, heard: string): Ailment {
  const place = placeOf(relay)
  if (heard === 'SILENCE')
    return new Ailment(
      `${place} takes the connection and then says nothing`,
      'Check the port; some relays also greet addresses they distrust very slowly.',
    )
  if (heard === 'NOT_SMTP')
    return new Ailment(`what listens at ${place} does not speak SMTP`, 'Check host and port.')
  if (/^\d/.test(heard))
    return new Ailment(
      `the relay does not want to talk: ${heard}`,
      heard.startsWith('4')
        ? 'It says that this passes: try again in a few minutes.'
        : 'It may know the address of this machine from blocklists; ask its operator.',
    )
  return new Ailment(
    `${place} takes the connection and closes it at once`,
    'It may block the address of this machine; ask its operator.',
  )
}

export function loginTrouble(variables: string, reply: Reply): Ailment {
  if (reply.code >= 400 && reply.code < 500)
    return new Ailment(
      `the relay cannot check the login just now: ${quote(reply)}`,
      'Try again in a few minutes.',
    )
  return new Ailment(
    `login refused: ${quote(reply)}`,
    `Check user and password in ${variables}; in a URL they are percent-encoded.`,
  )
}

export function senderTrouble(sender: string, relay: SmtpRelay, reply: Reply): Ailment {
  if (reply.code === 530 && !relay.auth)
    return new Ailment(`the relay asks for a login: ${quote(reply)}`, 'Configure its user and password.')
  if (reply.code >= 400 && reply.code < 500)
    return new Ailment(
      `the relay takes no mail just now: ${quote(reply)}`,
      'Try again in a few minutes; if it stays so, look at your quota there.',
    )
  return new Ailment(
    `the relay refuses mail from ${sender}: ${quote(reply)}`,
    `Verify ${sender.split('@')[1]} as sending domain at the relay, or set MAIL_FROM to an address it may send for.`,
  )
}
