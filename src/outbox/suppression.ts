/** Owns the verbs of suppression, for operators: which addresses get no mail, for how long, and how that ends. */
import { z } from 'zod'
import type { OperationQueues } from './operation-queues.ts'
import type { Seal } from './seal.ts'
import { everyApp } from './store/suppression-sql.ts'

const dayMs = 24 * 3_600_000
export const suppressedMs = 30 * dayMs
const maxListed = 1000

const suppressionSchema = z.object({
  /** The recipient's HMAC. */
  recipient: z.coerce.string(),
  app: z.coerce.string(),
  reason: z.enum(['bounced', 'added', 'imported']).catch('added'),
  since: z.coerce.number().catch(0),
  until: z.coerce.number().catch(0),
  times: z.coerce.number().catch(1),
})
/** One address that gets no mail until then. `app` is `*` where it stands for all apps. Times are epoch ms. */
export type Suppression = Readonly<z.infer<typeof suppressionSchema>>

export interface NewSuppression {
  readonly address: string
  /** Without one: every app. */
  readonly app?: string | undefined
  readonly reason: 'added' | 'imported'
  readonly ms?: number | undefined
}

export interface SuppressionVerbs {
  /** The newest first. */
  listSuppressed(limit: number): Promise<Suppression[]>
  findSuppressed(address: string): Promise<Suppression[]>
  suppress(entries: readonly NewSuppression[]): Promise<void>
  /** By address, or by the HMAC that a list shows. Answers with what was lifted. */
  liftSuppression(who: string, app?: string): Promise<Suppression[]>
}

export function suppressionVerbs(
  rowsOf: OperationQueues['rowsOf'],
  seal: Pick<Seal, 'hide' | 'names'>,
  clock: () => number,
): SuppressionVerbs {
  const read = (rows: readonly object[]) => rows.map((row) => suppressionSchema.parse(row))
  const namesOf = (who: string) => (who.includes('@') ? seal.names(who) : [who])
  return {
    listSuppressed: async (limit) =>
      read(await rowsOf({ op: 'listSuppressed', limit: Math.min(limit, maxListed) })),
    findSuppressed: async (address) =>
      read(await rowsOf({ op: 'findSuppressed', names: seal.names(address) })),
    async suppress(entries) {
      const since = Math.round(clock())
      const rows = entries.map(({ address, app = everyApp, reason, ms = suppressedMs }) => ({
        recipient: seal.hide(address),
        app,
        reason,
        since,
        until: since + ms,
      }))
      await rowsOf({ op: 'suppress', entries: rows })
    },
    async liftSuppression(who, app) {
      const rows = await rowsOf({ op: 'lift', names: namesOf(who), app: app ?? null })
      // the others had been lifted by a delivery
      return read(rows).filter(({ until }) => until > 0)
    },
  }
}
