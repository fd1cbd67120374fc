/** Owns what a webhook is: where an app is called back, and how a call says that it is ours (Standard Webhooks 1.0.0). */
import { createHmac } from 'node:crypto'

export interface Webhook {
  readonly url: string
  /** As `whsec_…`, the current one first; each of them signs. */
  readonly secrets: readonly string[]
  /** May its host have a private address? */
  readonly allowPrivate: boolean
}

export const webhookSecretPrefix = 'whsec_'

/** What travels in a call, and is signed as it is. */
export interface SignedCall {
  readonly id: string
  /** Of this try, epoch ms. */
  readonly now: number
  readonly body: string
}

export function webhookHeaders(
  { id, now, body }: SignedCall,
  secrets: readonly string[],
): Record<string, string> {
  const seconds = String(Math.floor(now / 1000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(webhookSecretPrefix.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`
  })
  return {
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': signatures.join(' '),
  }
}
