/**
 * Owns how one Markdown file becomes a template: front matter, contract, and the slots of both parts.
 *
 * Everything is decided once, at start; a request only fills slots (render.ts).
 */
import { z } from 'zod'
import type { Block, Inline } from './blocks.ts'
import { contractSchema, sourcesOf, type Source } from '../claims.ts'
import { compileCard, compileFooter } from './html.ts'
import { readBody, readLine } from './markdown.ts'
import { fillLayout, type Layout } from './layout.ts'
import { nameTable, type Expression } from './names.ts'
import type { Palette } from './palette.ts'
import { isLiteral, templateOf, type Part, type Slots } from './placeholders.ts'
import type { Problems } from '../problem.ts'
import { parseSettings, type ParsedSettings } from '../source.ts'
import { compileText, type TextBlock } from './text.ts'
import { escapeHtml } from '../../escape-html.ts'

const line = z
  .string({ error: 'is needed, as a text' })
  .trim()
  .min(1, 'is empty')
  .max(200, 'is longer than 200 characters')
const frontMatterSchema = z.strictObject({
  subject: line,
  preheader: line,
  to_name: line.optional(),
  claims: contractSchema.default({}),
})

/** The values that a mail takes from its app. */
export interface MailSetting {
  readonly appName: string
  readonly senderName: string
  /** Template of the To name, when the mail has none of its own. */
  readonly toName: string
  readonly palette: Palette
  readonly layout: Layout
  readonly locale: string
  readonly direction: 'ltr' | 'rtl'
}

/** The compiled mail, which a request fills. Slots are indexes of `expressions`. */
export interface Program {
  readonly sources: readonly Source[]
  readonly expressions: readonly Expression[]
  readonly subject: Slots
  readonly toName: Slots
  readonly html: Slots
  readonly text: readonly TextBlock[]
  readonly direction: 'ltr' | 'rtl'
}

/** `undefined` when a problem was found. */
export function compileMail(
  source: string,
  file: string,
  setting: MailSetting,
  problems: Problems,
): Program | undefined {
  const before = problems.found.length
  const lines = source
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split('\n')
  // editors leave spaces behind it that nobody sees
  const isFence = (text: string | undefined) => text?.trimEnd() === '---'
  const end = lines.findIndex((text, index) => index > 0 && isFence(text))
  if (!isFence(lines[0]) || end < 0) {
    problems.add(file, 1, 'a mail begins with its front matter: a line `---`, the settings, and a line `---`')
    return undefined
  }
  const front = parseSettings(frontMatterSchema, lines.slice(1, end).join('\n'), file, 2, problems)
  if (!front) return undefined
  const program = compileParts(front, lines.slice(end + 1), end + 2, file, setting, problems)
  return problems.found.length === before ? program : undefined
}

function compileParts(
  front: ParsedSettings<z.infer<typeof frontMatterSchema>>,
  body: readonly string[],
  bodyLine: number,
  file: string,
  setting: MailSetting,
  problems: Problems,
): Program {
  const { value } = front
  const lineOf = (...at: string[]) => front.lineOf(at)
  const report = (at: number, message: string) => problems.add(file, at, message)
  const sources = sourcesOf(value.claims)
  const constants = { 'app.name': setting.appName, sender_name: setting.senderName, locale: setting.locale }
  const names = nameTable(sources, constants, report)
  const reader = { names, report, tags: [] }

  const subject = readLine(reader, value.subject, lineOf('subject'))
  const preheader = readLine(reader, value.preheader, lineOf('preheader'))
  const toName = readLine(reader, value.to_name ?? setting.toName, lineOf('to_name'))
  const blocks = readBody(reader, body, bodyLine)
  checkBlocks(blocks, (message) => report(bodyLine, message))
  for (const name of Object.keys(value.claims)) {
    if (!names.isUsed(name)) report(lineOf('claims', name), `\`${name}\` is declared and never used`)
  }

  const rule = blocks.findIndex((block) => block.kind === 'rule')
  const [card, footer] = rule < 0 ? [blocks, []] : [blocks.slice(0, rule), blocks.slice(rule + 1)]
  const html = fillLayout(
    setting.layout,
    { lang: setting.locale, dir: setting.direction, appName: setting.appName, palette: setting.palette },
    {
      subject: lineHtml(subject),
      preheader: lineHtml(preheader),
      content: compileCard(card, setting),
      footer: compileFooter(footer, setting),
    },
  )
  const program = {
    sources,
    expressions: names.expressions,
    subject: templateOf(linePlain(subject)),
    toName: templateOf(linePlain(toName)),
    html: templateOf(html),
    text: compileText(blocks, setting.locale),
    direction: setting.direction,
  }
  for (const name of ['expires_at', 'link', 'access_key'])
    if (!canDoWithout(name, program, program.html))
      report(
        bodyLine,
        `\`${name}\` can be absent: put the words around it between {% if ${name} %} and {% endif %}`,
      )
  return program
}

function checkBlocks(blocks: readonly Block[], report: (message: string) => void): void {
  const all = flatten(blocks)
  const count = (wanted: (block: Block) => boolean) => all.filter(wanted).length
  if (count((block) => block.kind === 'heading' && block.level === 1) !== 1)
    report('a mail has exactly one heading `# …`, which says what it is about')
  if (count((block) => block.kind === 'button') > 1)
    report('a mail has at most one button (a paragraph that is only a link)')
  if (
    count((block) => block.kind === 'rule') > 1 ||
    all.some((block) => block.kind === 'rule' && !blocks.includes(block))
  )
    report('a mail has at most one line `---`, outside of everything: it parts the card from the small print')
}

function flatten(blocks: readonly Block[]): Block[] {
  return blocks.flatMap((block) => {
    if (block.kind === 'choice') return [block, ...flatten(block.yes), ...flatten(block.no)]
    if (block.kind === 'quote') return [block, ...flatten(block.blocks)]
    return block.kind === 'list' ? [block, ...flatten(block.items.flat())] : [block]
  })
}

/** Lines hold words, slots and choices only. */
function linePlain(inner: readonly Inline[], encode: (literal: string) => string = String): Part[] {
  return inner.flatMap((part): Part[] => {
    if (typeof part === 'string') return [encode(part)]
    if (typeof part === 'number') return [part]
    return 'test' in part
      ? [{ test: part.test, yes: linePlain(part.yes, encode), no: linePlain(part.no, encode) }]
      : []
  })
}

function lineHtml(inner: readonly Inline[]): Part[] {
  return linePlain(inner, escapeHtml)
}

/** Whether an optional value stands only where a condition has asked for it: an empty button or box misleads. */
function canDoWithout(name: string, program: Program, template: Slots): boolean {
  const isIt = (slot: number) => {
    const source = program.sources[program.expressions[slot]!.source]!
    return source.name === name && source.optional
  }
  return template.every((part) => {
    if (isLiteral(part)) return true
    if (typeof part === 'number') return !isIt(part)
    return (isIt(part.test) || canDoWithout(name, program, part.yes)) && canDoWithout(name, program, part.no)
  })
}
