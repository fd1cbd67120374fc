/**
 * Owns reading Markdown into blocks: the reader of one file, and what in it is a block. The words inside a block are
 * inline.ts's. Whatever a mail cannot hold is a problem with its line, never dropped in silence.
 *
 * Placeholders are replaced before Markdown sees the text, so their values never meet this code.
 */
import { lexer, type MarkedToken, type Token, type Tokens } from 'marked'
import type { Block, Inline, ListItem, Row } from './blocks.ts'
import {
  closeBranches,
  inlineWriter,
  type LineOf,
  type MarkdownReader,
  markedTokens,
  readInline,
  reportForbidden,
  writeBranch,
  writeWords,
} from './inline.ts'
import type { SourceLine } from './partials.ts'
import { treeWriter, type Writer } from './placeholders.ts'
import { marks, markTags, tagAt } from './tags.ts'

/** A line without Markdown in it, such as a subject. */
export function readLine(reader: MarkdownReader, text: string, line: number): Inline[] {
  const out = inlineWriter()
  writeWords(reader, markLine(reader, text.replace(/[ \t\n]+/g, ' '), line), out, false)
  return closeBranches(reader, out)
}

/** `lines` are the lines after the front matter. */
export function readBody(reader: MarkdownReader, lines: readonly SourceLine[]): Block[] {
  const { source, lineAt } = markBody(reader, lines)
  let offset = 0
  const lineOf = (raw: string) => lineAt(Math.max(source.indexOf(raw.trim(), offset), offset))
  const out = blockWriter()
  for (const token of markedTokens(lexer(source, { gfm: true }))) {
    writeBlock(reader, token, out, lineOf)
    offset += token.raw.length
  }
  return closeBranches(reader, out)
}

/**
 * Replaces the tags. A line of conditions alone becomes a paragraph of its own, so that conditions can hold blocks; among
 * the rows of a table it becomes a row.
 */
function markBody(reader: MarkdownReader, lines: readonly SourceLine[]) {
  const words = lines.map(({ text, line }) => markLine(reader, text.replaceAll('\t', '    '), line))
  const isTags = words.map((text) => isConditions(reader, text))
  const marked: string[] = []
  const origin: number[] = []
  const table = tableReader(reader, words, isTags)
  for (const [index, text] of words.entries()) {
    const { line } = lines[index]!
    const inTable = table.holds(index)
    for (const part of isTags[index] ? (inTable ? [`| ${text.trim()} |`] : ['', text, '']) : [text]) {
      marked.push(part)
      origin.push(line)
    }
  }
  const source = marked.join('\n')
  return {
    source,
    lineAt: (offset: number) => origin[source.slice(0, offset).split('\n').length - 1] ?? origin[0] ?? 1,
  }
}

/**
 * Tells line by line what stands in a table. Tags alone on a line belong to it when they end what began in it, or when
 * another row follows.
 */
function tableReader({ tags }: MarkdownReader, words: readonly string[], isTags: readonly boolean[]) {
  let inTable = false
  let depth = 0
  const rowFollows = (index: number) =>
    words
      .slice(index)
      .find((_, at) => !isTags[index + at])
      ?.trim()
      .startsWith('|')
  return {
    holds(index: number): boolean {
      const text = words[index]!.trim()
      if (!isTags[index]) {
        inTable =
          /^\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$/.test(text) && text.includes('|')
            ? true
            : inTable && text.includes('|')
        if (!inTable) depth = 0
        return inTable
      }
      const kinds = Array.from(text, (mark) => tagAt(mark, tags)?.kind)
      const ends = kinds.some((kind) => kind !== 'if' && kind !== 'for')
      if (!inTable || (ends ? depth === 0 : !rowFollows(index))) {
        inTable = false
        depth = 0
        return false
      }
      for (const kind of kinds)
        depth += kind === 'if' || kind === 'for' ? 1 : kind === 'end' || kind === 'endfor' ? -1 : 0
      return true
    },
  }
}

function markLine({ tags, report }: MarkdownReader, text: string, line: number): string {
  return markTags(text, line, tags, (message) => report(line, message))
}

function isConditions({ tags }: MarkdownReader, text: string): boolean {
  const found = Array.from(text.trim())
  return found.length > 0 && found.every((mark) => marks.test(mark) && tagAt(mark, tags)?.kind !== 'value')
}

function blockWriter(): Writer<Block> {
  return treeWriter<Block>(
    (branch) => ({ kind: 'choice', ...branch }),
    ({ loop, body }) => repeatedBlock(loop, body),
  )
}

