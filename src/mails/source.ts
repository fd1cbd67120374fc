/**
 * Owns reading the settings that authors write: `app.json` and front matter, both as YAML (JSON is a part of it), checked
 * by a schema. Every fault is a problem with its file and line.
 */
import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
} from 'yaml'
import type { z } from 'zod'
import type { Problems } from './problem.ts'

export interface ParsedSettings<T> {
  readonly value: T
  /** The line in the file on which the value at this path stands. */
  lineOf(path: readonly PropertyKey[]): number
}

/** `firstLine` is the line of the file on which `text` begins. `undefined` when a problem was found. */
export function parseSettings<T>(
  schema: z.ZodType<T>,
  text: string,
  file: string,
  firstLine: number,
  problems: Problems,
): ParsedSettings<T> | undefined {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const lineAt = (offset: number) => lines.linePos(offset).line + firstLine - 1
  const sourceLines = text.split('\n')
  const quotesAdvice = (line: number) => adviceOnQuotes(sourceLines[line - firstLine] ?? '')
  const faulty = new Map(document.errors.toReversed().map(({ pos, message }) => [lineAt(pos[0]), message]))
  const causes = faulty.size > 0 ? causesIn(sourceLines) : []
  for (const offset of marksOf(document)) faulty.set(lineAt(offset), 'anchors, aliases and tags are not read')
  for (const [index, message] of causes) problems.add(file, index + firstLine, message)
  for (const [line, message] of faulty) {
    const advice = quotesAdvice(line)
    // a quote or a bracket without its counterpart puts faults on lines that have none
    const isOwn = causes.length === 0 || (advice !== undefined && !/ (?:\[|quote) /.test(advice))
    if (isOwn && !causes.some(([index]) => index + firstLine === line))
      problems.add(file, line, advice ?? explainYamlError(message))
  }
  for (const offset of cutTexts(document))
    problems.add(
      file,
      lineAt(offset),
      'a text with ` #` in it needs quotes around it: the rest is taken as a comment',
    )
  if (faulty.size > 0) return undefined

  const lineOf = finderOf(linesIn(document.contents, lineAt), firstLine)
  const result = schema.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {})
  if (result.success) return { value: result.data, lineOf }
  for (const issue of result.error.issues) {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : undefined
    const path = unknown ? [...issue.path, unknown[0]!] : issue.path
    const subject = path.length > 0 ? `\`${path.join('.')}\`: ` : ''
    const advice = issue.code === 'invalid_type' && issue.expected === 'string' && quotesAdvice(lineOf(path))
    const says = unknown ? 'is not a setting known here' : advice || issue.message
    problems.add(file, lineOf(path), subject + says)
  }
  return undefined
}

/** The line of each value by its path, because compiled mails keep what finds it, and the document is far larger. */
function linesIn(
  node: unknown,
  lineAt: (offset: number) => number,
  path: readonly PropertyKey[] = [],
  found = new Map<string, number>(),
): ReadonlyMap<string, number> {
  if (isNode(node) && node.range) found.set(keyOf(path), lineAt(node.range[0]))
  if (isSeq(node))
    for (const [index, item] of node.items.entries()) linesIn(item, lineAt, [...path, index], found)
  if (isMap(node))
    for (const { key, value } of node.items)
      linesIn(value, lineAt, [...path, String(isScalar(key) ? key.value : key)], found)
  return found
}

const keyOf = (path: readonly PropertyKey[]) => path.map(String).join('\n')

/** Of what has no line of its own, the line of what it is in. */
function finderOf(lines: ReadonlyMap<string, number>, firstLine: number): ParsedSettings<unknown>['lineOf'] {
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(keyOf(path.slice(0, length)))
      if (line !== undefined) return line
    }
    return firstLine
  }
}

/** To YAML `subject: Ticket #1` is the text `Ticket`, which no author means. */
function cutTexts(document: Document): number[] {
  const found: number[] = []
  visit(document, {
    Scalar(_, node) {
      if (node.type === 'PLAIN' && typeof node.value === 'string' && node.comment)
        found.push(node.range?.[0] ?? 0)
    },
  })
  return found
}

/** To YAML `subject: &Co` is an empty text with a mark. No setting needs one. */
function marksOf(document: Document): number[] {
  const found: number[] = []
  visit(document, {
    Node(_, node) {
      const isMarked = isAlias(node) || ('anchor' in node && node.anchor) || node.tag?.startsWith('!')
      if (isMarked) found.push(node.range?.[0] ?? 0)
    },
  })
  return found
}

/** YAML reads these at the start of a text as something else. */
const leading = /^\s*(?:- )?[\w-]+:[ \t]+(["'[&*!|>%@`,}\]]|\{(?=[{%])|[-?](?= ))/

function adviceOnQuotes(line: string): string | undefined {
  const first = leading.exec(line)?.[1]
  if (first === undefined) return undefined
  return /["']/.test(first)
    ? 'a text that begins with a quote needs other quotes around the whole of it'
    : `a text that begins with ${first} needs quotes around it`
}

/** What has made YAML lose its way, by the index of its line. */
function causesIn(lines: readonly string[]): [number, string][] {
  const bare = lines.map((line) => line.replaceAll(/\\"|'[^']*'/g, ''))
  const odd = bare.findIndex((line) => line.split('"').length % 2 === 0)
  const tabs = lines.flatMap((line, index): [number, string][] =>
    /^ *\t/.test(line) ? [[index, 'a tab cannot indent a setting: write spaces']] : [],
  )
  if (odd >= 0) return [...tabs, [odd, 'a quote " on this line has no counterpart']]
  const unbalanced = bare.map((line) => openBrackets(line))
  const open = unbalanced.reduce((sum, count) => sum + count, 0)
  const first = unbalanced.findIndex((count) => count !== 0)
  const advice = lines[first] === undefined ? undefined : adviceOnQuotes(lines[first])
  if (open === 0 || first < 0 || (advice !== undefined && !advice.includes(' [ '))) return tabs
  return [...tabs, [first, `a bracket on this line has no counterpart: { … } or [ … ]`]]
}

function openBrackets(line: string): number {
  const texts = line.replaceAll(/"[^"]*"|(?:^|\s)#.*$/g, '')
  return texts.split(/[{[]/).length - texts.split(/[}\]]/).length
}

function explainYamlError(message: string): string {
  if (message.includes('compact mappings')) return 'a text with a colon in it needs quotes around it'
  return message.split('\n')[0]!
}
