/**
 * Owns how one Markdown file becomes a template: front matter, contract, and the slots of both parts.
 *
 * Everything is decided once, at start; a request only fills slots (render.ts).
 */
import { z } from 'zod'
import type { Inline } from './blocks.ts'
import { withAppFooter } from './brand.ts'
import { checkBlocks } from './check-blocks.ts'
import type { AppSettings } from '../app-settings.ts'
import type { Source } from '../claims.ts'
import { contractSchema, sourcesOf } from '../declared.ts'
import type { Formats } from '../formats.ts'
import { compileCard, compileFooter } from './html.ts'
import { readBody, readLine } from './markdown.ts'
import { fillLayout, type Layout } from './layout.ts'
import { nameTable, type Expression } from './names.ts'
import type { Palette } from './palette.ts'
import { expandPartials, type Partial, splitLines } from './partials.ts'
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
  readonly app: AppSettings
  readonly palette: Palette
  readonly layout: Layout
  readonly locale: string
  readonly direction: 'ltr' | 'rtl'
  readonly formats: Formats
  readonly partial: (name: string) => Partial | undefined
}

/** The compiled mail, which a request fills. Slots are indexes of `expressions`. */
export interface Program {
  readonly sources: readonly Source[]
  readonly expressions: readonly Expression[]
  /** The source of each loop: its list. */
  readonly loops: readonly number[]
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
  const lines = splitLines(source)
  // editors leave spaces behind it that nobody sees
  const isFence = (text: string | undefined) => text?.trimEnd() === '---'
  const end = lines.findIndex((text, index) => index > 0 && isFence(text))
  if (!isFence(lines[0]) || end < 0) {
    problems.add(file, 1, explainFront(lines))
    return undefined
  }
  const conflict = lines.findIndex((text) => /^(?:<{7}|>{7}) /.test(text))
  if (conflict >= 0) {
    problems.add(file, conflict + 1, 'a merge conflict is left here')
    return undefined
  }
  const front = parseSettings(frontMatterSchema, lines.slice(1, end).join('\n'), file, 2, problems)
  if (!front) return undefined
  const program = compileParts(front, lines.slice(end + 1), end + 2, file, setting, problems)
  return problems.found.length === before ? program : undefined
}

function explainFront(lines: readonly string[]): string {
  const wanted = 'a mail begins with its front matter: a line `---`, the settings as YAML, and a line `---`'
  const first = lines.find((text) => text.trim() !== '')?.trim() ?? ''
  if (first === '---')
    return lines[0]?.trim() === ''
      ? `${wanted}; here lines stand before it`
      : `${wanted}; the second one is missing`
  if (first.startsWith('+++')) return `${wanted}; here it is TOML, between \`+++\``
  if (/^(?:;;;|\{)/.test(first)) return `${wanted}; here it is JSON`
  if (/^<mj/i.test(first)) return `${wanted}; this is MJML, of another mailer`
  return first.startsWith('<') ? `${wanted}; this is HTML, and a mail is Markdown` : wanted
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
  const written = body.map((text, index) => ({ text, line: bodyLine + index }))
  const source = expandPartials(written, file, setting.partial, (at, message) =>
    problems.add(file, at, message),
  )
  const report = (at: number, message: string) => {
    const place = source.placeOf(at)
    problems.add(place.file, place.line, message)
  }
  const sources = sourcesOf(value.claims)
  const constants = { 'app.name': setting.appName, sender_name: setting.senderName, locale: setting.locale }
  const names = nameTable({ sources, constants, formats: setting.formats, report })
  const reader = { names, report, tags: [] }

  const subject = readLine(reader, value.subject, lineOf('subject'))
  const preheader = readLine(reader, value.preheader, lineOf('preheader'))
  const toName = readLine(reader, value.to_name ?? toNameOf(setting, sources), lineOf('to_name'))
  const own = readBody(reader, source.lines)
  checkBlocks(own, (message) => report(bodyLine, message))
  names.reportUse(Object.keys(value.claims).map((name) => ({ name, line: lineOf('claims', name) })))

  const blocks = withAppFooter(own, setting.app)
  const rule = blocks.findIndex((block) => block.kind === 'rule')
  const [card, footer] = rule < 0 ? [blocks, []] : [blocks.slice(0, rule), blocks.slice(rule + 1)]
  const html = fillLayout(
    setting.layout,
    {
      lang: setting.locale,
      dir: setting.direction,
      appName: setting.appName,
      logo: setting.app.logo,
      palette: setting.palette,
    },
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
    loops: names.loops,
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

/** The app's template, unless it greets by a name that this mail does not ask for. */
function toNameOf({ app }: MailSetting, sources: readonly Source[]): string {
  const toName = app.to_name
  const isNamed = /\buser_name\b/.test(toName)
  return isNamed && !sources.some(({ name }) => name === 'user_name') ? '' : toName
}

/** Lines hold words, slots and choices only. */
function linePlain(inner: readonly Inline[], encode: (literal: string) => string = String): Part[] {
  return inner.flatMap((part): Part[] => {
    if (typeof part === 'string') return [encode(part)]
    if (typeof part === 'number') return [part]
    if ('loop' in part) return [{ loop: part.loop, body: linePlain(part.body, encode) }]
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
  const source = program.sources.findIndex((each) => each.name === name)
  if (!program.sources[source]?.optional) return true
  const { expressions } = program
  const isSafe = (parts: Slots): boolean =>
    parts.every((part) => {
      if (typeof part === 'number') return !expressions[part]!.uses.includes(source)
      if (isLiteral(part)) return true
      if ('loop' in part) return isSafe(part.body)
      const proves = expressions[part.test]?.proves ?? [] // absent: a condition that could not be read
      return (proves.includes(source) || isSafe(part.yes)) && isSafe(part.no)
    })
  return isSafe(template)
}
