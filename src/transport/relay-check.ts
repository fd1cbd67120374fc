/** Owns what is known of the way to a relay: from the mails of the last half minute, else by asking now and then. */
import type { RelayReason } from '../message.ts'

const goodForMs = 30_000
const answerForMs = 5_000

/** `ask` tries the way without a mail. */
export function reachable(ask: () => Promise<RelayReason | undefined>, now = () => performance.now()) {
  let lastGood = -Infinity
  let lastBad = -Infinity
  let asked: { at: number; answer: Promise<RelayReason | undefined> } | undefined
  const failing = () => lastBad > lastGood

  return {
    good: () => void (lastGood = now()),
    bad: () => void (lastBad = now()),
    goodSince: (time: number) => lastGood > time,
    failing,
    /** `undefined`: all well, else the reason. */
    check: () => {
      const at = now()
      if (!failing() && at - lastGood < goodForMs) return Promise.resolve(undefined)
      if (!asked || at - asked.at >= answerForMs) asked = { at, answer: ask() }
      return asked.answer
    },
  }
}
