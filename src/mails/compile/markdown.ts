/**
 * Owns reading Markdown into blocks: the reader of one file, and what in it is a block. The words inside a block are
 * inline.ts's. Whatever a mail cannot hold is a problem with its line, never dropped in silence.
 *
 * Placeholders are replaced before Markdown sees the text, so their values never meet this code.
 */
import { lexer, type MarkedToken, type Token, type Tokens } from 'marked'
import type { Block, Fact, Inline } from './blocks.ts'
import {
  closeBranches,
  type LineOf,
  type MarkdownReader,
  markedTokens,
  readInline,
  reportForbidden,
  writeBranch,
  writeWords,
} from './inline.ts'
import { marks, markTags, tagAt, treeWriter, type Writer } from './placeholders.ts'

/** A line without Markdown in it, such as a subject. */
export function readLine(reader: MarkdownReader, text: string, line: number): Inline[] {
  const out = treeWriter<Inline>((branch) => branch)
  writeWords(reader, markLine(reader, text.replace(/[ \t\n]+/g, ' '), line), out, false)
  return closeBranches(reader, out)
}

/** `lines` are the lines after the front matter, the first of which is line `firstLine` of the file. */
export function readBody(reader: MarkdownReader, lines: readonly string[], firstLine: number): Block[] {
  const { source, lineAt } = markBody(reader, lines, firstLine)
  let offset = 0
  const lineOf = (raw: string) => lineAt(Math.max(source.indexOf(raw.trim(), offset), offset))
  const out = blockWriter()
  for (const token of markedTokens(lexer(source, { gfm: true }))) {
    writeBlock(reader, token, out, lineOf)
    offset += token.raw.length
  }
  return closeBranches(reader, out)
}

/** Replaces the tags; a line of conditions alone becomes a paragraph of its own, so that conditions can hold blocks. */
function markBody(reader: MarkdownReader, lines: readonly string[], firstLine: number) {
  const marked: string[] = []
  const origin: number[] = []
  for (const [index, text] of lines.entries()) {
    const line = firstLine + index
    const words = markLine(reader, text.replaceAll('\t', '    '), line)
    for (const part of isConditions(reader, words) ? ['', words, ''] : [words]) {
      marked.push(part)
      origin.push(line)
    }
  }
  const source = marked.join('\n')
  return {
    source,
    lineAt: (offset: number) => origin[source.slice(0, offset).split('\n').length - 1] ?? firstLine,
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
  return treeWriter<Block>((branch) => ({ kind: 'choice', ...branch }))
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
      out.add(readFacts(reader, token, lineOf))
      return
    default:
      reportForbidden(reader, token, lineOf)
  }
}

function writeConditions(reader: MarkdownReader, raw: string, out: Writer<Block>): void {
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
  const items = token.items.map((item) => readBlocks(reader, item.tokens, lineOf))
  return { kind: 'list', ordered: token.ordered, start: token.start || 1, items }
}

/** Two columns without a head: names, and the value of each. */
function readFacts(reader: MarkdownReader, token: Tokens.Table, lineOf: LineOf): Block {
  if (token.header.length !== 2 || token.header.some((cell) => cell.text.trim() !== ''))
    reader.report(
      lineOf(token.raw),
      'a table has two columns and an empty head (`| | |`): names on the left, values beside them',
    )
  const readCell = (cell: Tokens.TableCell | undefined) =>
    readInline(reader, cell?.tokens ?? [], lineOf, true)
  return { kind: 'facts', rows: token.rows.map(([name, value]) => factOf(readCell(name), readCell(value))) }
}

function factOf(name: Inline[], value: Inline[]): Fact {
  const only = value.length === 1 && typeof value[0] === 'object' && 'test' in value[0] ? value[0] : undefined
  return only?.no.length === 0 ? { name, value: only.yes, test: only.test } : { name, value, test: undefined }
}
