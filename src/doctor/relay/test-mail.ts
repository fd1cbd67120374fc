/** Owns the one real mail of `--send-to`: through the transport the service uses, so that it proves what it proves. */
import { randomUUID } from 'node:crypto'
import type { Mailbox, Message, Transport } from '../../message.ts'
import { about, type Finding } from '../finding.ts'

export interface TestMailOptions {
  /** The relay's name. */
  readonly name: string
  readonly transport: Transport
  readonly from: Mailbox
  readonly to: string
  /** The longest the relay may take, from the first connection to its last word. */
  readonly waitMs?: number | undefined
}

/** One mail, and what became of it; closes the transport. */
export async function sendTestMail(options: TestMailOptions): Promise<Finding> {
  const { name, transport, from, to, waitMs = 10_000 } = options
  const { ok, bad } = about(`relay ${name}`)
  try {
    const { outcome, reason, reply, cause } = await transport.send(testMail(name, from, to), {
      endWithinMs: waitMs,
    })
    const why = [reason, reply, cause].filter((part) => part !== undefined).join(', ')
    if (outcome === 'sent')
      return ok(`took a mail to ${to}; its headers should say spf=pass, dkim=pass and dmarc=pass`)
    return bad(
      `did not take a mail to ${to} (${outcome}: ${why})`,
      'What stands above says more; a "recipient" is refused for itself, so try another address.',
    )
  } finally {
    await transport.close()
  }
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
