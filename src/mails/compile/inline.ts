/** Owns reading the words inside a block: text, emphasis, code, links, and the placeholders and conditions among them. */
import type { MarkedToken, Token, Tokens } from 'marked'
import type { Href, Inline } from './blocks.ts'
import type { Names, Report } from './names.ts'
import { treeWriter, type Writer } from './placeholders.ts'
import { type BlockTag, marks, type Tag, tagAt } from './tags.ts'

/** What reading one file needs, from its front matter to its last line. */
export interface MarkdownReader {
  readonly names: Names
  readonly report: Report
  /** The tags found so far; a mark in the text is an index of this list. */
  readonly tags: Tag[]
}

/** The line of the file on which this piece of Markdown stands. */
export type LineOf = (raw: string) => number

/** `whole`: these are all the words of their block. */
export function readInline(
  reader: MarkdownReader,
  tokens: readonly Token[],
  lineOf: LineOf,
  whole = false,
): Inline[] {
  const out = inlineWriter()
  const raw = tokens.map((token) => token.raw).join('')
  // one value and nothing else: the place where its line breaks mean something
  const alone = whole && raw.trim().length === 1 && marks.test(raw)
  for (const token of markedTokens(tokens)) writeInline(reader, token, out, lineOf, alone)
  return closeBranches(reader, out)
}

export function inlineWriter(): Writer<Inline> {
  return treeWriter<Inline>(
    (branch) => branch,
    (loop) => loop,
  )
}

function writeInline(
  reader: MarkdownReader,
  token: MarkedToken,
  out: Writer<Inline>,
  lineOf: LineOf,
  alone: boolean,
): void {
  switch (token.type) {
    case 'text':
      reportEntity(reader, token.raw, lineOf)
      writeWords(reader, token.text, out, alone)
      return
    case 'escape':
      out.add(token.text)
      return
    case 'strong':
    case 'em':
      out.add({ kind: token.type, inner: readInline(reader, token.tokens, lineOf) })
      return
    case 'codespan':
      out.add({ kind: 'code', inner: readCode(reader, token.text) })
      return
    case 'br':
      out.add({ kind: 'break' })
      return
    case 'link':
      out.add(readLink(reader, token, lineOf))
      return
    default:
      reportForbidden(reader, token, lineOf)
  }
}

function reportEntity({ report }: MarkdownReader, raw: string, lineOf: LineOf): void {
  const entity = /&(?:#\w+|[a-z]\w+);/i.exec(raw)
  if (entity) report(lineOf(raw), `write the character itself instead of ${entity[0]}`)
}

function readCode(reader: MarkdownReader, text: string): Inline[] {
  const out = inlineWriter()
  writeWords(reader, text, out, false)
  return closeBranches(reader, out)
}

function readLink(reader: MarkdownReader, token: Tokens.Link, lineOf: LineOf): Inline {
  const href = readHref(reader, token.href, lineOf(token.raw))
  const inner = readInline(reader, token.tokens, lineOf)
  return { kind: 'link', href, bare: token.text === token.href, hint: token.title ?? '', inner }
}

/** The origin is fixed before the first value, so that no value decides where a link leads. */
const fixedStart = /^https:\/\/[a-z0-9.-]+(?::\d+)?[/?#]/i

function readHref({ names, report, tags }: MarkdownReader, text: string, line: number): Href {
  const pieces = text.split(/([\uE000-\uF8FF])/).filter((piece) => piece !== '')
  const values = pieces.map((piece) => (marks.test(piece) ? tagAt(piece, tags) : undefined))
  const [first] = values
  const isLink = first?.kind === 'value' && 'name' in first.operand && first.operand.name === 'link'
  if (isLink && pieces.length === 1) return [names.slot(first, false, first.line)]
  const isFixed = values.every((tag) => tag === undefined) && /^(https:\/\/|mailto:)[^\s<>"]+$/.test(text)
  const isBuilt = fixedStart.test(pieces[0] ?? '') && !/[\s<>"]/.test(text)
  const right = (isFixed || isBuilt) && values.every((tag) => tag === undefined || tag.kind === 'value')
  if (!right)
    report(
      line,
      'a link leads to {{ link }}, to a fixed address that begins with https:// or mailto:, or to one with values behind its host, such as https://app.example.com/orders/{{ order_id }}',
    )
  return pieces.map((piece, index) => {
    const tag = values[index]
    return tag?.kind === 'value' ? names.urlSlot(tag, tag.line) : piece
  })
}

/** `alone`: the text is one placeholder and all of its block, so that line breaks in the value are kept. */
export function writeWords(reader: MarkdownReader, text: string, out: Writer<Inline>, alone: boolean): void {
  const { names, tags } = reader
  for (const piece of text.replaceAll('\n', ' ').split(/([\uE000-\uF8FF])/)) {
    const tag = marks.test(piece) ? tagAt(piece, tags) : undefined
    if (piece === '') continue
    if (!tag) out.add(piece)
    else if (tag.kind === 'value') out.add(names.constant(tag) ?? names.slot(tag, alone, tag.line))
    else writeBranch(reader, tag, out)
  }
}

/** Opens, turns or closes a condition or a loop. */
export function writeBranch<T>({ names, report }: MarkdownReader, tag: BlockTag, out: Writer<T>): void {
  const stray = (command: 'if' | 'for') => {
    names.lose()
    report(tag.line, `there is no {% ${command} %} open here`)
  }
  switch (tag.kind) {
    case 'if':
      return out.open(tag.condition ? names.test(tag.condition, tag.line) : 0, tag.negate, tag.line)
    case 'for':
      return out.openLoop(names.enter(tag.item, tag.list, tag.line), tag.line)
    case 'elsif': {
      const turned = out.turn()
      if (turned) out.open(tag.condition ? names.test(tag.condition, tag.line) : 0, false, tag.line, true)
      else stray('if')
      return
    }
    case 'else':
      if (!out.turn()) stray('if')
      return
    case 'endfor':
      if (out.close('for')) names.leave()
      else stray('for')
      return
    default:
      if (!out.close('if')) stray('if')
  }
}

/** A branch that was opened in a block or an element ends with it, and is a problem when it is still open there. */
export function closeBranches<T>({ names, report }: MarkdownReader, out: Writer<T>): T[] {
  for (let open = out.opened(); open !== undefined; open = out.opened()) {
    report(
      open.line,
      open.kind === 'if'
        ? 'an {% if %} must end where it began: in the same paragraph, item, emphasis or list of blocks'
        : 'a {% for %} must end where it began: in the same paragraph, list, table or list of blocks',
    )
    out.close(open.kind)
    if (open.kind === 'for') names.leave()
  }
  return out.root
}

const plainNames: Record<string, string> = {
  html: 'HTML cannot stand in a mail: write Markdown, the layout does the rest',
  code: 'a code block cannot stand in a mail: a paragraph that is only a `code span` becomes the code box',
  image: 'an image cannot stand in a mail: nothing is loaded from elsewhere',
  del: 'struck-out text cannot stand in a mail',
}

export function reportForbidden({ report }: MarkdownReader, token: MarkedToken, lineOf: LineOf): void {
  report(lineOf(token.raw), plainNames[token.type] ?? `${token.type} cannot stand in a mail`)
}

/** marked adds tokens of other kinds only for extensions, and there are none. */
export function markedTokens(tokens: readonly Token[]): MarkedToken[] {
  return tokens.filter((token): token is MarkedToken => token.type !== '')
}
