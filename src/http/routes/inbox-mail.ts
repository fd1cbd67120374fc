/**
 * Owns what the inbox shows of one mail: the two JSON shapes and the links a reader could follow.
 * What a hostile mail says is passed on as text; making it harmless is the business of the page and its headers.
 */
import type { Address, Email } from 'postal-mime'
import type { Mailbox } from '../../message.ts'
import type { InboxMail } from '../../dev/inbox-server.ts'

export interface MailSummary {
  readonly id: string
  readonly from: Mailbox
  readonly to: readonly Mailbox[]
  readonly subject: string
  /** When the inbox took it, ISO 8601. The sender's own Date is among the headers. */
  readonly date: string
  /** Bytes of the source. */
  readonly size: number
}

/** A line of the list: the summary, and how many later requests were answered with this mail. */
export interface MailRow extends MailSummary {
  readonly repeats: number
}

export interface MailDetail extends MailSummary {
  readonly envelope: InboxMail['envelope']
  /** In the order of the mail, unfolded, encoded words decoded. */
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  readonly text: string | null
  readonly html: string | null
  /** http and https only, in the order of the HTML part, then what only the text part has. At most 50. */
  readonly links: readonly string[]
  /** The first of them: the one behind the button. */
  readonly link: string | null
  /** The access key or one-time code, which stands alone on its line. */
  readonly code: string | null
}

const headerBytes = 64 * 1024
const summaries = new WeakMap<InboxMail, Promise<MailSummary>>()

/** Reads only the header block, once per mail, because the page polls the list. */
export function summarizeMail(mail: InboxMail): Promise<MailSummary> {
  const known = summaries.get(mail)
  if (known) return known
  const summary = parse(headerBlock(mail)).then((email) => summaryOf(mail, email))
  summaries.set(mail, summary)
  return summary
}

/** Reads the whole mail. One that cannot be parsed (MIME nested beyond all measure) still shows its headers. */
export async function readMail(mail: InboxMail): Promise<MailDetail> {
  const { decodeWords } = await import('postal-mime')
  const email = await parse(mail.source).catch(() => parse(headerBlock(mail)))
  const text = partOf(email.text)
  const html = partOf(email.html)
  const links = findLinks(html ?? '', text ?? '')
  return {
    ...summaryOf(mail, email),
    envelope: mail.envelope,
    headers: email.headers.map(({ originalKey, value }) => ({
      name: originalKey,
      value: decodeWords(value),
    })),
    text,
    html,
    links,
    link: links[0] ?? null,
    code: findCode(text ?? ''),
  }
}

/** The indented line of our own mails, else a line of digits alone. */
function findCode(text: string): string | null {
  const line = /^ {4}(\S{1,256})$/m.exec(text) ?? /^(\d{4,8})$/m.exec(text)
  return line?.[1] ?? null
}

async function parse(source: Buffer): Promise<Email> {
  const { default: PostalMime } = await import('postal-mime')
  return PostalMime.parse(source)
}

/** The parser ends each part with a line break that belongs to the boundary (RFC 2046 5.1.1), not to the part. */
function partOf(content: string | undefined): string | null {
  return content?.replace(/\n$/, '') ?? null
}

function headerBlock({ source }: InboxMail): Buffer {
  const end = source.indexOf('\r\n\r\n')
  return source.subarray(0, end === -1 ? headerBytes : Math.min(end + 4, headerBytes))
}

function summaryOf(mail: InboxMail, email: Email): MailSummary {
  return {
    id: mail.id,
    from: mailboxes(email.from && [email.from])[0] ?? { name: '', address: mail.envelope.from },
    to: mailboxes(email.to),
    subject: email.subject ?? '',
    date: mail.receivedAt.toISOString(),
    size: mail.source.length,
  }
}

function mailboxes(addresses: Address[] = []): Mailbox[] {
  return addresses
    .flatMap((entry) => entry.group ?? [entry])
    .map(({ name, address }) => ({ name, address: address ?? '' }))
}

/** Every pattern stops at the character it starts with, so that no mail makes them slow. */
function findLinks(html: string, text: string): string[] {
  const inHtml = [...html.matchAll(/<a\s[^<>]*>/gi)].map(([tag]) => {
    const [, double, single, bare] = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(tag) ?? []
    return decodeEntities(double ?? single ?? bare ?? '').trim()
  })
  const inText = [...text.matchAll(/https?:\/\/[^\s<>"]+/gi)].map(([url]) =>
    inHtml.includes(url) ? url : url.replace(/[.,;:!?)\]']+$/, ''),
  )
  return [...new Set([...inHtml, ...inText])].filter(isWebLink).slice(0, 50)
}

function isWebLink(link: string): boolean {
  return /^https?:\/\//i.test(link) && URL.canParse(link)
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decodeEntities(value: string): string {
  return value.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{2,4}));/gi, (entity, hex, decimal, name) => {
    if (name) return named[name.toLowerCase()] ?? entity
    const code = hex ? Number.parseInt(hex, 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : entity
  })
}
