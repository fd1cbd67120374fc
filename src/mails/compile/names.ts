/**
 * Owns the meaning of a name in a mail: a constant, or an expression, which is the content of a slot or decides a branch.
 * One table for a whole mail, because slots, loops and the use of claims are counted together, and one file, although a
 * long one: each kind of name reads that table and marks it. Names, types and filters are checked here, at start; what is
 * left for a request are functions.
 */
import type { Source } from '../claims.ts'
import { alwaysThere, constantNames } from '../declared.ts'
import { nearest } from '../../nearest.ts'
import type { Formats } from '../formats.ts'
import { invalidClaim } from '../../errors.ts'
import { isThere, type Value, writeValue } from '../values.ts'
import { comparable, decisions, wrongComparison } from './comparisons.ts'
import { filterTypes, filterWriters, unknownFilter } from './filters.ts'
import type { Comparison, Condition, Filter, Operand, ValueSyntax } from './tags.ts'
import { literalTerm, type Scene, type Term, unknownTerm } from './terms.ts'

/** The content of a slot, or what decides a branch. */
export interface Expression {
  /** The loop whose rows it is read from; -1 when it is the same in all of them. */
  readonly scope: number
  readonly read: (scene: Scene) => string
  readonly written: Term['written']
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
  /** A tag that ends or turns what nothing has begun: names inside of it may be known to the missing one. */
  lose(): void
  /** Reports names that are not declared, each once, and declared ones that are never used. */
  reportUse(declared: readonly { readonly name: string; readonly line: number }[]): void
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
  const undeclared = new Map<string, number[]>()
  const loops: number[] = []
  let isLost = false
  /** `loop` is -1 where its list is not known. */
  let open: { readonly item: string; readonly loop: number } | undefined

  function keep(key: string, make: () => Expression): number {
    const scoped = `${open?.loop ?? -1} ${key}`
    const slot = slots.get(scoped) ?? expressions.push(make()) - 1
    slots.set(scoped, slot)
    return slot
  }

  /** `undefined` when it is not declared, which is reported at the end. */
  function sourceIndex(name: string, line: number): number | undefined {
    used.add(name)
    const index = sources.findIndex((source) => source.name === name)
    if (index >= 0) return index
    undeclared.set(name, [...(undeclared.get(name) ?? []), line])
    return undefined
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
    if (index === undefined) return unknownTerm(name)
    return {
      type: sources[index]!.rule?.type ?? 'text',
      scope: -1,
      read: ({ values }) => values[index]!,
      written: writtenOf(sources[index]!.kind, name),
      uses: [index],
      label: name,
    }
  }

  function sizeTerm(index: number | undefined, name: string, line: number): Term {
    if (index === undefined) return unknownTerm(name)
    if (sources[index]!.rule?.type !== 'list') report(line, `\`${name}\`: only a list has a size`)
    const read = ({ values }: Scene) => (Array.isArray(values[index]) ? values[index].length : 0)
    return { type: 'integer', scope: -1, read, written: 'exact', uses: [index], label: name }
  }

  function rowTerm(loop: number, item: string, field: string, line: number): Term {
    if (loop < 0) return unknownTerm(item)
    const fields = sources[loops[loop]!]!.rule?.fields ?? []
    const isText = fields.length === 1 && fields[0]!.name === ''
    const place = isText ? (field === '' ? 0 : -1) : fields.findIndex(({ name }) => name === field)
    if (place < 0) {
      const there = isText ? `{{ ${item} }}` : fields.map(({ name }) => `{{ ${item}.${name} }}`).join(', ')
      report(
        line,
        `\`${field ? `${item}.${field}` : item}\` is not in this list; there is ${there || 'nothing'}`,
      )
      return unknownTerm(item)
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
        : wanted !== 'any' && term.type !== wanted && term.type !== 'unknown'
          ? `\`${term.label}\` must be declared as { type: ${wanted} } for \`${filter.name}\``
          : undefined
    if (wrong) {
      report(line, wrong)
      // what it is without the filter is no second problem
      return { ...term, type: 'unknown' }
    }
    if (term.type === 'unknown') return term
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
      const isList = source !== undefined && sources[source]!.rule?.type === 'list'
      if (source !== undefined && !isList)
        report(line, `\`${list}\` must be declared as { type: list } to be looped over`)
      if (sources.some(({ name }) => name === item))
        report(line, `\`${item}\` is a claim already: name it otherwise`)
      const loop = loops.push(source ?? 0) - 1
      open = { item, loop: isList ? loop : -1 }
      return loop
    },
    leave() {
      open = undefined
    },
    lose() {
      isLost = true
    },
    reportUse(declared) {
      const there = [...constantNames, ...alwaysThere].join(', ')
      const meant = new Set<string>()
      for (const [name, [line = 1, ...more]] of undeclared) {
        if (isLost && name.includes('.')) continue
        const near = nearest(name, [...sources.map((source) => source.name), ...constantNames])
        if (near !== undefined) meant.add(near)
        const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
        const again = more.length === 0 ? '' : ` (again on ${linesOf(more)})`
        report(line, `\`${name}\` is not declared under \`claims\` (always there: ${there})${hint}${again}`)
      }
      for (const { name, line } of declared)
        if (!used.has(name) && !meant.has(name) && !isLost)
          report(line, `\`${name}\` is declared and never used`)
    },
  }
}

const maxLines = 3
function linesOf(lines: readonly number[]): string {
  const more = lines.length > maxLines ? ` and ${lines.length - maxLines} more` : ''
  return `line ${lines.slice(0, maxLines).join(', ')}${more}`
}

interface Decision extends Pick<Expression, 'scope' | 'uses' | 'proves'> {
  readonly holds: (scene: Scene) => boolean
}

const listOfMap = (_key: string, value: unknown) => (value instanceof Map ? [...value] : value)

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

/** A value stands in one segment of a path or in one value of a query, and cannot leave it. */
function encodeSegment(text: string, label: string): string {
  if (text === '.' || text === '..') throw invalidClaim(label, 'link')
  return encodeURIComponent(text)
}
