/** Owns what the tries of this process have shown of each relay: its last trouble, and when it last took a mail. */
import type { Receipt, RelayReason } from '../message.ts'

export interface RecentTries {
  readonly note: (receipt: Receipt) => void
  readonly of: (relay: string) => LastTries
}

export interface LastTries {
  readonly trouble: { readonly at: number; readonly reason: RelayReason } | null
  readonly sentAt: number | null
}

/** What a relay says about one mail, and what our own shutdown does to it, is no trouble with the relay. */
const noTrouble = new Set<RelayReason>(['recipient', 'message', 'closing'])
const none: LastTries = { trouble: null, sentAt: null }

export function recentTries(now: () => number): RecentTries {
  const tries = new Map<string, LastTries>()
  const of = (relay: string) => tries.get(relay) ?? none
  return {
    note({ relay, outcome, reason }) {
      if (outcome === 'sent') tries.set(relay, { ...of(relay), sentAt: now() })
      else if (!noTrouble.has(reason)) tries.set(relay, { ...of(relay), trouble: { at: now(), reason } })
    },
    of,
  }
}
