/** Owns the check of a folder of mails: its problems and the advice on it, as lines or as JSON. */
import path from 'node:path'
import { type ExitCode, type Terminal } from './terminal.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { lintCatalogue } from '../mails/lint.ts'
import { galleryOf } from '../mails/preview.ts'
import { findStrays } from '../mails/folder.ts'
import { type Problem, problemList } from '../mails/problem.ts'
import { mailsFolder, problemsFromHere, readMails } from './mail-folder.ts'

export interface CheckOptions {
  readonly dir: string | undefined
  readonly json: boolean
}

/** 1 when there are problems, which stop a start. Advice is on what starts; notes are of what is not read and does no harm. */
export function checkMails(options: CheckOptions, terminal: Terminal): ExitCode {
  const dir = mailsFolder(options.dir)
  const { catalogue, problems: faults } = readMails({ dir })
  const strays = findStrays(dir, problemList())
  const named = (isMeant: boolean) =>
    strays
      .filter((stray) => stray.isMeant === isMeant)
      .map(({ file, line, message }) => ({ file, line, message }))
  const unplaced = catalogue ? adviceOn(catalogue, dir) : []
  const advice = problemsFromHere(dir, unplaced)
  const problems = [...faults, ...problemsFromHere(dir, named(true))]
  const notes = problemsFromHere(dir, named(false))
  const mails = catalogue?.mails.filter(({ file }) => !path.isAbsolute(file)).length
  const ok = problems.length === 0
  if (options.json) terminal.out(JSON.stringify({ ok, dir, mails: mails ?? null, problems, advice, notes }))
  else printFindings({ dir, mails, problems, advice, notes }, terminal)
  return ok ? 0 : 1
}

/** Lints only when all samples render: lint reads the rendered samples. */
function adviceOn(catalogue: Catalogue, dir: string): readonly Problem[] {
  const faulty = galleryOf(catalogue, Date.now()).flatMap(({ file, fault }) =>
    fault
      ? [{ file, line: 1, message: `the samples are refused: ${fault.claim ?? fault.msg}. ${fault.hint}` }]
      : [],
  )
  return faulty.length > 0 ? faulty : lintCatalogue(catalogue, dir)
}

interface Findings {
  readonly dir: string
  readonly mails: number | undefined
  readonly problems: readonly Problem[]
  readonly advice: readonly Problem[]
  readonly notes: readonly Problem[]
}

function printFindings({ dir, mails, problems, advice, notes }: Findings, terminal: Terminal): void {
  for (const { file, line, message } of problems)
    terminal.out(`${terminal.paint('bold', `${file}:${line}:`)} ${message}`)
  for (const { file, line, message } of advice) terminal.out(`${file}:${line}: advice: ${message}`)
  for (const { file, line, message } of notes) terminal.out(`${file}:${line}: note: ${message}`)
  const where = mails === undefined ? dir : `${count(mails, 'mail')} in ${dir}`
  if (problems.length === 0) terminal.out(terminal.paint('green', `${where}: no problem`))
  else terminal.out(terminal.paint('red', `${where}: ${count(problems.length, 'problem')}`))
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
