/** Owns the comparisons of the mails' language: which terms can be compared, and when a comparison holds. */
import { parseDate } from '../formats.ts'
import { writeValue } from '../values.ts'
import type { Operator } from './tags.ts'
import { isDate, type Scene, type Term } from './terms.ts'

export const decisions: Record<Operator, (left: Comparable, right: Comparable) => boolean> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => isMeasure(left) && isMeasure(right) && left < right,
  '<=': (left, right) => isMeasure(left) && isMeasure(right) && left <= right,
  '>': (left, right) => isMeasure(left) && isMeasure(right) && left > right,
  '>=': (left, right) => isMeasure(left) && isMeasure(right) && left >= right,
  contains: (left, right) =>
    Array.isArray(left) ? left.includes(String(right)) : String(left).includes(String(right)),
}
type Comparable = string | number | boolean | readonly string[]
const isMeasure = (value: Comparable): value is number => typeof value === 'number'

const measured = new Set<Term['type']>(['integer', 'cents', 'date'])

export function wrongComparison(left: Term, operator: Operator, right: Term): string | undefined {
  if (left.type === 'unknown' || right.type === 'unknown') return undefined
  const isNumber = (term: Term) => term.type === 'literal' && typeof term.read(noScene) === 'number'
  const isDay = (term: Term) =>
    term.type === 'literal' && parseDate(writeValue(term.read(noScene))) !== undefined
  const [date, other] = left.type === 'date' ? [left, right] : [right, left]
  if (date.type === 'date' && other.type !== 'date' && !isDay(other))
    return `\`${date.label}\` is a date: compare it with another one, such as "2026-11-26"`
  if (operator === 'contains' || operator === '==' || operator === '!=') return undefined
  const hasSize = (term: Term) => measured.has(term.type) || isNumber(term) || isDay(term)
  return hasSize(left) && hasSize(right)
    ? undefined
    : `\`${operator}\` compares whole numbers and dates; declare { type: integer } or { type: date }`
}

const noScene: Scene = { values: [], row: [], index: 0, count: 0 }

/** The value of a term in the form in which the other one can be compared with it. */
export function comparable(term: Term, other: Term): (scene: Scene) => Comparable {
  return (scene) => {
    const value = term.read(scene)
    if (other.type === 'date' && typeof value === 'string') return parseDate(value)?.time ?? ''
    if (typeof value !== 'object') return asText(value, other) ? String(value) : value
    return isDate(value) ? value.time : value.map(([item = '']) => writeValue(item))
  }
}

/** Identifiers are texts that may come as numbers: `order == 7` holds for both. */
function asText(value: string | number | boolean, other: Term): boolean {
  return typeof value === 'number' && other.type === 'text'
}
