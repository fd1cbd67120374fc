/**
 * Owns the syntax of the tags in a mail, a part of Liquid: `{{ value | filter: argument }}`, `{% if %}`, `{% unless %}`,
 * `{% elsif %}`, `{% else %}`, `{% for item in list %}`, `{% render "partial" %}`.
 *
 * Tags are found before Markdown sees the text, and each is replaced by one private-use character, so that neither
 * language can misread the other. What a name means is names.ts's.
 */

/** A name, or a value that stands in the mail itself. */
export type Operand = { readonly name: string } | { readonly literal: string | number | boolean }
export interface Filter {
  readonly name: string
  readonly argument: Operand | undefined
  /** `one: "item", other: "items"` */
  readonly named: ReadonlyMap<string, Operand>
}
export interface ValueSyntax {
  readonly operand: Operand
  readonly filters: readonly Filter[]
}
export interface Comparison {
  readonly left: Operand
  /** Absent: the condition asks whether there is anything to show. */
  readonly test: { readonly operator: Operator; readonly right: Operand } | undefined
}
/** `and` and `or` bind from right to left, as in Liquid. */
export interface Condition extends Comparison {
  readonly next: { readonly word: 'and' | 'or'; readonly condition: Condition } | undefined
}
const operators = ['==', '!=', '<=', '>=', '<', '>', 'contains'] as const
export type Operator = (typeof operators)[number]

export type ValueTag = { readonly kind: 'value'; readonly line: number } & ValueSyntax
export type BlockTag =
  | {
      readonly kind: 'if'
      readonly line: number
      /** Absent: it cannot be read, which has been reported; the tag still begins what another one ends. */
      readonly condition: Condition | undefined
      readonly negate: boolean
    }
  | { readonly kind: 'elsif'; readonly line: number; readonly condition: Condition | undefined }
  | { readonly kind: 'for'; readonly line: number; readonly item: string; readonly list: string }
  | { readonly kind: 'else' | 'end' | 'endfor'; readonly line: number }
export type Tag = ValueTag | BlockTag

const firstMark = 0xe000
const maxTags = 1000
/** Every character that may stand for a tag. */
export const marks = /[\uE000-\uF8FF]/
const tagPattern = /\{\{-?(.*?)-?\}\}|\{%-?(.*?)-?%\}/g

/** Replaces the tags of one line and appends their meaning to `tags`. */
export function markTags(text: string, line: number, tags: Tag[], report: (message: string) => void): string {
  if (marks.test(text)) report('private-use characters (U+E000 to U+F8FF) cannot stand in a mail')
  const mark = (tag: Tag) => String.fromCharCode(firstMark + tags.push(tag) - 1)
  const marked = text.replace(tagPattern, (whole: string, value?: string, command?: string) => {
    if (tags.length >= maxTags) {
      report(`more than ${maxTags} placeholders`)
      return ''
    }
    try {
      return mark(value === undefined ? readCommand(command!, line) : readValueTag(value, line))
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
      report(`${whole}: ${error.message}`)
      const broken = brokenBranch(command ?? '', line)
      return broken ? mark(broken) : ''
    }
  })
  const stray = /\{\{|\}\}|\{%|%\}/.exec(marked)
  if (stray) report(`\`${stray[0]}\` has no counterpart on this line`)
  const foreign = foreignPlaceholder(marked)
  if (foreign) report(foreign)
  return marked
}

/** What a tag that cannot be read still begins, so that its end is not one fault more. */
function brokenBranch(command: string, line: number): Tag | undefined {
  const [, word = '', item = 'item', list = ''] = /^\s*(\w+)(?:\s+(\w+)\s+in\s+(\w+))?/.exec(command) ?? []
  if (word === 'for') return { kind: 'for', line, item, list }
  if (word === 'if' || word === 'unless') return { kind: 'if', line, condition: undefined, negate: false }
  return word.startsWith('els') && word.endsWith('if')
    ? { kind: 'elsif', line, condition: undefined }
    : undefined
}

/** `undefined` when the character stands for no tag. */
export function tagAt(character: string, tags: readonly Tag[]): Tag | undefined {
  return tags[character.charCodeAt(0) - firstMark]
}

class SyntaxFault extends Error {}

/** The words of one tag, taken one after the other. */
interface Words {
  readonly next: () => string
  readonly peek: () => string | undefined
  readonly take: (word: string) => boolean
  readonly end: (otherwise: string) => void
}

const wordPattern =
  /\s*("[^"]*"|'[^']*'|-?\d+(?:\.\d+)?(?![\w.])|[A-Za-z_][\w.-]*|==|!=|<=|>=|<>|[<>|:,=]|\S)/gy