function readBlocks(reader: MarkdownReader, tokens: readonly Token[], lineOf: LineOf): Block[] {
  const out = blockWriter()
  for (const token of markedTokens(tokens)) writeBlock(reader, token, out, lineOf)
  return closeBranches(reader, out)
}

function writeBlock(reader: MarkdownReader, token: MarkedToken, out: Writer<Block>, lineOf: LineOf): void {
  switch (token.type) {
    case 'space':
    case 'def':
      return
    case 'hr':
      out.add({ kind: 'rule' })
      return
    case 'heading':
      out.add(readHeading(reader, token, lineOf))
      return
    case 'paragraph':
    case 'text':
      if (isConditions(reader, token.raw)) writeConditions(reader, token.raw, out)
      else out.add(readParagraph(reader, token.tokens ?? [], lineOf))
      return
    case 'list':
      out.add(readList(reader, token, lineOf))
      return
    case 'blockquote':
      out.add({ kind: 'quote', blocks: readBlocks(reader, token.tokens, lineOf) })
      return
    case 'table':
      out.add(readTable(reader, token, lineOf))
      return
    default:
      reportForbidden(reader, token, lineOf)
  }
}

/** A loop around the items of a list is one list with many items. */
function repeatedBlock(loop: number, body: readonly Block[]): Block {
  const [list] = body
  if (body.length !== 1 || list?.kind !== 'list' || list.ordered) return { kind: 'loop', loop, body }
  return { ...list, items: [{ loop, body: list.items }] }
}

function writeConditions<T>(reader: MarkdownReader, raw: string, out: Writer<T>): void {
  for (const mark of raw.trim()) {
    const tag = tagAt(mark, reader.tags)
    if (tag && tag.kind !== 'value') writeBranch(reader, tag, out)
  }
}

function readHeading(reader: MarkdownReader, token: Tokens.Heading, lineOf: LineOf): Block {
  if (token.depth > 2) reader.report(lineOf(token.raw), 'headings are `# …` and `## …`')
  const inner = readInline(reader, token.tokens ?? [], lineOf, true)
  return { kind: 'heading', level: token.depth === 1 ? 1 : 2, inner }
}

function readParagraph(reader: MarkdownReader, tokens: readonly Token[], lineOf: LineOf): Block {
  const inner = readInline(reader, tokens, lineOf, true)
  const sole = inner.length === 1 && typeof inner[0] === 'object' && 'kind' in inner[0] ? inner[0] : undefined
  if (sole?.kind === 'code') return { kind: 'code', inner: sole.inner }
  if (sole?.kind === 'link' && !sole.bare)
    return { kind: 'button', href: sole.href, inner: sole.inner, hint: sole.hint }
  return { kind: 'paragraph', inner }
}

function readList(reader: MarkdownReader, token: Tokens.List, lineOf: LineOf): Block {
  const items = token.items.map((item): ListItem => readBlocks(reader, item.tokens, lineOf))
  return { kind: 'list', ordered: token.ordered, start: token.start || 1, items }
}

/** With an empty head: facts. A row of tags alone begins, turns or ends a loop or a condition around rows. */
function readTable(reader: MarkdownReader, token: Tokens.Table, lineOf: LineOf): Block {
  const readCell = (cell: Tokens.TableCell | undefined) =>
    readInline(reader, cell?.tokens ?? [], lineOf, true)
  const isFacts = token.header.every((cell) => cell.text.trim() === '')
  if (isFacts && token.header.length !== 2)
    reader.report(
      lineOf(token.raw),
      'a table under an empty head has two columns (`| | |`): names on the left, values beside them',
    )
  const head = isFacts ? undefined : token.header.map(readCell)
  const out = treeWriter<Row>(
    (branch) => branch,
    (loop) => loop,
  )
  for (const [first, ...rest] of token.rows) {
    const words = first?.text ?? ''
    if (isConditions(reader, words) && rest.every((cell) => cell.text === ''))
      writeConditions(reader, words, out)
    else
      for (const row of isFacts
        ? factRows(readCell(first), readCell(rest[0]))
        : [rowOf([first, ...rest].map(readCell))])
        out.add(row)
  }
  return { kind: 'table', head, align: token.align, rows: closeBranches(reader, out) }
}

const rowOf = (cells: Inline[][]): Row => ({ cells })

/** A fact whose whole value stands in a condition is left out with it. */
function factRows(name: Inline[], value: Inline[]): Row[] {
  const only = value.length === 1 && typeof value[0] === 'object' && 'test' in value[0] ? value[0] : undefined
  if (only?.no.length !== 0) return [{ cells: [name, value] }]
  return [{ test: only.test, yes: [{ cells: [name, only.yes] }], no: [] }]
}
