/** Owns the mail that (b) and (c) send: the one that the service sent, or a stand-in of its size without (a). */
import MailComposer from 'nodemailer/lib/mail-composer'
import PostalMime from 'postal-mime'
import { recipientOf } from './marker.ts'

export interface Sample {
  readonly from: string
  /** The address in `from`, for the envelope. */
  readonly sender: string
  readonly subject: string
  readonly text: string
  readonly html: string
  /** As it goes over the wire, dots stuffed, ending with a line break. latin1. */
  readonly raw: string
  /** The address in `raw` that (c) replaces. */
  readonly recipient: string
}

/** Where (b) and (c) send, and what. */
export interface RelayTarget {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly certFile: string
  readonly connections: number
  readonly sampleFile: string
}

/** Takes apart the mail that the sink captured. */
export async function readSample(raw: string): Promise<Sample> {
  const mail = await PostalMime.parse(Buffer.from(raw.replaceAll('\r\n..', '\r\n.'), 'latin1'))
  const sender = mail.from?.address
  const recipient = mail.to?.[0]?.address
  if (!sender || !recipient || !mail.text || !mail.html) throw new Error('the captured mail is not whole')
  const from = mail.from?.name ? `${mail.from.name} <${sender}>` : sender
  return { from, sender, subject: mail.subject ?? '', text: mail.text, html: mail.html, raw, recipient }
}

/** About 1 KB of text and 8 KB of HTML. */
export async function standInSample(): Promise<Sample> {
  const line = 'Please confirm your address with the button below; the link is good for one day only.'
  const link = `https://app.example.com/confirm/${'eyJhbGciOiJIUzI1NiJ9'.repeat(8)}`
  const text = `${Array.from({ length: 8 }, () => line).join('\n')}\n\n${link}\n`
  const cell = `<tr><td style="padding:14px 28px;font:16px/25px sans-serif;color:#1b1e25">${line}</td></tr>\n`
  const rows = cell.repeat(44)
  const html = `<!doctype html>\n<html lang="en"><body><table role="presentation">\n${rows}</table><a href="${link}">Confirm</a></body></html>\n`
  const recipient = recipientOf(0, 0)
  const sender = 'noreply@mail.example.com'
  const content = { from: sender, to: recipient, subject: 'Confirm your address', text, html }
  const built = await new MailComposer(content).compile().build()
  const raw = `${built.toString('latin1').replaceAll('\r\n.', '\r\n..').trimEnd()}\r\n`
  return { ...content, sender, raw, recipient }
}
