/**
 * Owns mails that no request waits for: how long an answer takes must not tell whether there is an account, and an auth
 * library does not repeat what failed. The client's own tries are made behind the answer.
 */
import type { ClientFailureCode } from './answer.ts'
import { createMailer, type MailerOptions } from './mailer.ts'
import type { MailContent, Recipient } from './mint.ts'

export interface LostMail {
  readonly kind: string
  /** `not_sent`: the call itself was wrong, and `told` says how. */
  readonly code: ClientFailureCode | 'not_sent'
  /** For the log: it holds no address and no link. */
  readonly told: string
}

export interface BackgroundOptions extends MailerOptions {
  /** Of a serverless platform: keeps the program alive until the mail is handed over. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined
  /** Of a mail that could not be handed over, after all tries; without it the console is told. */
  readonly onLost?: ((lost: LostMail) => void) | undefined
  /** The language of a mail; without it the first of the request's `Accept-Language`. */
  readonly locale?: ((request: Request | undefined) => string | undefined) | undefined
  /** Another address for the link, for example of a page of yours with a button: mail scanners open every link they see. */
  readonly link?: ((url: string) => string) | undefined
}

/** What auth libraries hand over beside the data: the request, or a context that has one. */
export interface Asked {
  readonly headers?: unknown
  readonly request?: unknown
}

export type SendBehind = (kind: string, mail: Recipient & MailContent, asked?: Asked) => void

export function sendBehind(options: BackgroundOptions): SendBehind {
  const { waitUntil, onLost = logLost, locale = languageOf, link = (url: string) => url } = options
  // enough for a restart of the service: no request waits
  const mailer = createMailer({ ...options, retries: options.retries ?? 8 })

  async function send(kind: string, mail: Recipient & MailContent, asked?: Asked): Promise<void> {
    try {
      const leads = typeof mail.link === 'string' ? { link: link(mail.link) } : {}
      const answer = await mailer.send(kind, { ...mail, ...leads, locale: locale(requestOf(asked)) })
      if (!answer.ok) onLost({ kind, code: answer.code, told: told(kind, answer.code, answer.claim) })
    } catch (error) {
      // nobody waits for this promise, and one that rejects ends the program
      const why = error instanceof TypeError ? error.message : 'a callback of yours threw'
      logSafely(onLost, { kind, code: 'not_sent', told: `no ${kind} mail: ${why}` })
    }
  }

  return (kind, mail, asked) => {
    const work = send(kind, mail, asked)
    waitUntil?.(work)
  }
}

function told(kind: string, code: ClientFailureCode, claim: string | undefined): string {
  return `no ${kind} mail: ${code}${claim === undefined ? '' : ` (${claim})`}`
}

function logLost({ told: sentence }: LostMail): void {
  console.error(sentence)
}

function logSafely(onLost: (lost: LostMail) => void, lost: LostMail): void {
  try {
    onLost(lost)
  } catch {
    logLost(lost)
  }
}

function requestOf(asked: Asked | undefined): Request | undefined {
  return [asked, asked?.request].find((one): one is Request => one instanceof Request)
}

/** `de-CH,de;q=0.9` → `de-CH` */
function languageOf(request: Request | undefined): string | undefined {
  return /^\s*([a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3})\s*(?:[,;]|$)/i.exec(
    request?.headers.get('accept-language') ?? '',
  )?.[1]
}
