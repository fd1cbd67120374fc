/** Owns the filters of the mails' language: what each takes, and what it makes of a term. */
import { invalidClaim } from '../../errors.ts'
import { nearest } from '../../nearest.ts'
import type { ClaimType } from '../claims.ts'
import { type Formats, isDateStyle } from '../formats.ts'
import { isThere, writeValue } from '../values.ts'
import type { Filter } from './tags.ts'
import { isDate, type Scene, type Term } from './terms.ts'

export const filterTypes: Record<string, ClaimType | 'any'> = {
  default: 'any',
  money: 'cents',
  number: 'integer',
  date: 'date',
  time: 'date',
  plural: 'integer',
}

export function unknownFilter(name: string): string {
  const meant = nearest(name, Object.keys(filterTypes))
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
  return `unknown filter \`${name}\`; the filters are ${Object.keys(filterTypes).join(', ')}${hint}`
}

/** Each makes a term of a term, or a sentence about what is wrong. */
export const filterWriters: Record<
  string,
  (term: Term, argument: Term | undefined, filter: Filter, formats: Formats) => Term | string
> = {
  default(term, argument) {
    if (!argument) return 'default needs what to show instead: {{ name | default: "there" }}'
    const read = (scene: Scene) => {
      const value = term.read(scene)
      return isThere(value) ? value : argument.read(scene)
    }
    const uses = [...term.uses, ...argument.uses]
    return { ...term, read, uses, scope: Math.max(term.scope, argument.scope) }
  },
  money(term, currency, _filter, formats) {
    if (!currency) return 'money needs its currency: {{ amount_cents | money: currency }}'
    if (currency.type !== 'text' && currency.type !== 'literal') return `\`${currency.label}\` is no currency`
    return writtenTerm(term, currency, (scene) => {
      const cents = term.read(scene)
      const code = writeValue(currency.read(scene))
      const text = typeof cents === 'number' ? formats.money(cents, code) : ''
      if (text === undefined)
        throw invalidClaim(currency.label, 'type', 'a currency is three capitals, such as EUR')
      return text
    })
  },
  number: (term, _argument, _filter, formats) =>
    writtenTerm(term, undefined, (scene) => {
      const value = term.read(scene)
      return typeof value === 'number' ? formats.number(value) : ''
    }),
  date(term, argument, filter, formats) {
    const style = filter.argument && 'literal' in filter.argument ? filter.argument.literal : 'medium'
    if ((argument && argument.type !== 'literal') || !isDateStyle(style))
      return 'date is written in one of the ways "short", "medium", "long" and "full", and the language does the rest'
    return writtenTerm(term, undefined, (scene) => {
      const value = term.read(scene)
      return isDate(value) ? formats.day(value, style) : ''
    })
  },
  time: (term, _argument, _filter, formats) =>
    writtenTerm(term, undefined, (scene) => {
      const value = term.read(scene)
      return isDate(value) ? formats.time(value) : ''
    }),
  plural(term, _argument, { named }, formats) {
    const words = new Map(
      [...named].map(([rule, word]) => [rule, 'literal' in word ? String(word.literal) : '']),
    )
    const other = words.get('other')
    if (other === undefined || [...words].some(([rule]) => !pluralRules.includes(rule)))
      return `plural needs its words: {{ count | plural: one: "item", other: "items" }} (${pluralRules.join(', ')})`
    return writtenTerm(term, undefined, (scene) => {
      const value = term.read(scene)
      return typeof value === 'number' ? (words.get(formats.plural(value)) ?? other) : ''
    })
  },
}
const pluralRules = ['zero', 'one', 'two', 'few', 'many', 'other']

function writtenTerm(term: Term, argument: Term | undefined, read: (scene: Scene) => string): Term {
  const uses = [...term.uses, ...(argument?.uses ?? [])]
  const scope = Math.max(term.scope, argument?.scope ?? -1)
  return { type: 'written', scope, read, written: 'exact', uses, label: term.label }
}
