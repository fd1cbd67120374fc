/** Owns the advice on a catalogue that compiles. `check` prints it beside the problems that stop a start. */
import path from 'node:path'
import { readText } from './folder.ts'
import type { Catalogue, MailTemplate } from './catalogue.ts'
import { readLink } from './claims.ts'
import { joinBody } from '../message.ts'
import { renderMail } from './render.ts'
import { sampleClaims } from './sample.ts'
import { type Problem, problemList, type Problems } from './problem.ts'
import { textWidth } from './compile/text.ts'

/** Gmail clips at 102 KiB; a notice of this size is already a burden. */
const maxHtmlBytes = 12 * 1024

/** Everything that is unfinished in a catalogue, which was read from `dir`. */
export function lintCatalogue(
  catalogue: Catalogue,
  dir: string,
  now: number = Date.now(),
): readonly Problem[] {
  const problems = problemList()
  // what lies beneath is not this author's
  const mails = catalogue.mails.filter(({ file }) => !path.isAbsolute(file))
  checkLocales(mails, problems)
  for (const mail of mails) {
    checkSamples(mail, dir, problems)
    checkRendered(mail, now, problems)
  }
  return problems.found
}

/** A locale that one kind of an app has, every kind should have: readers do not change language between mails. */
function checkLocales(mails: readonly MailTemplate[], problems: Problems): void {
  for (const app of new Set(mails.map((mail) => mail.app))) {
    const own = mails.filter((mail) => mail.app === app)
    const locales = new Set(own.map((mail) => mail.locale))
    for (const kind of new Set(own.map((mail) => mail.kind))) {
      const there = own.filter((mail) => mail.kind === kind)
      const missing = [...locales].filter((locale) => !there.some((mail) => mail.locale === locale))
      for (const locale of missing)
        problems.add(there[0]!.file, 1, `\`${kind}\` is missing in \`${locale}\`: write ${kind}.${locale}.md`)
    }
  }
}

function checkSamples(mail: MailTemplate, dir: string, problems: Problems): void {
  const lines = readText(dir, mail.file, problems)?.split('\n') ?? []
  for (const source of mail.program.sources) {
    if (source.rule === undefined || source.rule.sample !== undefined) continue
    if (source.kind === 'key' && !mail.showsKey) continue
    const line = lines.findIndex((text) => text.trimStart().startsWith(`${source.name}:`)) + 1
    problems.add(mail.file, Math.max(line, 1), `\`${source.name}\` has no sample for previews and tests`)
  }
}

function checkRendered(mail: MailTemplate, now: number, problems: Problems): void {
  const claims = sampleClaims(mail, now)
  const message = renderMail(mail, claims, { id: 'sample', date: new Date(now) })
  const link = mail.showsLink ? readLink(claims, mail.linkRules, true) : undefined
  for (const line of message.text.split('\n')) {
    if (line.length > textWidth && line !== link)
      problems.add(
        mail.file,
        1,
        `the text part has a line of ${line.length} columns, ${textWidth} fit: ${line.slice(0, 40)}…`,
      )
  }
  const bytes = Buffer.byteLength(joinBody(message.html))
  if (bytes > maxHtmlBytes)
    problems.add(mail.file, 1, `the HTML part has ${bytes} bytes with the samples, more than ${maxHtmlBytes}`)
}
