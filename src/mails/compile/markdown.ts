/**
 * Owns reading Markdown into blocks. What a mail cannot hold is a problem with its line, never dropped in silence.
 *
 * Placeholders are replaced before Markdown sees the text, so their values never meet this code.
 */
import { lexer, type MarkedToken, type Token, type Tokens } from 'marked'
import type { Block, Fact, Inline } from './blocks.ts'
import type { Names, Report } from './names.ts'
import { markTags, marks, tagAt, treeWriter, type Tag, type Writer } from './placeholders.ts'

type Command = Exclude<Tag, { kind: 'value' }>

/** Reads single lines of front matter, and the body. One reader serves one file. */
export function markdownReader(names: Names, report: Report) {
  const tags: Tag[] = []

  /** A line without Markdown in it, such as a subject. */
  function readLine(text: string, line: number): Inline[] {
    const out = treeWriter<Inline>((branch) => branch)
    const marked = markTags(text.replace(/\s+/g, ' '), line, tags, (sentence) => report(line, sentence))
    writeWords(marked, out, false)
    return closeAll(out)
  }

  /** `lines` are the lines after the front matter, the first of which is line `firstLine` of the file. */
  function readBody(lines: readonly string[], firstLine: number): Block[] {
    const { source, lineAt } = markBody(lines, firstLine)
    let offset = 0
    const lineOf = (raw: string) => lineAt(Math.max(source.indexOf(raw.trim(), offset), offset))
    const out = treeWriter<Block>((branch) => ({ kind: 'choice', ...branch }))
    for (const token of ours(lexer(source, { gfm: true }))) {
      writeBlock(token, out, lineOf)
      offset += token.raw.length
    }
    return closeAll(out)
  }

  /** Replaces the tags; a line of conditions alone becomes a paragraph of its own, so that conditions can hold blocks. */
  function markBody(lines: readonly string[], firstLine: number) {
    const marked: string[] = []
    const origin: number[] = []
    for (const [index, text] of lines.entries()) {
      const line = firstLine + index
      const words = markTags(text.replaceAll('\t', '    '), line, tags, (sentence) => report(line, sentence))
      for (const part of isCommands(words) ? ['', words, ''] : [words]) {
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

  function isCommands(text: string): boolean {
    const found = Array.from(text.trim())
    return found.length > 0 && found.every((mark) => marks.test(mark) && tagAt(mark, tags)?.kind !== 'value')
  }

  // blocks

  type LineOf = (raw: string) => number

  function readBlocks(tokens: readonly Token[], lineOf: LineOf): Block[] {
    const out = treeWriter<Block>((branch) => ({ kind: 'choice', ...branch }))
    for (const token of ours(tokens)) writeBlock(token, out, lineOf)
    return closeAll(out)
  }

  function writeBlock(token: MarkedToken, out: Writer<Block>, lineOf: LineOf): void {
    switch (token.type) {
      case 'space':
      case 'def':
        return
      case 'hr':
        out.add({ kind: 'rule' })
        return
      case 'heading':
        if (token.depth > 2) report(lineOf(token.raw), 'headings are `# …` and `## …`')
        out.add({
          kind: 'heading',
          level: token.depth === 1 ? 1 : 2,
          inner: readInline(token.tokens, lineOf, true),
        })
        return
      case 'paragraph':
      case 'text':
        if (isCommands(token.raw))
          for (const mark of token.raw.trim()) {
            const tag = tagAt(mark, tags)
            if (tag && tag.kind !== 'value') writeCommand(tag, out)
          }
        else out.add(readParagraph(token.tokens ?? [], lineOf))
        return
      case 'list':
        out.add(readList(token, lineOf))
        return
      case 'blockquote':
        out.add({ kind: 'quote', blocks: readBlocks(token.tokens, lineOf) })
        return
      case 'table':
        out.add(readFacts(token, lineOf))
        return
      default:
        report(lineOf(token.raw), notAllowed(token))
    }
  }

  function readParagraph(tokens: Token[], lineOf: LineOf): Block {
    const inner = readInline(tokens, lineOf, true)
    const sole =
      inner.length === 1 && typeof inner[0] === 'object' && 'kind' in inner[0] ? inner[0] : undefined
    if (sole?.kind === 'code') return { kind: 'code', inner: sole.inner }
    if (sole?.kind === 'link' && !sole.bare)
      return { kind: 'button', href: sole.href, inner: sole.inner, hint: sole.hint }
    return { kind: 'paragraph', inner }
  }

  function readList(token: Tokens.List, lineOf: LineOf): Block {
    const items = token.items.map((item) => readBlocks(item.tokens, lineOf))
    return { kind: 'list', ordered: token.ordered, start: token.start || 1, items }
  }

  /** Two columns without a head: what something is called, and what it is. */
  function readFacts(token: Tokens.Table, lineOf: LineOf): Block {
    if (token.header.length !== 2 || token.header.some((cell) => cell.text.trim() !== ''))
      report(
        lineOf(token.raw),
        'a table has two columns and an empty head (`| | |`): names on the left, values beside them',
      )
    const cell = (entry: Tokens.TableCell | undefined) => readInline(entry?.tokens ?? [], lineOf, true)
    return { kind: 'facts', rows: token.rows.map(([name, value]) => factOf(cell(name), cell(value))) }
  }

  // words

  function readInline(tokens: readonly Token[], lineOf: LineOf, whole = false): Inline[] {
    const out = treeWriter<Inline>((branch) => branch)
    const raw = tokens.map((token) => token.raw).join('')
    // one value and nothing else: the place where its line breaks mean something
    const alone = whole && raw.trim().length === 1 && marks.test(raw)
    for (const token of ours(tokens)) writeInline(token, out, lineOf, alone)
    return closeAll(out)
  }

  function writeInline(token: MarkedToken, out: Writer<Inline>, lineOf: LineOf, alone: boolean): void {
    switch (token.type) {
      case 'text': {
        const entity = /&(?:#\w+|[a-z]\w+);/i.exec(token.raw)
        if (entity) report(lineOf(token.raw), `write the character itself instead of ${entity[0]}`)
        writeWords(token.text, out, alone)
        return
      }
      case 'escape':
        out.add(token.text)
        return
      case 'strong':
      case 'em':
        out.add({ kind: token.type, inner: readInline(token.tokens, lineOf) })
        return
      case 'codespan': {
        const code = treeWriter<Inline>((branch) => branch)
        writeWords(token.text, code, false)
        out.add({ kind: 'code', inner: closeAll(code) })
        return
      }
      case 'br':
        out.add({ kind: 'break' })
        return
      case 'link':
        out.add(readLink(token, lineOf))
        return
      default:
        report(lineOf(token.raw), notAllowed(token))
    }
  }

  function readLink(token: Tokens.Link, lineOf: LineOf): Inline {
    const tag = token.href.length === 1 ? tagAt(token.href, tags) : undefined
    const isLink = tag?.kind === 'value' && tag.name === 'link'
    if (!isLink && (marks.test(token.href) || !/^(https:\/\/|mailto:)[^\s<>"]+$/.test(token.href)))
      report(
        lineOf(token.raw),
        'a link leads to {{ link }}, or to a fixed address that begins with https:// or mailto:',
      )
    const href = isLink ? names.slot('link', undefined, false, tag.line) : token.href
    const inner = readInline(token.tokens, lineOf)
    return { kind: 'link', href, bare: token.text === token.href, hint: token.title ?? '', inner }
  }

  function writeWords(text: string, out: Writer<Inline>, alone: boolean): void {
    for (const piece of text.replaceAll('\n', ' ').split(/([\uE000-\uF8FF])/)) {
      const tag = marks.test(piece) ? tagAt(piece, tags) : undefined
      if (piece === '') continue
      if (!tag) out.add(piece)
      else if (tag.kind === 'value')
        out.add(names.constant(tag.name) ?? names.slot(tag.name, tag.money, alone, tag.line))
      else writeCommand(tag, out)
    }
  }

  // conditions

  function writeCommand<T>(tag: Command, out: Writer<T>): void {
    if (tag.kind === 'if') out.open(names.test(tag.name, tag.line), tag.negate, tag.line)
    else if (!(tag.kind === 'else' ? out.turn() : out.close()))
      report(tag.line, 'there is no {% if %} open here')
  }

  /** Everything that was opened in a block or an element ends with it. */
  function closeAll<T>(out: Writer<T>): T[] {
    for (let line = out.openedAt(); line !== undefined; line = out.openedAt()) {
      report(
        line,
        'an {% if %} must end where it began: in the same paragraph, item, emphasis or list of blocks',
      )
      out.close()
    }
    return out.root
  }

  return { readLine, readBody }
}

function factOf(name: Inline[], value: Inline[]): Fact {
  const only = value.length === 1 && typeof value[0] === 'object' && 'test' in value[0] ? value[0] : undefined
  return only?.no.length === 0 ? { name, value: only.yes, test: only.test } : { name, value, test: undefined }
}

const plainNames: Record<string, string> = {
  html: 'HTML cannot stand in a mail: write Markdown, the layout does the rest',
  code: 'a code block cannot stand in a mail: a paragraph that is only a `code span` becomes the code box',
  image: 'an image cannot stand in a mail: nothing is loaded from elsewhere',
  del: 'struck-out text cannot stand in a mail',
}

function notAllowed(token: MarkedToken): string {
  return plainNames[token.type] ?? `${token.type} cannot stand in a mail`
}

/** marked adds tokens of its own kinds only for extensions, and there are none. */
function ours(tokens: readonly Token[]): MarkedToken[] {
  return tokens.filter((token): token is MarkedToken => token.type !== '')
}
