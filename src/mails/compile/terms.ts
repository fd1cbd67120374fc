/** Owns what an operand of a tag is until it is written: its type, and how it is read from the values of a mail. */
import type { ClaimType } from '../claims.ts'
import type { DateValue } from '../formats.ts'
import type { Row, Value } from '../values.ts'

/** What an expression is read from. Outside of a loop there is no row. */
export interface Scene {
  readonly values: readonly Value[]
  readonly row: Row
  readonly index: number
  readonly count: number
}

/** An operand, or what a filter made of it. */
export interface Term {
  /** `unknown`: a problem has been reported already. */
  readonly type: ClaimType | 'written' | 'literal' | 'unknown'
  readonly scope: number
  readonly read: (scene: Scene) => Value
  /** `claim`: free text; `email`: free text unless it is an address; `exact`: shown as it is. */
  readonly written: 'claim' | 'email' | 'exact'
  readonly uses: readonly number[]
  /** In words, for problems. */
  readonly label: string
}

export function literalTerm(value: string | number | boolean, label = JSON.stringify(value)): Term {
  return { type: 'literal', scope: -1, read: () => value, written: 'exact', uses: [], label }
}

export function unknownTerm(label: string): Term {
  return { type: 'unknown', scope: -1, read: () => '', written: 'exact', uses: [], label }
}

export const isDate = (value: Value): value is DateValue => typeof value === 'object' && 'time' in value
