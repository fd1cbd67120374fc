/** Owns how the blocks of a mail become HTML. Styles stand inline; classes only serve the dark design of the layout. */
import type { Align, Block, Href, Inline, ListItem, Row } from './blocks.ts'
import { light, type Palette } from './palette.ts'
import type { Part } from './placeholders.ts'
import { escapeHtml } from '../../escape-html.ts'

export interface HtmlStyle {
  readonly palette: Palette
  readonly direction: 'ltr' | 'rtl'
}

export const font = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
const monospace = "font-family:ui-monospace,Menlo,Consolas,'Courier New',monospace"
const table = '<table role="presentation" cellpadding="0" cellspacing="0" border="0"'
const small = `font-size:14px;line-height:21px;color:${light.soft}`
const wrapWords = 'word-wrap:break-word'
const breakAnywhere = `word-break:break-all;${wrapWords}`

/** The blocks of the card. The whole addresses of its buttons come last, under a line. */
export function compileCard(blocks: readonly Block[], style: HtmlStyle): Part[] {
  return [...column(blocks, style, 16), ...wholeAddresses(blocks)]
}

/** The small print under the card. */
export function compileFooter(blocks: readonly Block[], style: HtmlStyle): Part[] {
  return column(blocks, style, 8)
}

/** Blocks one under the other. The block before a code box stands close to it; `end` is the gap after the last one. */
function column(blocks: readonly Block[], style: HtmlStyle, gap: number, end = 0): Part[] {
  return blocks.flatMap((block, index) => {
    const next = blocks[index + 1]
    const after = next ? (next.kind === 'code' ? 12 : gap) : end
    return blockHtml(block, style, gap, after)
  })
}

/** `gap` parts the blocks inside, `after` follows the block itself; both in pixels. */
function blockHtml(block: Block, style: HtmlStyle, gap: number, after: number): Part[] {
  const start = style.direction === 'ltr' ? 'left' : 'right'
  switch (block.kind) {
    case 'heading':
      return block.level === 1
        ? element(
            'h1',
            'margin:0 0 12px;font-size:26px;line-height:32px;font-weight:bold',
            words(block.inner),
          )
        : element(
            'h2',
            'margin:24px 0 8px;font-size:18px;line-height:25px;font-weight:bold',
            words(block.inner),
          )
    case 'paragraph':
      return element('p', `margin:0 0 ${after}px`, words(block.inner))
    case 'button':
      return buttonHtml(block, style.palette)
    case 'code':
      return codeBox(block.inner, after)
    case 'list':
      return element(
        block.ordered ? 'ol' : 'ul',
        `margin:0 0 ${after}px;padding:0;padding-${start}:22px`,
        itemsHtml(block.items, style, gap),
      )
    case 'quote':
      return element(
        'blockquote',
        `margin:0 0 ${after}px;padding:0;padding-${start}:14px;border-${start}:3px solid ${light.border};color:${light.soft}`,
        column(block.blocks, style, gap),
        'class="s" ',
      )
    case 'table':
      return block.head
        ? tableHtml(block.head, block.align, block.rows, start, after)
        : factsHtml(block.rows, start, after)
    case 'loop':
      return [{ loop: block.loop, body: column(block.body, style, gap, after || gap) }]
    case 'choice':
      return [
        {
          test: block.test,
          yes: column(block.yes, style, gap, after),
          no: column(block.no, style, gap, after),
        },
      ]
    default:
      return []
  }
}

function element(tag: string, css: string, inner: readonly Part[], attributes = ''): Part[] {
  return [`<${tag} ${attributes}style="${css}">`, ...inner, `</${tag}>\n`]
}

function itemsHtml(items: readonly ListItem[], style: HtmlStyle, gap: number): Part[] {
  return items.flatMap((item): Part[] => {
    if ('loop' in item) return [{ loop: item.loop, body: itemsHtml(item.body, style, gap) }]
    if ('test' in item)
      return [{ test: item.test, yes: itemsHtml(item.yes, style, gap), no: itemsHtml(item.no, style, gap) }]
    return element('li', 'margin:0 0 6px', itemHtml(item, style, gap))
  })
}

/** A paragraph with margins of its own would tear a list apart. */
function itemHtml(item: readonly Block[], style: HtmlStyle, gap: number): Part[] {
  return item.flatMap((block, index): Part[] => {
    if (block.kind !== 'paragraph') return blockHtml(block, style, gap, 0)
    return index === 0 ? words(block.inner) : ['<br>', ...words(block.inner)]
  })
}

/** The padding stands twice: Outlook takes it from the cell, the others from the link, so that all of it can be hit. */
function buttonHtml(block: Block & { kind: 'button' }, { accent, label }: Palette): Part[] {
  return [
    `${table} style="margin:24px 0"><tr><td class="b" bgcolor="${accent}" style="background-color:${accent};border-radius:8px;mso-padding-alt:14px 28px"><a class="b" href="`,
    ...address(block.href),
    `" style="display:block;padding:14px 28px;border-radius:8px;font-size:17px;line-height:22px;font-weight:bold;color:${label};text-decoration:none">`,
    ...words(block.inner),
    '</a></td></tr></table>\n',
  ]
}

