/**
 * Stands in for Supabase Auth where it calls its Send Email hook: up to three tries within 5 s in all, a new webhook id
 * for each, 429 and 503 with Retry-After tried again at once, a dead connection after 2 s, and its reading of answers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { signSupabase } from './foreign.ts'

export interface HookResult {
  /** What its user is told; `undefined`: the hook has succeeded. */
  readonly failure: string | undefined
  readonly tries: number
}

const budgetMs = 5_000
const maxTries = 3

export async function callHook(url: string, body: object, secrets?: string): Promise<HookResult> {
  const payload = JSON.stringify(body)
  const budget = AbortSignal.timeout(budgetMs)
  for (let tries = 1; tries <= maxTries; tries++) {
    const { headers } = signSupabase(payload, secrets)
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'accept-encoding': 'identity' },
        body: payload,
        redirect: 'manual',
        signal: budget,
      })
      const text = await answer.text()
      const again = [429, 503].includes(answer.status) && Boolean(answer.headers.get('retry-after'))
      if (!again) return { failure: failureOf(answer, text), tries }
    } catch {
      if (budget.aborted) return { failure: 'Failed to reach hook within maximum time', tries }
      await sleep(2_000, undefined, { signal: budget }).catch(() => undefined)
    }
  }
  return { failure: 'Service currently unavailable due to hook', tries: maxTries }
}

function failureOf(answer: Response, text: string): string | undefined {
  if (answer.status === 204) return undefined
  if (![200, 202].includes(answer.status))
    return `Unexpected status code returned from hook: ${answer.status}`
  const type = answer.headers.get('content-type')?.split(';', 1)[0]
  if (type !== 'application/json') return 'Invalid JSON response'
  const read: unknown = JSON.parse(text)
  const { error }: { error?: { message?: string } } = Object(read)
  return error?.message || undefined
}
