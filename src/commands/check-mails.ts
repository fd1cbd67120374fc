/** Owns the check of a folder of mails: its problems, as lines or as JSON. */
import path from 'node:path'
import { type ExitCode, type Terminal } from './terminal.ts'
import { lintCatalogue } from '../mails/lint.ts'
import { galleryOf } from '../mails/preview.ts'
import type { Problem } from '../mails/problem.ts'
import { folderBeneath, mailsFolder, problemsFromHere, readMails } from './mail-folder.ts'

export interface CheckOptions {
  readonly dir: string | undefined
  readonly json: boolean
}

/** 1 when there are problems. */
export function checkMails(options: CheckOptions, terminal: Terminal): ExitCode {
  const dir = mailsFolder(options.dir)
  const { catalogue, problems } = readMails({ dir })
  const listed = catalogue ? problemsFromHere(dir, adviceOn(dir, galleryOf(catalogue, Date.now()))) : problems
  const mails = catalogue?.mails.filter(({ file }) => !path.isAbsolute(file)).length
  if (options.json)
    terminal.out(JSON.stringify({ ok: listed.length === 0, dir, mails: mails ?? null, problems: listed }))
  else printProblems(dir, mails, listed, terminal)
  return listed.length === 0 ? 0 : 1
}

/** Lints only when all samples render: lint reads the rendered samples. */
function adviceOn(dir: string, gallery: ReturnType<typeof galleryOf>): readonly Problem[] {
  const faulty = gallery.flatMap(({ file, fault }) =>
    fault
      ? [{ file, line: 1, message: `the samples are refused: ${fault.claim ?? fault.msg}. ${fault.hint}` }]
      : [],
  )
  return faulty.length > 0 ? faulty : lintCatalogue(dir, folderBeneath(dir))
}

function printProblems(
  dir: string,
  mails: number | undefined,
  problems: readonly Problem[],
  terminal: Terminal,
): void {
  for (const { file, line, message } of problems)
    terminal.out(`${terminal.paint('bold', `${file}:${line}:`)} ${message}`)
  const where = mails === undefined ? dir : `${count(mails, 'mail')} in ${dir}`
  if (problems.length === 0) terminal.out(terminal.paint('green', `${where}: no problem`))
  else terminal.out(terminal.paint('red', `${where}: ${count(problems.length, 'problem')}`))
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
