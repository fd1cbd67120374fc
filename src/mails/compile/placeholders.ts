/** Owns how literals, slots, branches and loops form a part of a mail, and how a part is filled. Nothing is parsed here. */
import { type Body, joinBody, type Literal } from '../../message.ts'

/** A piece of a mail that is being compiled: a literal, the index of an expression, a branch or a loop. */
export type Part = string | number | Branch<readonly Part[]> | Loop<readonly Part[]>
/** A compiled part. Each literal is an object, always the same one, so that its encoding can be kept. */
export type Slots = readonly (Literal | number | Branch<Slots> | Loop<Slots>)[]
interface Branch<Arm> {
  /** Index of an expression: `yes` when it shows anything. */
  readonly test: number
  readonly yes: Arm
  readonly no: Arm
}
interface Loop<Arm> {
  /** Index of a loop: its list decides how often the body stands there. */
  readonly loop: number
  readonly body: Arm
}

/** Builds a tree of parts, branches and loops. */
export interface Writer<T> {
  readonly root: T[]
  add(part: T): void
  /** `line` is where the branch begins in its file; `chained` ones end with the branch they stand in. */
  open(test: number, negate: boolean, line: number, chained?: boolean): void
  openLoop(loop: number, line: number): void
  /** `false`: there is no open branch to turn, or nothing of this kind to close. */
  turn(): boolean
  close(kind: 'if' | 'for'): boolean
  /** What is open innermost and where it begins; `undefined` when nothing is. */
  opened(): { readonly kind: 'if' | 'for'; readonly line: number } | undefined
}

interface OpenPart<T> {
  readonly kind: 'if' | 'for'
  readonly line: number
  readonly chained: boolean
  /** The expression of a branch, or the loop. */
  readonly index: number
  readonly yes: T[]
  readonly no: T[]
}

/** `branch` and `loop` make a part from what is finished. */
export function treeWriter<T>(
  branch: (finished: Branch<T[]>) => T,
  loop: (finished: Loop<T[]>) => T,
): Writer<T> {
  const root: T[] = []
  const lists: T[][] = [root]
  const open: OpenPart<T>[] = []
  const begin = (entry: OpenPart<T>, into: T[]) => {
    open.push(entry)
    lists.push(into)
  }
  return {
    root,
    add: (part) => void lists.at(-1)!.push(part),
    open(test, negate, line, chained = false) {
      const entry: OpenPart<T> = { kind: 'if', line, chained, index: test, yes: [], no: [] }
      begin(entry, negate ? entry.no : entry.yes)
    },
    openLoop(index, line) {
      const entry: OpenPart<T> = { kind: 'for', line, chained: false, index, yes: [], no: [] }
      begin(entry, entry.yes)
    },
    turn() {
      const entry = open.at(-1)
      if (entry?.kind !== 'if') return false
      lists.push(lists.pop() === entry.yes ? entry.no : entry.yes)
      return true
    },
    close(kind) {
      if (open.at(-1)?.kind !== kind) return false
      for (let entry = open.pop(); entry; entry = entry.chained ? open.pop() : undefined) {
        lists.pop()
        const { index, yes, no } = entry
        lists
          .at(-1)!
          .push(kind === 'if' ? branch({ test: index, yes, no }) : loop({ loop: index, body: yes }))
      }
      return true
    },
    opened: () => open.at(-1),
  }
}

/** Joins neighbouring literals. */
export function templateOf(parts: readonly Part[]): Slots {
  const joined: Part[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (typeof part === 'string' && typeof last === 'string') joined[joined.length - 1] = last + part
    else if (part !== '') joined.push(part)
  }
  return joined.map((part) => {
    if (typeof part === 'string') return { literal: part }
    if (typeof part === 'number') return part
    return 'loop' in part
      ? { loop: part.loop, body: templateOf(part.body) }
      : { test: part.test, yes: templateOf(part.yes), no: templateOf(part.no) }
  })
}

export const isLiteral = (part: Slots[number]): part is Literal =>
  typeof part === 'object' && 'literal' in part

/** The values of one row of a loop, in the order of the loop's slots. */
export interface FilledRow {
  readonly values: readonly string[]
  readonly plain: readonly string[]
}
/** What fills a part. `forEachRow` puts the values of each row into their places in turn. */
export interface Filling {
  /** Of each expression, as it is written in this part. */
  readonly values: string[]
  /** Of each expression, as it is: it decides the branches. */
  readonly plain: string[]
  readonly loops: readonly { readonly slots: readonly number[]; readonly rows: readonly FilledRow[] }[]
}
export const noFilling: Filling = { values: [], plain: [], loops: [] }

export function forEachRow({ values, plain, loops }: Filling, loop: number, visit: () => void): void {
  const { slots, rows } = loops[loop]!
  for (const row of rows) {
    for (const [index, slot] of slots.entries()) {
      values[slot] = row.values[index]!
      plain[slot] = row.plain[index]!
    }
    visit()
  }
}

export function fillBody(template: Slots, filling: Filling, body: (Literal | string)[] = []): Body {
  for (const part of template) {
    if (typeof part === 'number') body.push(filling.values[part]!)
    else if ('literal' in part) body.push(part)
    else if ('loop' in part) forEachRow(filling, part.loop, () => fillBody(part.body, filling, body))
    else fillBody(filling.plain[part.test] === '' ? part.no : part.yes, filling, body)
  }
  return body
}

/** As `fillBody`, joined. */
export function fill(template: Slots, filling: Filling): string {
  return joinBody(fillBody(template, filling))
}
