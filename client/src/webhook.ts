/** Owns the calls by which the service tells an app what became of its mails: whether a call is the service's, and what it says. */
import type { Secrets } from './link-token.ts'
import { bytesOf, decodeBase64, isSignedBy, parseObject } from './sign.ts'

const eventTypes = [
  'mail.sent',
  'mail.delivered',
  'mail.bounced',
  'mail.complained',
  'mail.suppressed',
  'mail.dead',
  'webhook.test',
] as const
export type MailEventType = (typeof eventTypes)[number]

export interface MailEvent {
  /** A newer service may know more types: answer 2xx to what you do not know. */
  readonly type: MailEventType | (string & {})
  /** When it happened. */
  readonly timestamp: Date
  /** The mail, by the id that `send` answered. */
  readonly mail: string
  readonly app: string
  readonly kind: string
  /** Of two events of one mail, the one with the larger sequence is the later one. */
  readonly sequence: number
  /** Of `mail.bounced`: `hard` when there is no such address. */
  readonly bounce?: 'hard' | 'soft'
  /** Of `mail.dead`: why, in one fixed word. */
  readonly reason?: string
}

export interface GoodCall {
  readonly ok: true
  /** The same when an event is told again: keep it, and do nothing for one that you know. */
  readonly id: string
  readonly event: MailEvent
}

export interface BadCall {
  readonly ok: false
  /**
   * `unsigned`: without the headers of a call. `stale`: its time is more than five minutes away. `forged`: signed with
   * another secret, or changed. `malformed`: signed, but no event.
   */
  readonly reason: 'unsigned' | 'stale' | 'forged' | 'malformed'
}

/** Of a `Request`, or of Node. */
export type CallHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

export interface WebhookOptions {
  /** Epoch ms. */
  readonly now?: number | undefined
}

const toleranceMs = 300_000
const maxSignatures = 20

/**
 * Says what a call is worth. `rawBody` is the body as it came: parsed and written again, it has another signature.
 * `secret` is `JWT_MAILER_WEBHOOK_SECRET` of the service, `whsec_…`, or several while it is replaced. Throws a
 * `TypeError` for a secret that none can be.
 */
async function verify(
  rawBody: string | Uint8Array,
  headers: CallHeaders,
  secret: Secrets,
  { now = Date.now() }: WebhookOptions = {},
): Promise<GoodCall | BadCall> {
  const keys = keysOf(secret)
  const id = headerOf(headers, 'webhook-id')
  const time = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
    .split(' ', maxSignatures)
    .flatMap((entry) => (entry.startsWith('v1,') ? entry.slice(3) : []))
  if (id === '' || id.includes('.') || !/^\d{1,12}$/.test(time) || signatures.length === 0)
    return { ok: false, reason: 'unsigned' }
  if (Math.abs(now - Number(time) * 1000) > toleranceMs) return { ok: false, reason: 'stale' }
  const body = typeof rawBody === 'string' ? bytesOf(rawBody) : rawBody
  if (!(await isSignedByAny(keys, signatures, joined(bytesOf(`${id}.${time}.`), body))))
    return { ok: false, reason: 'forged' }
  const event = readEvent(typeof rawBody === 'string' ? rawBody : new TextDecoder().decode(rawBody))
  return event ? { ok: true, id, event } : { ok: false, reason: 'malformed' }
}

/** `verify` says whether a call comes from the service, and what it tells. */
export const webhook = { verify } as const

function keysOf(secret: Secrets) {
  const secrets = typeof secret === 'string' ? [secret] : secret
  if (secrets.length === 0) throw new TypeError('the secret is empty')
  return secrets.map((text) => {
    const key = /^whsec_./.test(text) ? decodeBase64(text.slice('whsec_'.length)) : undefined
    if (!key || key.length < 16) throw new TypeError('the secret of a webhook is whsec_ and Base64')
    return key
  })
}

async function isSignedByAny(
  keys: readonly Uint8Array<ArrayBuffer>[],
  signatures: readonly string[],
  signed: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  for (const key of keys)
    for (const signature of signatures) if (await isSignedBy(key, signature, signed)) return true
  return false
}

function joined(head: Uint8Array, body: Uint8Array) {
  const bytes = new Uint8Array(head.length + body.length)
  bytes.set(head)
  bytes.set(body, head.length)
  return bytes
}

function headerOf(headers: CallHeaders, name: string): string {
  if (typeof headers.get === 'function') return headers.get(name) ?? ''
  const value: unknown = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
  return typeof value === 'string' ? value : ''
}

function readEvent(text: string): MailEvent | undefined {
  const { type, timestamp: time, data } = parseObject(text) ?? {}
  if (typeof type !== 'string' || typeof time !== 'string' || typeof data !== 'object' || data === null)
    return undefined
  const { id: mail, app, kind, sequence, bounce, reason }: Record<string, unknown> = { ...data }
  const timestamp = new Date(time)
  const isWhole = typeof mail === 'string' && typeof app === 'string' && typeof kind === 'string'
  if (!isWhole || typeof sequence !== 'number' || Number.isNaN(timestamp.getTime())) return undefined
  return {
    type,
    timestamp,
    mail,
    app,
    kind,
    sequence,
    ...((bounce === 'hard' || bounce === 'soft') && { bounce }),
    ...(typeof reason === 'string' && { reason }),
  }
}
