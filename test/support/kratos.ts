/**
 * Stands in for the courier of Ory Kratos: any 2xx within 10 s is sent, everything else is tried again after a pause, up
 * to five times, and one failure queues its whole batch again, so that mails already taken come once more.
 */
import { setTimeout as sleep } from 'node:timers/promises'

interface CourierMessage {
  readonly context: object
  status: 'queued' | 'sent' | 'abandoned'
  tries: number
}

export interface Courier {
  readonly messages: readonly CourierMessage[]
  /** Works until nothing is queued. */
  run(): Promise<void>
}

const retries = 5

export function courier(url: string, secret: string, contexts: readonly object[], pauseMs = 20): Courier {
  const messages = contexts.map((context): CourierMessage => ({ context, status: 'queued', tries: 0 }))

  async function dispatch(message: CourierMessage): Promise<boolean> {
    message.tries += 1
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: JSON.stringify(message.context),
      signal: AbortSignal.timeout(10_000),
    }).catch(() => undefined)
    await answer?.body?.cancel()
    return answer?.ok ?? false
  }

  async function workBatch(batch: readonly CourierMessage[]): Promise<void> {
    for (const message of batch) {
      if (await dispatch(message)) {
        message.status = 'sent'
        continue
      }
      for (const each of batch) if (each.status === 'sent') each.status = 'queued'
      if (message.tries > retries) message.status = 'abandoned'
      return
    }
  }

  return {
    messages,
    async run() {
      for (;;) {
        const batch = messages.filter(({ status }) => status === 'queued')
        if (batch.length === 0) return
        await workBatch(batch)
        await sleep(pauseMs)
      }
    },
  }
}
