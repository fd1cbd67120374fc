/** Owns how a command comes to its mails: which folder is meant, what is in it, and where a problem lies from here. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandError } from './terminal.ts'
import { CatalogueError, loadCatalogue, type Catalogue } from '../mails/catalogue.ts'

/** `file` is relative to where the command was called, as editors and terminals want it. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly message: string
}

const builtInMails = fileURLToPath(new URL('../../mails', import.meta.url))

/** The folder, relative to here when it lies below. Throws a `CommandError` when there is none. */
export function mailsFolder(given: string | undefined): string {
  const dir = given || builtInMails
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    throw new CommandError(`there is no folder ${dir}`)
  const near = path.relative(process.cwd(), dir)
  return near === '' ? '.' : near.startsWith('..') ? dir : near
}

/** Either the catalogue or what is wrong with it, never both. */
export function readMails(options: { dir: string; appName?: string | undefined }): {
  catalogue: Catalogue | undefined
  problems: readonly string[]
} {
  const sender = { senderName: options.appName || 'Example', senderAddress: 'noreply@example.com' }
  try {
    const catalogue = loadCatalogue({
      dir: options.dir,
      appName: options.appName || undefined,
      ...sender,
      allowHttpLinks: true,
    })
    return { catalogue, problems: [] }
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error
    return { catalogue: undefined, problems: error.problems }
  }
}

/** `file:line: sentence` of the catalogue, whose files are relative to its folder. */
export function placedProblem(dir: string, problem: string): Problem {
  const [, file = dir, line = '1', message = problem] = /^(.+?):(\d+): (.*)$/s.exec(problem) ?? []
  const placed = file === dir || path.isAbsolute(file) ? file : path.join(dir, file)
  return { file: placed, line: Number(line), message }
}
