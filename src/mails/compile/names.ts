/**
 * Owns the meaning of a name in a mail: a constant, or an expression, which is the content of a slot or decides a branch.
 * Names, types and filters are checked here, at start; what is left for a request are functions.
 */
import type { ClaimType, Source } from '../claims.ts'
import { alwaysThere, constantNames } from '../declared.ts'
import { nearest } from '../../nearest.ts'
import { isDateStyle, parseDate, type DateValue, type Formats } from '../formats.ts'
import { invalidClaim } from '../../errors.ts'
import { isThere, type Row, type Value, writeValue } from '../values.ts'
import type { Comparison, Condition, Filter, Operand, Operator, ValueSyntax } from './tags.ts'

/** What an expression is read from. Outside of a loop there is no row. */
export interface Scene {
  readonly values: readonly Value[]
  readonly row: Row
  readonly index: number
  readonly count: number
}

/** The content of a slot, or what decides a branch. */
export interface Expression {
  /** The loop whose rows it is read from; -1 when it is the same in all of them. */
  readonly scope: number
  readonly read: (scene: Scene) => string
  /** `claim`: free text; `email`: free text unless it is an address; `exact`: shown as it is. */
  readonly written: 'claim' | 'email' | 'exact'
  /** It stands alone in its block, so line breaks in the value are kept. */
  readonly lines: boolean
  /** Indexes of the sources it is made of; with `proves`, of those that are there whenever it shows anything. */
  readonly uses: readonly number[]
  readonly proves: readonly number[]
}

export type Report = (line: number, message: string) => void

export interface Names {
  readonly expressions: readonly Expression[]
  /** The source of each loop: its list. */
  readonly loops: readonly number[]
  /** The text of a value that is the same in every mail. */
  constant(value: ValueSyntax): string | undefined
  /** The index of the expression; problems are reported at `line`. */
  slot(value: ValueSyntax, lines: boolean, line: number): number
  /** As `slot`, percent-encoded for an address. */
  urlSlot(value: ValueSyntax, line: number): number
  /** The index of the expression that decides a branch. */
  test(condition: Condition, line: number): number
  /** Begins a loop and returns its index; until `leave`, `item` is its row. */
  enter(item: string, list: string, line: number): number
  leave(): void
  isUsed(name: string): boolean
}

/** An operand, or what a filter made of it. */
interface Term {
  readonly type: ClaimType | 'written' | 'literal'
  readonly scope: number
  readonly read: (scene: Scene) => Value
  readonly written: Expression['written']
  readonly uses: readonly number[]
  /** In words, for problems. */
  readonly label: string
}

export interface NameOptions {
  readonly sources: readonly Source[]
  readonly constants: Readonly<Record<string, string>>
  readonly formats: Formats
  readonly report: Report
}

