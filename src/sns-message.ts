/**
 * Owns messages of Amazon SNS: what proves that one is of a topic of ours, and how a subscription is confirmed.
 *
 * The order is the protection: first the topic, which must be one of ours, then the address of the certificate, which must
 * be that of SNS in the topic's region and nothing like it, then the signature, and only then anything else is fetched.
 */
import { verify, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { MailerError } from './errors.ts'
import { aheadMs, itemsIn, repeatedForMs } from './feedback-source.ts'
import type { FetchDocument } from './small-document.ts'

const messageSchema = z.object({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  MessageId: z.string(),
  TopicArn: z.string(),
  Subject: z.string().nullish(),
  Message: z.string(),
  Timestamp: z.string(),
  SignatureVersion: z.enum(['1', '2']),
  Signature: z.string().max(4_000),
  SigningCertURL: z.string().max(500),
  Token: z.string().optional(),
  SubscribeURL: z.string().max(2_000).optional(),
})
type SnsMessage = z.infer<typeof messageSchema>

export interface SnsReaderOptions {
  /** The ARNs of the topics that may report. */
  readonly topics: readonly string[]
  readonly get: FetchDocument
}

const bounds = { maxBytes: 16 * 1024, timeoutMs: 3_000 }
const maxCertificates = 10
/** Forged messages may name a new certificate each. */
const maxFetches = 20
const fetchesPerMs = 60_000

/**
 * Reads what a notification says, or `undefined` for a message of SNS about itself; a subscription of a topic of ours is
 * confirmed. Rejects with `token_signature` what is not proved, and with `relay_unavailable` what SNS should repeat,
 * because Amazon did not answer.
 */
export function snsReader({
  topics,
  get,
}: SnsReaderOptions): (body: Buffer, now: number) => Promise<string | undefined> {
  const certificates = certificateStore(get)

  return async (body, now) => {
    const read = messageSchema.safeParse(itemsIn(body)[0])
    if (!read.success) throw refusal('no signature')
    const message = read.data
    if (!topics.includes(message.TopicArn)) throw refusal('topic')
    if (
      !isFrom(message.TopicArn, message.SigningCertURL, /^\/SimpleNotificationService-[0-9a-f]{1,64}\.pem$/)
    )
      throw refusal('certificate')
    const ageMs = now - Date.parse(message.Timestamp)
    if (!(ageMs < repeatedForMs && ageMs > -aheadMs)) throw refusal('stale')
    const certificateUrl = new URL(message.SigningCertURL).href
    const certificate = await certificates.find(certificateUrl, now)
    const algorithm = message.SignatureVersion === '1' ? 'sha1' : 'sha256'
    const signature = Buffer.from(message.Signature, 'base64')
    if (!verify(algorithm, Buffer.from(signedText(message)), certificate.publicKey, signature))
      throw refusal('invalid signature')
    certificates.keep(certificateUrl)
    if (message.Type === 'Notification') return message.Message
    if (message.Type === 'SubscriptionConfirmation') await confirm(message)
    return undefined
  }

  async function confirm({ TopicArn, SubscribeURL = '' }: SnsMessage): Promise<void> {
    if (!isFrom(TopicArn, SubscribeURL, /^\/(?:\?|$)/)) throw refusal('certificate')
    await get(new URL(SubscribeURL), bounds).catch(unanswered)
  }
}

/** Is this an address of SNS in the region of this topic? Any other host of Amazon may belong to anybody. */
function isFrom(topic: string, address: string, path: RegExp): boolean {
  const [, , , region = ''] = topic.split(':')
  const url = URL.parse(address)
  const hosts = ['amazonaws.com', 'amazonaws.com.cn'].map((domain) => `sns.${region}.${domain}`)
  return (
    url?.protocol === 'https:' &&
    hosts.includes(url.host) &&
    url.username === '' &&
    path.test(url.pathname + url.search + url.hash)
  )
}

/** Each value on a line of its own, below its name. */
function signedText(message: SnsMessage): string {
  const confirms = message.Type !== 'Notification'
  const names = confirms
    ? (['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'] as const)
    : (['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const)
  return names.map((name) => (message[name] == null ? '' : `${name}\n${message[name]}\n`)).join('')
}

interface Certificates {
  find(url: string, now: number): Promise<X509Certificate>
  /** It has signed a message of ours. Forged messages, which name others, do not put it out. */
  keep(url: string): void
}

/** Fetched once, and kept until they end. Those who want the same at once share one fetch. */
function certificateStore(get: FetchDocument): Certificates {
  const kept = new Map<string, Promise<X509Certificate>>()
  const proved = new Set<string>()
  let fetches = 0
  let countedSince = 0

  async function fetchCertificate(url: string): Promise<X509Certificate> {
    const pem = await get(new URL(url), bounds).catch(unanswered)
    try {
      return new X509Certificate(pem)
    } catch {
      throw refusal('certificate')
    }
  }

  function begin(url: string, now: number): Promise<X509Certificate> {
    if (Math.abs(now - countedSince) > fetchesPerMs) [fetches, countedSince] = [0, now]
    fetches += 1
    if (fetches > maxFetches) return unanswered()
    const fetched = fetchCertificate(url)
    kept.set(url, fetched)
    fetched.catch(() => kept.delete(url))
    const unproved = [...kept.keys()].filter((other) => !proved.has(other))
    if (unproved.length > maxCertificates) kept.delete(unproved[0]!)
    return fetched
  }

  return {
    async find(url, now) {
      const certificate = await (kept.get(url) ?? begin(url, now))
      if (now >= Date.parse(certificate.validFrom) && now <= Date.parse(certificate.validTo))
        return certificate
      kept.delete(url)
      proved.delete(url)
      throw refusal('certificate')
    },
    keep: (url) => void proved.add(url),
  }
}

function refusal(
  reason: 'no signature' | 'invalid signature' | 'stale' | 'topic' | 'certificate',
): MailerError {
  return new MailerError('token_signature', { reason })
}

/** SNS repeats what is answered by 503. */
async function unanswered(): Promise<never> {
  throw new MailerError('relay_unavailable', { reason: 'certificate' })
}
