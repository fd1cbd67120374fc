/** Owns what those who call apps back ask of the outbox: the events that are due, and their end. */
import { randomInt } from 'node:crypto'
import { type DueEvent, dueEventSchema, type Outbox } from './api.ts'
import type { OperationQueues } from './operation-queues.ts'
import { leaseMs } from './settlement.ts'

type EventVerbs = Pick<Outbox, 'leaseEvents' | 'endEvent'>

export function eventVerbs(rowsOf: OperationQueues['rowsOf'], clock: () => number): EventVerbs {
  async function leaseEvents(wanted: Parameters<Outbox['leaseEvents']>[0]): Promise<DueEvent[]> {
    if (wanted.length === 0) return []
    const now = Math.round(clock())
    const leaseId = randomInt(1, 2 ** 47)
    const rows = await rowsOf({ op: 'leaseEvents', leaseId, wanted, now, due: now + leaseMs })
    const leased = rows.flatMap((row) => {
      const read = dueEventSchema.safeParse(row)
      // one that a newer program has written is left to that program
      return read.success ? [{ ...read.data, leaseId }] : []
    })
    return leased.toSorted((a, b) => a.sequence - b.sequence)
  }

  async function endEvent({ id, leaseId }: DueEvent, retryInMs?: number): Promise<void> {
    const due = retryInMs === undefined ? null : Math.round(clock() + retryInMs)
    await rowsOf({ op: 'endEvent', id, leaseId, due })
  }

  return { leaseEvents, endEvent }
}