export function nameTable({ sources, constants, formats, report }: NameOptions): Names {
  const expressions: Expression[] = []
  const slots = new Map<string, number>()
  const used = new Set<string>()
  const loops: number[] = []
  let open: { readonly item: string; readonly loop: number } | undefined

  function keep(key: string, make: () => Expression): number {
    const scoped = `${open?.loop ?? -1} ${key}`
    const slot = slots.get(scoped) ?? expressions.push(make()) - 1
    slots.set(scoped, slot)
    return slot
  }

  function sourceIndex(name: string, line: number): number {
    used.add(name)
    const index = sources.findIndex((source) => source.name === name)
    if (index < 0) {
      const there = [...constantNames, ...alwaysThere].join(', ')
      const meant = nearest(name, [...sources.map((source) => source.name), ...constantNames])
      const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
      report(line, `\`${name}\` is not declared under \`claims\` (always there: ${there})${hint}`)
    }
    return Math.max(index, 0)
  }

  function termOf(operand: Operand, line: number): Term {
    if ('literal' in operand) return literalTerm(operand.literal)
    const { name } = operand
    if (Object.hasOwn(constants, name)) return literalTerm(constants[name]!, name)
    if (name.startsWith('forloop.')) return loopTerm(name, line)
    const [head = '', ...rest] = name.split('.')
    if (open && head === open.item) return rowTerm(open.loop, head, rest.join('.'), line)
    const source = sources.find((each) => each.name === name)
    if (!source && rest[0] === 'size') return sizeTerm(sourceIndex(head, line), name, line)
    const index = sourceIndex(name, line)
    return {
      type: sources[index]!.rule?.type ?? 'text',
      scope: -1,
      read: ({ values }) => values[index]!,
      written: writtenOf(sources[index]!.kind, name),
      uses: [index],
      label: name,
    }
  }

  function sizeTerm(index: number, name: string, line: number): Term {
    if (sources[index]!.rule?.type !== 'list') report(line, `\`${name}\`: only a list has a size`)
    const read = ({ values }: Scene) => (Array.isArray(values[index]) ? values[index].length : 0)
    return { type: 'integer', scope: -1, read, written: 'exact', uses: [index], label: name }
  }

  function rowTerm(loop: number, item: string, field: string, line: number): Term {
    const fields = sources[loops[loop]!]!.rule?.fields ?? []
    const isText = fields.length === 1 && fields[0]!.name === ''
    const place = isText ? (field === '' ? 0 : -1) : fields.findIndex(({ name }) => name === field)
    if (place < 0) {
      const there = isText ? `{{ ${item} }}` : fields.map(({ name }) => `{{ ${item}.${name} }}`).join(', ')
      report(
        line,
        `\`${field ? `${item}.${field}` : item}\` is not in this list; there is ${there || 'nothing'}`,
      )
    }
    return {
      type: fields[place]?.type ?? 'text',
      scope: loop,
      read: ({ row }) => row[place] ?? '',
      written: writtenOf('claim', field),
      uses: [loops[loop]!],
      label: field ? `${item}.${field}` : item,
    }
  }

  function loopTerm(name: string, line: number): Term {
    const reader = loopReaders[name]
    if (!open || !reader)
      report(line, `\`${name}\`: inside of a loop there are ${Object.keys(loopReaders).join(', ')}`)
    const isTest = name === 'forloop.first' || name === 'forloop.last'
    return {
      type: isTest ? 'boolean' : 'integer',
      scope: open?.loop ?? -1,
      read: reader ?? (() => ''),
      written: 'exact',
      uses: [],
      label: name,
    }
  }

  function valueTerm({ operand, filters }: ValueSyntax, line: number): Term {
    let term = termOf(operand, line)
    for (const filter of filters) term = filtered(term, filter, line)
    return term
  }

  function filtered(term: Term, filter: Filter, line: number): Term {
    const argument = filter.argument && termOf(filter.argument, line)
    const wanted = filterTypes[filter.name]
    const wrong =
      wanted === undefined
        ? unknownFilter(filter.name)
        : wanted !== 'any' && term.type !== wanted
          ? `\`${term.label}\` must be declared as { type: ${wanted} } for \`${filter.name}\``
          : undefined
    if (wrong) {
      report(line, wrong)
      return term
    }
    const made = filterWriters[filter.name]!(term, argument, filter, formats)
    if (typeof made === 'string') report(line, made)
    return typeof made === 'string' ? { ...term, type: 'written' } : made
  }

  function expressionOf(term: Term, lines: boolean): Expression {
    const { scope, read, written, uses } = term
    const proves = term.type === 'literal' ? [] : uses
    return { scope, read: (scene) => writeValue(read(scene)), written, lines, uses, proves }
  }

  function showable(value: ValueSyntax, line: number): Term {
    const term = valueTerm(value, line)
    const advice = howToShow[term.type]
    if (advice) report(line, `\`${term.label}\` ${advice.replaceAll('NAME', term.label)}`)
    return term
  }

  function compare({ left, test }: Comparison, line: number): Decision {
    const term = termOf(left, line)
    if (!test) {
      if (term.type === 'literal') report(line, `\`${term.label}\` is always there: nothing to decide`)
      return {
        scope: term.scope,
        uses: term.uses,
        proves: term.uses,
        holds: (scene) => isThere(term.read(scene)),
      }
    }
    const right = termOf(test.right, line)
    const wrong = wrongComparison(term, test.operator, right)
    if (wrong) report(line, wrong)
    const [one, other] = [comparable(term, right), comparable(right, term)]
    const decide = decisions[test.operator]
    return {
      scope: Math.max(term.scope, right.scope),
      uses: [...term.uses, ...right.uses],
      proves: [],
      holds: (scene) => decide(one(scene), other(scene)),
    }
  }

  function decisionOf(condition: Condition, line: number): Decision {
    const first = compare(condition, line)
    if (!condition.next) return first
    const { word, condition: rest } = condition.next
    const second = decisionOf(rest, line)
    return {
      scope: Math.max(first.scope, second.scope),
      uses: [...first.uses, ...second.uses],
      proves: word === 'and' ? [...first.proves, ...second.proves] : [],
      holds:
        word === 'and'
          ? (scene) => first.holds(scene) && second.holds(scene)
          : (scene) => first.holds(scene) || second.holds(scene),
    }
  }

  return {
    expressions,
    loops,
    constant({ operand, filters: [filter] }) {
      if ('literal' in operand) return filter ? undefined : String(operand.literal)
      return filter || !Object.hasOwn(constants, operand.name) ? undefined : constants[operand.name]
    },
    slot: (value, lines, line) =>
      keep(`slot ${lines} ${JSON.stringify(value, listOfMap)}`, () =>
        expressionOf(showable(value, line), lines),
      ),
    urlSlot: (value, line) =>
      keep(`url ${JSON.stringify(value, listOfMap)}`, () => {
        const term = showable(value, line)
        const read = (scene: Scene) => encodeSegment(writeValue(term.read(scene)), term.label)
        return { ...expressionOf(term, false), read, written: 'exact' }
      }),
    test: (condition, line) =>
      keep(`test ${JSON.stringify(condition)}`, () => {
        const { holds, ...decision } = decisionOf(condition, line)
        return { ...decision, read: (scene) => (holds(scene) ? 'yes' : ''), written: 'exact', lines: false }
      }),
    enter(item, list, line) {
      if (open) report(line, 'a loop cannot stand inside of another one')
      const source = sourceIndex(list, line)
      if (sources[source]!.rule?.type !== 'list')
        report(line, `\`${list}\` must be declared as { type: list } to be looped over`)
      if (sources.some(({ name }) => name === item))
        report(line, `\`${item}\` is a claim already: name it otherwise`)
      const loop = loops.push(source) - 1
      open = { item, loop }
      return loop
    },
    leave() {
      open = undefined
    },
    isUsed: (name) => used.has(name),
  }
}

