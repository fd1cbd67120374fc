/** Owns the catalogue of development, which follows its files. A broken edit never replaces mails that work. */
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { loadCatalogue, type Catalogue, type CatalogueOptions } from './catalogue.ts'
import { CatalogueError, type Problem } from './problem.ts'

export interface LiveCatalogue extends Catalogue {
  /** The problems of the files as they are now; empty when `mails` comes from them. */
  readonly problems: readonly Problem[]
}

/** The files are looked at no more often, and only when the catalogue is used. */
const checkEveryMs = 250

/** At first it throws like `loadCatalogue`. There is no watcher to close, and file systems without events work as well. */
export function liveCatalogue(options: CatalogueOptions, now: () => number = Date.now): LiveCatalogue {
  let current = loadCatalogue(options)
  let problems: readonly Problem[] = []
  let loadedFrom = fingerprint(options.dir)
  let checkedAt = now()

  function reload(): void {
    if (now() - checkedAt < checkEveryMs) return
    checkedAt = now()
    const files = fingerprint(options.dir)
    if (files === loadedFrom) return
    loadedFrom = files
    try {
      current = loadCatalogue(options)
      problems = []
    } catch (error) {
      if (!(error instanceof CatalogueError)) throw error
      problems = error.problems
    }
  }

  return {
    get mails() {
      reload()
      return current.mails
    },
    get strays() {
      reload()
      return current.strays
    },
    get problems() {
      reload()
      return problems
    },
    find(app, kind, locale) {
      reload()
      return current.find(app, kind, locale)
    },
  }
}

/** Name, size and time of every file on the two levels of a catalogue. A missing folder has one too. */
function fingerprint(dir: string): string {
  try {
    const entries = readdirSync(dir, { withFileTypes: true })
    const files = entries.flatMap((entry) => {
      const name = path.join(dir, entry.name)
      return entry.isDirectory() ? readdirSync(name).map((file) => path.join(name, file)) : [name]
    })
    return files.map(describeFile).join('\n')
  } catch {
    return ''
  }
}

function describeFile(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return `${file} ${stat?.size} ${stat?.mtimeMs}`
}
