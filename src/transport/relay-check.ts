/** Owns what is known about one relay: from the mails of the last half minute, else from a trial connection now and then. */
import type { RelayReason } from '../message.ts'

const goodForMs = 30_000
const answerForMs = 5_000

/** `tryRelay` connects without sending a mail; `undefined` means all is well. */
export function relayCheck(tryRelay: () => Promise<RelayReason | undefined>, now = () => performance.now()) {
  let lastGood = -Infinity
  let lastBad = -Infinity
  let lastTrial: { at: number; answer: Promise<RelayReason | undefined> } | undefined
  const isFailing = () => lastBad > lastGood

  return {
    succeeded: () => void (lastGood = now()),
    failed: () => void (lastBad = now()),
    succeededSince: (time: number) => lastGood > time,
    isFailing,
    /** `undefined`: all is well, else the reason. */
    check: () => {
      const at = now()
      if (!isFailing() && at - lastGood < goodForMs) return Promise.resolve(undefined)
      if (!lastTrial || at - lastTrial.at >= answerForMs) lastTrial = { at, answer: tryRelay() }
      return lastTrial.answer
    },
  }
}
