/** Stands in for Zitadel's notification worker: a signed POST, 5 s for an answer, and another try until a 2xx comes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { signZitadel } from './foreign.ts'

const maxTries = 4

/** Resolves with the statuses it was answered; 0 stands for none. */
export async function notify(url: string, message: object, key?: string): Promise<number[]> {
  const statuses: number[] = []
  while (statuses.length < maxTries) {
    const { headers, body } = signZitadel(JSON.stringify(message), key)
    const answer = await fetch(url, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(5_000),
    }).catch(() => undefined)
    await answer?.body?.cancel()
    statuses.push(answer?.status ?? 0)
    if (answer?.ok) break
    await sleep(20)
  }
  return statuses
}
