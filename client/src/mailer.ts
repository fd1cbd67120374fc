/** Owns the calls to the service: one mail, or what became of it, tried again where that is safe. */
import { type ClientFailure, failure, readAnswer, repeatedIn } from './answer.ts'
import { lifetime, mailClaims, type MailContent, type Recipient } from './mint.ts'
import { type PrivateKey, signer } from './sign.ts'

export interface MailerOptions {
  /** Where the service listens: `https://mailer.example.com`. */
  readonly url: string
  /** The secret you share with it, or the app's own; or a private key whose public half it has. */
  readonly secret: string | PrivateKey
  /** What the service calls itself, where it wants to be named (`JWT_MAILER_AUDIENCE`). */
  readonly audience?: string | undefined
  /** The folder of mails this mailer sends, `default` without. */
  readonly app?: string | undefined
  /** How long one try may take, in ms. The service answers within 25 s, so 30 s without. */
  readonly timeoutMs?: number | undefined
  /** Tries after the first, 3 without. Repeats are the same mail to the service, by its `jti`. */
  readonly retries?: number | undefined
  /** Seconds a token lives, a day without: for so long the same idempotency key is the same mail. */
  readonly expiresInS?: number | undefined
}

/** What the kinds of an app ask for; `jwt-mailer types` writes it from the mails themselves. */
export type Kinds = Readonly<Record<string, MailContent>>

export interface Accepted {
  readonly ok: true
  /** The mail's name for `status`. */
  readonly id: string
  /** `queued`: stored, and sent as soon as a relay takes it. Both are as good as delivered to the relay. */
  readonly state: 'sent' | 'queued'
  /** An earlier request with the same idempotency key has the mail: this one sent nothing. */
  readonly repeated?: true
}

const feedbackWords = ['delayed', 'delivered', 'bounced', 'suppressed_by_relay', 'complained'] as const
export type Feedback = (typeof feedbackWords)[number]

export interface Status {
  readonly ok: true
  readonly id: string
  readonly state: 'sending' | 'queued' | 'sent' | 'dead'
  readonly attempts: number
  /** The reason of this state, in one fixed word. */
  readonly detail: string | null
  /** What the relay has reported since, where it reports: MailerToGo and plain SMTP do not. */
  readonly feedback?: Feedback
  /** Of `bounced`: `hard` when there is no such address. */
  readonly bounce?: 'hard' | 'soft'
  readonly created: Date | null
  readonly done: Date | null
  readonly expires: Date | null
}

export interface CallOptions {
  /** Ends the call at once, also while it waits for its next try: then the code is `aborted`. */
  readonly signal?: AbortSignal | undefined
}

export interface Mailer<K extends Record<keyof K, MailContent> = Kinds> {
  /**
   * Resolves with what became of the mail; what the network, the service or the relay did is never thrown. Throws a
   * `TypeError` for what only a programmer can mend: no `to`, an idempotency key that is too long.
   */
  send<Kind extends keyof K & string>(
    kind: Kind,
    mail: Recipient & K[Kind],
    options?: CallOptions,
  ): Promise<Accepted | ClientFailure>
  /** What became of a mail of this app, by its id; `not_found` when it is not known, or not any more. */
  status(id: string, options?: CallOptions): Promise<Status | ClientFailure>
}

const firstWaitMs = 250
const maxWaitMs = 5_000
const statusTokenS = 60
const states = ['sending', 'queued', 'sent', 'dead'] as const

