/** Owns the text part: how blocks become lines of at most 72 columns. */
import type { Block, Href, Inline, ListItem, Row } from './blocks.ts'
import {
  fill,
  type Filling,
  forEachRow,
  isLiteral,
  noFilling,
  type Part,
  type Slots,
  templateOf,
} from './placeholders.ts'
import { compileTable, fillTable, type TextTable } from './text-table.ts'

export const textWidth = 72

export interface TextParagraph {
  readonly content: Slots
  /** Indents of the first line and of each further one. */
  readonly first: string
  readonly rest: string
  /** A blank line before it. */
  readonly gap: boolean
  /** `false` for a link and a key, which must stay in one piece. */
  readonly wrap: boolean
  /** Repeated under the last line, as long as that is. */
  readonly underline: string
}
export interface TextBranch {
  readonly test: number
  readonly yes: readonly TextBlock[]
  readonly no: readonly TextBlock[]
}
/** A paragraph without placeholders is laid out at start and kept as its lines. */
export type TextBlock =
  | TextParagraph
  | TextBranch
  | { readonly loop: number; readonly body: readonly TextBlock[] }
  | TextTable
  | { readonly lines: string; readonly gap: boolean }
  | { readonly group: readonly TextBlock[]; readonly gap: boolean }

interface Place {
  readonly first: string
  readonly rest: string
  readonly gap: boolean
  /** Follows a label. */
  readonly colon: string
}

export function compileText(blocks: readonly Block[], locale: string): TextBlock[] {
  const colon = locale.split('-')[0] === 'fr' ? '\u00a0:' : ':'
  return column(blocks, { first: '', rest: '', gap: true, colon })
}

function column(blocks: readonly Block[], place: Place): TextBlock[] {
  return blocks.flatMap((block, index) => {
    const here = index === 0 ? place : { ...place, first: place.rest }
    return blockText(block, here)
  })
}

function blockText(block: Block, place: Place): TextBlock[] {
  switch (block.kind) {
    case 'heading':
      return [paragraph(wordsOf(block.inner), place, { underline: block.level === 1 ? '=' : '' })]
    case 'paragraph':
      return [
        paragraph(wordsOf(block.inner), place),
        ...linksIn(block.inner).map((href) => address(href, place)),
      ]
    case 'button':
      return [paragraph([...wordsOf(block.inner), place.colon], place), address(block.href, place)]
    case 'code':
      return [paragraph(wordsOf(block.inner), { ...place, first: `${place.first}    ` }, { wrap: false })]
    case 'quote':
      return column(block.blocks, { ...place, first: `${place.first}> `, rest: `${place.rest}> ` })
    case 'list':
      return block.items.length > 0 && 'loop' in block.items[0]!
        ? [{ group: itemsText(block, block.items, { ...place, gap: false }), gap: place.gap }]
        : itemsText(block, block.items, place)
    case 'table':
      if (block.head) return [compileTable(block.head.map(wordsOf), block, wordsOf, place)]
      return [{ group: factsText(block.rows, place), gap: place.gap }]
    case 'loop':
      return [{ loop: block.loop, body: column(block.body, place) }]
    case 'choice':
      return [{ test: block.test, yes: column(block.yes, place), no: column(block.no, place) }]
    default:
      return [{ lines: '---\n', gap: true }]
  }
}

function itemsText(list: Block & { kind: 'list' }, items: readonly ListItem[], place: Place): TextBlock[] {
  return items.flatMap((item, index): TextBlock[] => {
    const here = { ...place, first: index === 0 ? place.first : place.rest, gap: place.gap && index === 0 }
    if ('loop' in item) return [{ loop: item.loop, body: itemsText(list, item.body, here) }]
    if ('test' in item)
      return [{ test: item.test, yes: itemsText(list, item.yes, here), no: itemsText(list, item.no, here) }]
    const bullet = list.ordered ? `${list.start + index}. ` : '- '
    const rest = place.rest + ' '.repeat(bullet.length)
    return column(item, { ...here, first: here.first + bullet, rest })
  })
}

function factsText(rows: readonly Row[], place: Place): TextBlock[] {
  return rows.flatMap((row, index): TextBlock[] => {
    const here = { ...place, first: index === 0 ? place.first : place.rest, gap: false }
    if ('loop' in row) return [{ loop: row.loop, body: factsText(row.body, here) }]
    if ('test' in row) return [{ test: row.test, yes: factsText(row.yes, here), no: factsText(row.no, here) }]
    const [name = [], value = []] = row.cells
    return [
      paragraph([...wordsOf(name), `${place.colon} `, ...wordsOf(value)], {
        ...here,
        rest: `${place.rest}  `,
      }),
    ]
  })
}