function codeBox(inner: readonly Inline[], after: number): Part[] {
  return [
    `${table} width="100%" style="margin:0 0 ${after && 20}px;table-layout:fixed"><tr><td class="k" dir="ltr" bgcolor="${light.box}" style="background-color:${light.box};border:1px solid ${light.border};border-radius:8px;padding:14px 16px;${monospace};font-size:22px;line-height:28px;letter-spacing:2px;${breakAnywhere}">`,
    ...words(inner),
    '</td></tr></table>\n',
  ]
}

/** Names in a narrow column, values beside them: real row headers, since this table holds data. */
function factsHtml(rows: readonly Row[], start: string, after: number): Part[] {
  const cell = `padding:9px 0;border-top:1px solid ${light.border};text-align:${start};vertical-align:top;${wrapWords}`
  return [
    `<table class="s" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 ${after}px;table-layout:fixed;font-size:16px;line-height:25px">`,
    ...rowsHtml(rows, ([name = [], value = []]) => [
      `<tr><th scope="row" class="s" width="30%" style="${cell};font-weight:normal;font-size:14px;color:${light.soft}">`,
      ...words(name),
      `</th><td class="f" style="${cell};color:${light.text}">`,
      ...words(value),
      '</td></tr>\n',
    ]),
    '</table>\n',
  ]
}

/** Of any width. Columns are as wide as what they hold, and words break before the table leaves the card. */
function tableHtml(
  head: readonly (readonly Inline[])[],
  align: readonly Align[],
  rows: readonly Row[],
  start: string,
  after: number,
): Part[] {
  const end = start === 'left' ? 'right' : 'left'
  const css = (index: number) => {
    const side = { left: 'left', center: 'center', right: 'right', none: start }[align[index] ?? 'none']
    const gap = index === head.length - 1 ? 'padding:9px 0' : `padding:9px 0;padding-${end}:12px`
    return `${gap};border-top:1px solid ${light.border};text-align:${side};vertical-align:top;${wrapWords}`
  }
  const title = `border-top:0;font-weight:normal;font-size:14px;color:${light.soft}`
  return [
    `<table class="s" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 ${after}px;font-size:16px;line-height:25px">`,
    '<tr>',
    ...head.flatMap((cell, index): Part[] => [
      `<th scope="col" class="s" style="${css(index)};${title}">`,
      ...words(cell),
      '</th>',
    ]),
    '</tr>\n',
    ...rowsHtml(rows, (cells) => [
      '<tr>',
      ...head.flatMap((_, index): Part[] => [
        `<td class="f" style="${css(index)};color:${light.text}">`,
        ...words(cells[index] ?? []),
        '</td>',
      ]),
      '</tr>\n',
    ]),
    '</table>\n',
  ]
}

function rowsHtml(rows: readonly Row[], write: (cells: readonly (readonly Inline[])[]) => Part[]): Part[] {
  return rows.flatMap((row): Part[] => {
    if ('cells' in row) return write(row.cells)
    if ('loop' in row) return [{ loop: row.loop, body: rowsHtml(row.body, write) }]
    return [{ test: row.test, yes: rowsHtml(row.yes, write), no: rowsHtml(row.no, write) }]
  })
}

function wholeAddresses(blocks: readonly Block[]): Part[] {
  return blocks.flatMap((block): Part[] => {
    if (block.kind === 'choice')
      return [{ test: block.test, yes: wholeAddresses(block.yes), no: wholeAddresses(block.no) }]
    if (block.kind !== 'button') return []
    const hint = block.hint ? [escapeHtml(block.hint), '<br>\n'] : []
    return element(
      'p',
      `margin:24px 0 0;padding-top:16px;border-top:1px solid ${light.border};${small}`,
      [...hint, ...bareLink(block.href)],
      'class="s" ',
    )
  })
}

/** An address that shows itself, whole. */
function bareLink(href: Href): Part[] {
  const shown = address(href)
  return [
    '<a class="s" dir="ltr" href="',
    ...shown,
    `" style="color:${light.soft};text-decoration:underline;${breakAnywhere}">`,
    ...shown,
    '</a>',
  ]
}

function address(href: Href): Part[] {
  return href.map((piece) => (typeof piece === 'string' ? escapeHtml(piece) : piece))
}

function words(inner: readonly Inline[]): Part[] {
  return inner.flatMap((part): Part[] => {
    if (typeof part === 'string') return [escapeHtml(part)]
    if (typeof part === 'number') return [part]
    if ('loop' in part) return [{ loop: part.loop, body: words(part.body) }]
    if ('test' in part) return [{ test: part.test, yes: words(part.yes), no: words(part.no) }]
    switch (part.kind) {
      case 'break':
        return ['<br>']
      case 'strong':
      case 'em':
        return [`<${part.kind}>`, ...words(part.inner), `</${part.kind}>`]
      case 'code':
        return [`<code dir="ltr" style="${monospace}">`, ...words(part.inner), '</code>']
      default:
        return part.bare
          ? bareLink(part.href)
          : [
              '<a href="',
              ...address(part.href),
              '" style="color:inherit;text-decoration:underline">',
              ...words(part.inner),
              '</a>',
            ]
    }
  })
}
