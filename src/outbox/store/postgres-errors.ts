/** Owns what an error of Postgres or of its connection means for the transaction that it has ended. */
import { DatabaseError } from 'pg'
import { MailerError } from '../../errors.ts'
import { systemCodeOf } from '../../message.ts'

/** How far a transaction has come. */
export interface Progress {
  at: 'connecting' | 'working' | 'committing'
}

const stateOf = (error: unknown) => (error instanceof DatabaseError ? (error.code ?? '') : '')

/** SQLSTATE classes: 22 data, 23 constraint, 54 limits of the server. */
export const isBadValue = (error: unknown) => /^(22|23|54)/.test(stateOf(error))

/** Did the server roll the transaction back in favour of another one? Never a fault of the operations. */
export const hasLost = (error: unknown) => /^40(?!003)/.test(stateOf(error))

/** Had the connection died in the pool? Then nothing can have been committed. After a timeout the caller has waited long enough. */
export function wasCutOff(error: unknown, { at }: Progress): boolean {
  const lost = /^(57P0[123]|08...)?$/.test(stateOf(error)) && !String(error).includes('timeout')
  return at === 'working' && lost && !(error instanceof MailerError)
}

/**
 * Was the commit sent and not answered? Only an error of the server itself is an answer, and none of those with which it
 * ends a connection, or gives up on a commit that it may have written (57, 58, 08, XX, 40003).
 */
export function isUndecided(error: unknown, { at }: Progress): boolean {
  const state = stateOf(error)
  return at === 'committing' && (state === '' || /^(08|57|58|XX|40003)/.test(state))
}

export function failureOf(cause: unknown, undecided: boolean): unknown {
  if (cause instanceof MailerError || isBadValue(cause)) return cause
  return new MailerError(undecided ? 'store_unknown' : 'store_unavailable', {
    reason: systemCodeOf(cause) ?? 'unreachable',
    cause,
  })
}
