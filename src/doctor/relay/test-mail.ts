/** Owns the one real mail of `--send-to`: through the transport the service uses, so that it proves what it proves. */
import { randomUUID } from 'node:crypto'
import type { Mailbox, Message, RelayReason, Transport } from '../../message.ts'
import { about, type Finding } from '../finding.ts'
import { quoteReply } from './explain.ts'

export interface TestMailOptions {
  /** The relay's name. */
  readonly name: string
  readonly transport: Transport
  readonly from: Mailbox
  readonly to: string
  /** The longest the relay may take, from the first connection to its last word. */
  readonly waitMs?: number | undefined
  /** What the relay said when it took no mail. */
  readonly sentence?: () => string | undefined
}

/** One mail, and what became of it; closes the transport. */
export async function sendTestMail(options: TestMailOptions): Promise<Finding> {
  const { name, transport, from, to, waitMs = 10_000, sentence = () => undefined } = options
  const { ok, bad } = about(`relay ${name}`)
  try {
    const { outcome, reason, reply, cause } = await transport.send(testMail(name, from, to), {
      endWithinMs: waitMs,
    })
    const why = [reason, reply, cause].filter((part) => part !== undefined).join(', ')
    if (outcome === 'sent')
      return ok(`took a mail to ${to}; its headers should say spf=pass, dkim=pass and dmarc=pass`)
    const response = sentence()
    const said = response === undefined ? '' : `; it says: ${quoteResponse(response)}`
    return bad(
      `did not take a mail to ${to} (${outcome}: ${why})${said}`,
      todoFor[reason] ?? 'What stands above says more.',
    )
  } finally {
    await transport.close()
  }
}

const todoFor: Partial<Record<RelayReason, string>> = {
  recipient: 'The relay refuses this recipient, not us: try another address.',
  sender: 'Verify the domain or the address of MAIL_FROM at the relay, or let this login send as it.',
  policy:
    'Read what the relay says: a blocked address or account, SPF, DKIM or DMARC, or the content of the mail.',
  quota: 'The account has sent all that it may for now: wait, or raise its limit at the relay.',
  relay_denied:
    'The relay does not take mails for other domains from this login: check user, password, port 587, and what the account may do.',
  size: 'The relay takes no mail of this size: raise its limit, or make the mails smaller.',
}

/** The relay's own words, bounded, printable, and without addresses. */
function quoteResponse(response: string): string {
  const [first = '', ...more] = response.split('\n')
  const lines = [
    first.slice(4),
    ...more.map((line) => line.replace(/^\d{3}[ -](?:\d\.\d{1,3}\.\d{1,3} )?/, '')),
  ]
  const masked = lines.map((line) => line.replace(/[^\s<>"'(),;:@]{1,256}@(?=[^\s<>"'(),;:@])/g, '***@'))
  return quoteReply({ code: Number(first.slice(0, 3)), lines: masked })
}

function testMail(name: string, from: Mailbox, to: string): Message {
  const text = `This mail was sent by "jwt-mailer doctor" through the relay ${name}.\n`
  return {
    id: randomUUID(),
    app: 'doctor',
    kind: 'test',
    locale: 'en',
    from,
    to: { name: '', address: to },
    subject: `jwt-mailer doctor: relay ${name} works`,
    text,
    html: [`<!doctype html><html lang="en"><title>jwt-mailer doctor</title><p>${text}</p></html>`],
    date: new Date(),
  }
}
