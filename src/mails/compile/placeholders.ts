/**
 * Owns the placeholder language of the mails, a small part of Liquid: `{{ name }}`, `{{ cents | money: currency }}`,
 * `{% if name %}`, `{% unless name %}`, `{% else %}`, `{% endif %}`, `{% endunless %}`.
 *
 * Tags are found before Markdown sees the text, and each is replaced by one private-use character, so that neither
 * language can misread the other. The result is literals, slots and branches, which are filled and never parsed.
 */

import { type Body, joinBody, type Literal } from '../../message.ts'

/** A piece of a mail that is being compiled: a literal, the index of an expression, or a branch. */
export type Part = string | number | Branch<readonly Part[]>
/** A compiled part. Each literal is an object, always the same one, so that its encoding can be kept. */
export type Slots = readonly (Literal | number | Branch<Slots>)[]
interface Branch<Arm> {
  /** Index of an expression: `yes` when it shows anything. */
  readonly test: number
  readonly yes: Arm
  readonly no: Arm
}

export type Tag =
  | {
      readonly kind: 'value'
      readonly line: number
      readonly name: string
      readonly money: string | undefined
    }
  | { readonly kind: 'if'; readonly line: number; readonly name: string; readonly negate: boolean }
  | { readonly kind: 'else' | 'end'; readonly line: number }

const firstMark = 0xe000
const maxTags = 1000
/** Every character that may stand for a tag. */
export const marks = /[\uE000-\uF8FF]/
const tagPattern = /\{\{(.*?)\}\}|\{%(.*?)%\}/g
const valuePattern = /^([a-z_][a-z0-9_.]*)(?:\s*\|\s*(\w+)\s*(?::\s*([a-z_][a-z0-9_]*))?)?$/
const ifPattern = /^(if|unless)\s+([a-z_][a-z0-9_.]*)$/

/** Replaces the tags of one line and appends their meaning to `tags`. */
export function markTags(text: string, line: number, tags: Tag[], report: (message: string) => void): string {
  if (marks.test(text)) report('private-use characters (U+E000 to U+F8FF) cannot stand in a mail')
  const marked = text.replace(tagPattern, (whole: string, value?: string, command?: string) => {
    const tag = value === undefined ? readCommand(command!.trim(), line) : readValue(value.trim(), line)
    if (typeof tag === 'string') report(`${whole}: ${tag}`)
    else if (tags.length >= maxTags) report(`more than ${maxTags} placeholders`)
    else return String.fromCharCode(firstMark + tags.push(tag) - 1)
    return ''
  })
  const stray = /\{\{|\}\}|\{%|%\}/.exec(marked)
  if (stray) report(`\`${stray[0]}\` has no counterpart on this line`)
  return marked
}

/** `undefined` when the character stands for no tag. */
export function tagAt(character: string, tags: readonly Tag[]): Tag | undefined {
  return tags[character.charCodeAt(0) - firstMark]
}

function readValue(text: string, line: number): Tag | string {
  const match = valuePattern.exec(text)
  if (!match) return 'a placeholder is a name, or an amount: {{ amount_cents | money: currency }}'
  const [, name, filter, argument] = match
  if (filter !== undefined && filter !== 'money')
    return `unknown filter \`${filter}\`; the only filter is \`money\``
  if (filter === 'money' && !argument) return 'money needs its currency: {{ amount_cents | money: currency }}'
  return { kind: 'value', line, name: name!, money: argument }
}

function readCommand(text: string, line: number): Tag | string {
  if (text === 'else') return { kind: 'else', line }
  if (text === 'endif' || text === 'endunless') return { kind: 'end', line }
  const match = ifPattern.exec(text)
  if (!match)
    return 'the tags are {% if name %}, {% unless name %}, {% else %}, {% endif %} and {% endunless %}'
  return { kind: 'if', line, name: match[2]!, negate: match[1] === 'unless' }
}

/** Builds a tree of parts and branches. */
export interface Writer<T> {
  readonly root: T[]
  add(part: T): void
  /** `line` is where the branch begins in its file. */
  open(test: number, negate: boolean, line: number): void
  /** `false`: there is no open branch to turn or close. */
  turn(): boolean
  close(): boolean
  /** Where the innermost open branch begins; `undefined` when none is open. */
  openedAt(): number | undefined
}

interface OpenBranch<T> {
  readonly line: number
  readonly test: number
  readonly yes: T[]
  readonly no: T[]
}

/** `branch` makes a part from a finished branch. */
export function treeWriter<T>(branch: (finished: OpenBranch<T>) => T): Writer<T> {
  const root: T[] = []
  const lists: T[][] = [root]
  const open: OpenBranch<T>[] = []
  return {
    root,
    add: (part) => void lists.at(-1)!.push(part),
    open(test, negate, line) {
      const entry = { line, test, yes: [], no: [] }
      open.push(entry)
      lists.push(negate ? entry.no : entry.yes)
    },
    turn() {
      const entry = open.at(-1)
      if (!entry) return false
      lists.push(lists.pop() === entry.yes ? entry.no : entry.yes)
      return true
    },
    close() {
      const entry = open.pop()
      if (!entry) return false
      lists.pop()
      lists.at(-1)!.push(branch(entry))
      return true
    },
    openedAt: () => open.at(-1)?.line,
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
    return typeof part === 'number'
      ? part
      : { test: part.test, yes: templateOf(part.yes), no: templateOf(part.no) }
  })
}

export const isLiteral = (part: Slots[number]): part is Literal =>
  typeof part === 'object' && 'literal' in part

/** `values` of each expression as they are written in this part, `plain` to decide the branches. */
export function fillBody(
  template: Slots,
  values: readonly string[],
  plain: readonly string[],
  body: (Literal | string)[] = [],
): Body {
  for (const part of template) {
    if (isLiteral(part)) body.push(part)
    else if (typeof part === 'number') body.push(values[part]!)
    else fillBody(plain[part.test] === '' ? part.no : part.yes, values, plain, body)
  }
  return body
}

/** As `fillBody`, joined. */
export function fill(template: Slots, values: readonly string[], plain: readonly string[]): string {
  return joinBody(fillBody(template, values, plain))
}