function wordsOf(text: string): Words {
  if (/[\u201c\u201d\u201e\u2018\u2019]/.test(text.replaceAll(/"[^"]*"|'[^']*'/g, '')))
    throw new SyntaxFault('write straight quotes: "…"')
  if (text.split('"').length % 2 === 0) throw new SyntaxFault('a quote " has no counterpart')
  const words = [...text.trim().matchAll(wordPattern)].map(([, word = '']) => word)
  let at = 0
  return {
    next: () => words[at++] ?? '',
    peek: () => words[at],
    take: (word) => words[at] === word && ++at > 0,
    end: (otherwise) => {
      if (at < words.length) throw new SyntaxFault(otherwise)
    },
  }
}

/** Placeholders of other mailers and languages, which would be mailed as they are. */
const foreign: readonly RegExp[] = [
  /<%.*?%>/,
  /(?<!\\)\{#.*?#\}/,
  /(?<!\\)[$#]\{\s*[A-Za-z_][\w.]*\s*\}/,
  /\*\|[A-Z][\w:]*\|\*/,
  /%recipient(?:\.\w+)?%|%recipient_\w+%/,
  /%\([a-z_]\w*\)s/i,
  /\{!!.*?!!\}/,
  /(?<!\\)\[\[\s*[A-Za-z_][\w.]*\s*\]\]/,
  /^\s*@(?:component|endcomponent|if|endif|foreach|endforeach|include|Model)\b/,
]

function foreignPlaceholder(text: string): string | undefined {
  const found = foreign.map((pattern) => pattern.exec(text)?.[0]).find((each) => each !== undefined)
  return found === undefined
    ? undefined
    : `\`${found.trim()}\` is a placeholder of another mailer, and would be mailed as it is: write {{ user_name }}, {% if … %} or {% for … %}`
}

/** What other languages write between the same braces. */
function explainForeign(text: string): string | undefined {
  const handlebars = /^[#^/>]\s*(\w*)/.exec(text)
  if (handlebars) {
    const here: Record<string, string> = { each: '{% for item in list %} and {% endfor %}' }
    const partial = text.startsWith('>') ? '{% render "name" %}' : undefined
    return `this is Handlebars; here it is ${partial ?? here[handlebars[1]!] ?? '{% if name %} and {% endif %}'}`
  }
  if (text.startsWith('{')) return 'two braces are enough: values are always made harmless'
  if (/^\.|^(?:if|range|with|template)\s/.test(text))
    return 'this is another template language; here it is {{ name }}, {% if name %} and {% for item in list %}'
  if (/^[A-Za-z_]\w*[A-Z]\w*$/.test(text)) {
    const snake = text.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase()
    return `names are written in small letters, digits and underscores: {{ ${snake} }}`
  }
  return undefined
}

const valueHelp = 'a placeholder is a name, and filters behind it: {{ amount_cents | money: currency }}'

function readValueTag(text: string, line: number): Tag {
  const other = explainForeign(text.trim())
  if (other !== undefined) throw new SyntaxFault(other)
  const words = wordsOf(text)
  const operand = readOperand(words, valueHelp)
  const filters: Filter[] = []
  while (words.take('|')) filters.push(readFilter(words))
  words.end(valueHelp)
  return { kind: 'value', line, operand, filters }
}

function readFilter(words: Words): Filter {
  const name = words.next()
  const named = new Map<string, Operand>()
  let argument: Operand | undefined
  if (words.take(':')) {
    do {
      const operand = readOperand(words, valueHelp)
      if (words.take(':') && 'name' in operand) named.set(operand.name, readOperand(words, valueHelp))
      else argument = operand
    } while (words.take(','))
  }
  return { name, argument, named }
}

function readOperand(words: Words, help: string): Operand {
  const word = words.next()
  if (/^["'].*["']$/.test(word) && word.length > 1) return { literal: word.slice(1, -1) }
  if (/^-?\d/.test(word)) return { literal: Number(word) }
  if (word === 'true' || word === 'false') return { literal: word === 'true' }
  if (/^[a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)*$/.test(word)) return { name: word }
  throw new SyntaxFault(help)
}

const commandHelp =
  'the tags are {% if … %}, {% elsif … %}, {% else %}, {% endif %}, {% unless … %}, {% endunless %}, {% for item in list %}, {% endfor %} and, alone on a line, {% render "name" %}'

function readCommand(text: string, line: number): Tag {
  const words = wordsOf(text)
  const command = words.next()
  switch (command) {
    case 'else':
      words.end(commandHelp)
      return { kind: 'else', line }
    case 'endif':
    case 'endunless':
      words.end(commandHelp)
      return { kind: 'end', line }
    case 'endfor':
      words.end(commandHelp)
      return { kind: 'endfor', line }
    case 'if':
    case 'unless':
      return { kind: 'if', line, condition: readCondition(words), negate: command === 'unless' }
    case 'elsif':
    case 'elseif':
      return { kind: 'elsif', line, condition: readCondition(words) }
    case 'for':
      return readFor(words, line)
    default:
      throw new SyntaxFault(commandHelp)
  }
}

function readFor(words: Words, line: number): Tag {
  const help = 'a loop is {% for item in list %}'
  const item = readOperand(words, help)
  if (!words.take('in')) throw new SyntaxFault(help)
  const list = readOperand(words, help)
  words.end(help)
  if (!('name' in item) || !('name' in list) || item.name.includes('.')) throw new SyntaxFault(help)
  return { kind: 'for', line, item: item.name, list: list.name }
}

const conditionHelp = `a condition is a name, or a comparison by ${operators.join(' ')}, with \`and\` and \`or\` between them`

function readCondition(words: Words): Condition {
  const left = readOperand(words, conditionHelp)
  const operator = operators.find((each) => words.take(each))
  const test = operator && { operator, right: readOperand(words, conditionHelp) }
  const word = (['and', 'or'] as const).find((each) => words.take(each))
  if (!word) words.end(conditionHelp)
  return { left, test, next: word && { word, condition: readCondition(words) } }
}
