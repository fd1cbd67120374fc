/** Owns how a command comes to its mails: which folder is meant, what is in it, and where a problem lies from here. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { CommandError } from './terminal.ts'
import { builtInMails } from '../mails/built-in.ts'
import { loadCatalogue, type Catalogue } from '../mails/catalogue.ts'
import { CatalogueError, type Problem } from '../mails/problem.ts'

/** The folder, relative to here when it lies below. Throws a `CommandError` when there is none. */
export function mailsFolder(given: string | undefined): string {
  const dir = given || builtInMails
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    throw new CommandError(`there is no folder ${dir}`)
  const near = path.relative(process.cwd(), dir)
  return near === '' ? '.' : near.startsWith('..') ? dir : near
}

/** What lies beneath the folder, as in the service: the built-in mails. */
function folderBeneath(dir: string): string | undefined {
  return path.resolve(dir) === builtInMails ? undefined : builtInMails
}

/** Either the catalogue or its problems, never both. Their files are named as they are reached from here. */
export function readMails(options: { dir: string; appName?: string | undefined }): {
  catalogue: Catalogue | undefined
  problems: readonly Problem[]
} {
  try {
    const catalogue = loadCatalogue({
      dir: options.dir,
      beneath: folderBeneath(options.dir),
      appName: options.appName || 'Example',
      // each mail is signed with the name of its app, as in the service
      senderName: '',
      senderAddress: 'noreply@example.com',
      allowHttpLinks: true,
    })
    return { catalogue, problems: [] }
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error
    return { catalogue: undefined, problems: problemsFromHere(options.dir, error.problems) }
  }
}

/** Problems of the catalogue in `dir`, with their files as they are reached from here: editors and terminals want it so. */
export function problemsFromHere(dir: string, problems: readonly Problem[]): Problem[] {
  return problems.map((problem) => {
    const { file } = problem
    return { ...problem, file: file === dir || path.isAbsolute(file) ? file : path.join(dir, file) }
  })
}
