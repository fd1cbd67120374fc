/** Owns the meaning of a name in a mail: a constant, or a slot for a value. */
import { alwaysThere, constantNames, type Source } from '../claims.ts'

/** The content of a slot. */
export interface Expression {
  /** Index of a source. */
  readonly source: number
  /** Index of the source of the currency; -1 when this is no amount. */
  readonly currency: number
  /** It stands alone in its block, so line breaks in the value are kept. */
  readonly lines: boolean
}

export type Report = (line: number, message: string) => void

export interface Names {
  readonly expressions: readonly Expression[]
  /** The text of a name that is the same in every mail. */
  constant(name: string): string | undefined
  /** The index of the expression; problems are reported at `line`. */
  slot(name: string, money: string | undefined, lines: boolean, line: number): number
  /** The index of the expression that decides a condition. */
  test(name: string, line: number): number
  isUsed(name: string): boolean
}

export function nameTable(
  sources: readonly Source[],
  constants: Readonly<Record<string, string>>,
  report: Report,
): Names {
  const expressions: Expression[] = []
  const slots = new Map<string, number>()
  const used = new Set<string>()

  function sourceIndex(name: string, line: number): number {
    used.add(name)
    const index = sources.findIndex((source) => source.name === name)
    if (index < 0) {
      const there = [...constantNames, ...alwaysThere].join(', ')
      report(line, `\`${name}\` is not declared under \`claims\` (always there: ${there})`)
    }
    return Math.max(index, 0)
  }

  function expression(source: number, currency: number, lines: boolean): number {
    const key = `${source} ${currency} ${lines}`
    const slot = slots.get(key) ?? expressions.push({ source, currency, lines }) - 1
    slots.set(key, slot)
    return slot
  }

  return {
    expressions,
    constant: (name) => (Object.hasOwn(constants, name) ? constants[name] : undefined),
    slot(name, money, lines, line) {
      const source = sourceIndex(name, line)
      const type = sources[source]!.rule?.type
      if (type === 'cents' && money === undefined)
        report(line, `\`${name}\` is in cents: write {{ ${name} | money: currency }}`)
      if (type !== 'cents' && money !== undefined)
        report(line, `\`${name}\` must be declared as { type: cents } to be shown as money`)
      return expression(source, money === undefined ? -1 : sourceIndex(money, line), lines)
    },
    test(name, line) {
      if (Object.hasOwn(constants, name)) report(line, `\`${name}\` is always there: nothing to decide`)
      return expression(sourceIndex(name, line), -1, false)
    },
    isUsed: (name) => used.has(name),
  }
}
