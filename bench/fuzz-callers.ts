/** Owns the callers of the fuzz: each sends mail after mail, and sends a token again when it got no answer. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sampleClaims, signToken } from '../test/support/tokens.ts'

export interface FuzzCallers {
  /** Recipients whose mail was answered with error 0. */
  readonly accepted: ReadonlySet<string>
  /** Recipients whose only answer ever was error 2. */
  readonly refused: ReadonlySet<string>
  /** Requests sent, and those that got no answer. */
  readonly requests: () => number
  readonly unanswered: () => number
  /** When the first mail was accepted that was sent after `moment`. */
  readonly acceptedSince: (moment: number) => number | undefined
  /** How long those waited for error 2 that were answered it after `moment`, in ms, the quickest first. */
  readonly refusalsMsSince: (moment: number) => readonly number[]
  /** Resolves when every mail that a caller has begun has its answer. */
  stop(): Promise<void>
}

const answerMs = 20_000
/** The share of mails that are sent again although the answer was 0. */
const repeatShare = 0.1
const giveUpShare = 0.5
/** Enough for the time between two looks. */
const recentMails = 2_000

/** Calls `urls` before every request, because replicas stop and start. */
export function startCallers(count: number, urls: () => readonly string[]): FuzzCallers {
  const [accepted, refused] = [new Set<string>(), new Set<string>()]
  const run = Math.random().toString(36).slice(2, 8)
  let [mails, requests, unanswered, stopping] = [0, 0, 0, false]
  const refusals: { answered: number; ms: number }[] = []
  /** Of each accepted mail of the last seconds: when it was sent, and answered. */
  const recent: { sent: number; answered: number }[] = []

  async function call(): Promise<void> {
    while (!stopping) {
      await sendOne(`${run}-${(mails += 1)}@example.com`)
      await sleep(Math.random() * 30)
    }
  }

  async function sendOne(recipient: string): Promise<void> {
    const token = signToken(sampleClaims({ user_email: recipient }))
    for (let tries = 1; ; tries += 1) {
      const answer = await ask(token)
      if (answer === 0) break
      if (answer === 2 && tries === 1 && Math.random() < giveUpShare) return void refused.add(recipient)
      if (stopping && tries > 200) throw new Error('no replica answers any more')
      await sleep(50 + Math.random() * 100)
    }
    accepted.add(recipient)
    if (Math.random() < repeatShare) await Promise.all([ask(token), ask(token)])
  }

  /** The `error` of the answer; `undefined` without an answer. */
  async function ask(token: string): Promise<number | undefined> {
    const list = urls()
    const url = list[Math.floor(Math.random() * list.length)] ?? ''
    requests += 1
    const sent = Date.now()
    try {
      const response = await fetch(`${url}/emailservice`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
        signal: AbortSignal.timeout(answerMs),
      })
      const { error } = (await response.json()) as { error: number }
      note(error, sent)
      return error
    } catch {
      unanswered += 1
      return undefined
    }
  }

  function note(error: number, sent: number): void {
    const answered = Date.now()
    if (error === 2) refusals.push({ answered, ms: answered - sent })
    if (error === 0 && recent.push({ sent, answered }) > recentMails) recent.shift()
  }

  const calling = Promise.all(Array.from({ length: count }, call))
  return {
    accepted,
    refused,
    requests: () => requests,
    unanswered: () => unanswered,
    acceptedSince: (moment) => recent.find(({ sent }) => sent >= moment)?.answered,
    refusalsMsSince: (moment) =>
      refusals
        .filter(({ answered }) => answered >= moment)
        .map(({ ms }) => ms)
        .toSorted((a, b) => a - b),
    async stop() {
      stopping = true
      await calling
    },
  }
}