interface Decision extends Pick<Expression, 'scope' | 'uses' | 'proves'> {
  readonly holds: (scene: Scene) => boolean
}

const listOfMap = (_key: string, value: unknown) => (value instanceof Map ? [...value] : value)

function literalTerm(value: string | number | boolean, label = JSON.stringify(value)): Term {
  return { type: 'literal', scope: -1, read: () => value, written: 'exact', uses: [], label }
}

function writtenOf(kind: Source['kind'], name: string): Expression['written'] {
  if (kind === 'email') return 'email'
  if (kind !== 'claim') return 'exact'
  return name.endsWith('_email') ? 'email' : 'claim'
}

const loopReaders: Record<string, (scene: Scene) => Value> = {
  'forloop.index': ({ index }) => index + 1,
  'forloop.index0': ({ index }) => index,
  'forloop.length': ({ count }) => count,
  'forloop.first': ({ index }) => index === 0,
  'forloop.last': ({ index, count }) => index === count - 1,
}

/** What a type needs to be shown; the others are shown as they are. */
const howToShow: Partial<Record<Term['type'], string>> = {
  cents: 'is in cents: write {{ NAME | money: currency }}',
  date: 'is a date: write {{ NAME | date }} or {{ NAME | date: "long" }}',
  boolean: 'is true or false: write {% if NAME %}',
  list: 'is a list: write {% for item in NAME %}',
}

const filterTypes: Record<string, ClaimType | 'any'> = {
  default: 'any',
  money: 'cents',
  number: 'integer',
  date: 'date',
  time: 'date',
  plural: 'integer',
}

function unknownFilter(name: string): string {
  const meant = nearest(name, Object.keys(filterTypes))
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
  return `unknown filter \`${name}\`; the filters are ${Object.keys(filterTypes).join(', ')}${hint}`
}

/** Each makes a term of a term, or a sentence about what is wrong. */
const filterWriters: Record<
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

const isDate = (value: Value): value is DateValue => typeof value === 'object' && 'time' in value

/** A value stands in one segment of a path or in one value of a query, and cannot leave it. */
function encodeSegment(text: string, label: string): string {
  if (text === '.' || text === '..') throw invalidClaim(label, 'link')
  return encodeURIComponent(text)
}

const decisions: Record<Operator, (left: Comparable, right: Comparable) => boolean> = {
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

function wrongComparison(left: Term, operator: Operator, right: Term): string | undefined {
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
function comparable(term: Term, other: Term): (scene: Scene) => Comparable {
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