/** Throws a `TypeError` when the URL, the secret or a number cannot be meant. */
export function createMailer<K extends Record<keyof K, MailContent> = Kinds>(
  options: MailerOptions,
): Mailer<K> {
  const { audience, app = 'default', timeoutMs = 30_000, retries = 3, expiresInS } = options
  const base = baseUrl(options.url)
  const sign = signer(options.secret)
  // a timer of Node holds no more, and ends at once with more
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31))
    throw new TypeError('timeoutMs must be above 0, and below 2^31')
  if (!Number.isInteger(retries) || retries < 0) throw new TypeError('retries must be a whole number')
  const route = app === 'default' ? 'emailservice' : `emailservice-${encodeURIComponent(app)}`

  async function send(
    kind: string,
    mail: Recipient & MailContent,
    { signal }: CallOptions = {},
  ): Promise<Accepted | ClientFailure> {
    const token = await sign(mailClaims({ ...mail, audience, expiresInS }))
    const answer = await ask(signal, `${base}/${route}/${encodeURIComponent(kind)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    if (!answer.ok) return answer
    const { id, code } = answer.fields
    if (typeof id !== 'string' || (code !== 'sent' && code !== 'queued')) return failure('bad_answer')
    return { ok: true, id, state: code, ...repeatedIn(answer.fields) }
  }

  async function status(id: string, { signal }: CallOptions = {}): Promise<Status | ClientFailure> {
    const token = await sign({ ...(audience !== undefined && { aud: audience }), ...lifetime(statusTokenS) })
    const answer = await ask(signal, `${base}/deliveries/${encodeURIComponent(id)}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (!answer.ok) return answer
    const { attempts, detail, created, done, expires } = answer.fields
    const state = states.find((one) => one === answer.fields['state'])
    if (!state) return failure('bad_answer')
    return {
      ok: true,
      id,
      state,
      attempts: Number(attempts),
      detail: typeof detail === 'string' ? detail : null,
      created: dateOf(created),
      done: dateOf(done),
      expires: dateOf(expires),
      ...feedbackIn(answer.fields),
    }
  }

  /** Tries until there is an answer that another try would not change. */
  async function ask(signal: AbortSignal | undefined, url: string, request: RequestInit) {
    for (let tried = 0; ; tried++) {
      const answer = await askOnce(signal, url, request)
      if (answer.ok || !answer.retryable || tried >= retries) return answer
      const askedMs = (answer.retryAfterS ?? 0) * 1000
      if (askedMs > maxWaitMs) return answer
      try {
        await pause(Math.max(askedMs, backoffMs(tried)), signal)
      } catch {
        return failure('aborted')
      }
    }
  }

  async function askOnce(signal: AbortSignal | undefined, url: string, request: RequestInit) {
    if (signal?.aborted) return failure('aborted')
    const late = AbortSignal.timeout(timeoutMs)
    const either = signal ? AbortSignal.any([signal, late]) : late
    try {
      // a redirect would give the token to another host than the URL names
      return await readAnswer(await fetch(url, { ...request, redirect: 'manual', signal: either }))
    } catch {
      return failure(signal?.aborted ? 'aborted' : late.aborted ? 'timeout' : 'unreachable')
    }
  }

  return { send, status }
}

function feedbackIn({
  feedback,
  bounce,
}: Readonly<Record<string, unknown>>): Pick<Status, 'feedback' | 'bounce'> {
  const known = feedbackWords.find((word) => word === feedback)
  if (known === undefined) return {}
  return { feedback: known, ...((bounce === 'hard' || bounce === 'soft') && { bounce }) }
}

/** Rejects as soon as the signal says so. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done, stop) => {
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', cancel)
    if (signal?.aborted) cancel()
    function end() {
      signal?.removeEventListener('abort', cancel)
      done()
    }
    function cancel() {
      clearTimeout(timer)
      stop(new Error('aborted'))
    }
  })
}

/** Doubles, and is spread over its second half, so that callers do not come back all at once. */
function backoffMs(tried: number): number {
  return Math.min(firstWaitMs * 2 ** tried, maxWaitMs) * (0.5 + Math.random() / 2)
}

function baseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username)
    throw new TypeError('url must be where the mailer listens, such as https://mailer.example.com')
  return url.href.replace(/\/+$/, '')
}

function dateOf(value: unknown): Date | null {
  const date = typeof value === 'string' ? new Date(value) : undefined
  return date && !Number.isNaN(date.getTime()) ? date : null
}
