/**
 * Owns the erasing of an address: what is stored about it goes, and its mails that wait are given up. A mail of it that is
 * accepted meanwhile may be missed.
 */
import type { OperationQueues } from './operation-queues.ts'
import type { Seal } from './seal.ts'

/** What was found about an address. */
export interface Erased {
  /** Mails that waited, and are dead now. */
  readonly waiting: number
  /** Mails that were sent or dead: that they were stays, whom they were for does not. */
  readonly done: number
  readonly quotas: number
  readonly suppressions: number
}

const pageSize = 10_000

export function eraser(
  rowsOf: OperationQueues['rowsOf'],
  seal: Pick<Seal, 'names'>,
  clock: () => number,
  /** How long a dead mail is kept. */
  deadKeptMs: number,
): (address: string) => Promise<Erased> {
  return async function erase(address) {
    const names = seal.names(address)
    const [waiting, done] = await eraseMails(names)
    const quotas = (await rowsOf({ op: 'eraseQuotas', names })).length
    const suppressions = (await rowsOf({ op: 'lift', names, app: null })).length
    return { waiting, done, quotas, suppressions }
  }

  async function eraseMails(names: readonly string[]): Promise<[waiting: number, done: number]> {
    let [waiting, finished] = [0, 0]
    for (let after: string | undefined = ''; after !== undefined; ) {
      const rows = await rowsOf({ op: 'findByRecipient', names, after, limit: pageSize })
      const mails = rows.flatMap(({ id, recipient }) =>
        typeof id === 'string' && typeof recipient === 'string' ? [{ id, recipient }] : [],
      )
      const now = Math.round(clock())
      const erased =
        mails.length > 0 ? await rowsOf({ op: 'erase', mails, forgetAt: now + deadKeptMs, now }) : []
      const unsent = erased.filter(({ detail }) => detail === 'erased').length
      waiting += unsent
      finished += erased.length - unsent
      const last = rows.at(-1)?.['last']
      after = typeof last === 'string' ? last : undefined
    }
    return [waiting, finished]
  }
}