function paragraph(
  content: readonly Part[],
  place: Place,
  options: { wrap?: boolean; underline?: string } = {},
) {
  const { wrap = true, underline = '' } = options
  const { first, rest, gap } = place
  return settleBlock({ first, rest, gap, content: templateOf(content), wrap, underline })
}

/** A link on a line of its own, whole. */
function address(href: Href, place: Place): TextBlock {
  const here = { ...place, first: place.rest, rest: '', gap: false }
  return paragraph(href, here, { wrap: false })
}

function wordsOf(inner: readonly Inline[]): Part[] {
  return inner.flatMap((part): Part[] => {
    if (typeof part !== 'object') return [part]
    if ('loop' in part) return [{ loop: part.loop, body: wordsOf(part.body) }]
    if ('test' in part) return [{ test: part.test, yes: wordsOf(part.yes), no: wordsOf(part.no) }]
    if (part.kind === 'break') return ['\n']
    return part.kind === 'link' && part.bare ? [...part.href] : wordsOf(part.inner)
  })
}

function linksIn(inner: readonly Inline[]): Href[] {
  return inner.flatMap((part): Href[] => {
    if (typeof part !== 'object') return []
    if ('loop' in part) return linksIn(part.body)
    if ('test' in part) return [...linksIn(part.yes), ...linksIn(part.no)]
    if (part.kind === 'break') return []
    return part.kind === 'link' ? (part.bare ? [] : [part.href]) : linksIn(part.inner)
  })
}

/** A paragraph that holds no value is laid out at start. */
function settleBlock(block: TextParagraph): TextBlock {
  const fixed = block.content.every(isLiteral)
  return fixed ? { lines: layOut(block, fill(block.content, noFilling)), gap: block.gap } : block
}

/** The lines of all blocks, each ended by `\n`. */
export function fillText(blocks: readonly TextBlock[], filling: Filling, before = ''): string {
  let out = before
  for (const block of blocks) {
    if ('test' in block) {
      out = fillText(filling.plain[block.test] === '' ? block.no : block.yes, filling, out)
    } else if ('loop' in block) {
      forEachRow(filling, block.loop, () => {
        out = fillText(block.body, filling, out)
      })
    } else {
      const lines = linesOf(block, filling)
      if (lines !== '') out += block.gap && out !== '' ? `\n${lines}` : lines
    }
  }
  return out
}

function linesOf(
  block: Exclude<TextBlock, TextBranch | { readonly loop: number }>,
  filling: Filling,
): string {
  if ('lines' in block) return block.lines
  if ('head' in block) return fillTable(block, filling, textWidth)
  return 'group' in block ? fillText(block.group, filling) : layOut(block, fill(block.content, filling))
}

function layOut(block: TextParagraph, words: string): string {
  if (words.trim() === '') return ''
  const text = block.wrap ? wrapWords(words, block.first, block.rest) : `${block.first}${words}\n`
  if (block.underline === '') return text
  return `${text}${block.underline.repeat(text.length - text.lastIndexOf('\n', text.length - 2) - 2)}\n`
}

/** Greedy; a word that is longer than the line stands alone on one. Line breaks in the words are kept. */
function wrapWords(words: string, first: string, rest: string): string {
  const [head = '', ...tail] = words.split('\n')
  return wrapLine(head, first, rest) + tail.map((line) => wrapLine(line, rest, rest)).join('')
}

function wrapLine(words: string, first: string, rest: string): string {
  const line = words.replace(/ {2,}/g, ' ').trim()
  let out = ''
  let start = 0
  for (let indent = first; ; indent = rest) {
    const room = textWidth - indent.length
    const end = line.length - start <= room ? -1 : spaceNear(line, start, room)
    if (end < 0) return `${out}${(indent + line.slice(start)).trimEnd()}\n`
    out += `${indent}${line.slice(start, end)}\n`
    start = end + 1
  }
}

/** The last space that leaves the line within its room, else the first one after; -1 when there is none. */
function spaceNear(line: string, start: number, room: number): number {
  const inside = line.lastIndexOf(' ', start + room)
  return inside > start ? inside : line.indexOf(' ', start + room)
}
