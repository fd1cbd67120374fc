/** Owns a catalogue that follows its files while somebody writes mails. A broken edit never replaces what works. */
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { loadCatalogue, type Catalogue, type CatalogueOptions } from './catalogue.ts'
import { CatalogueError, type Problem } from './problem.ts'

export interface LiveCatalogue extends Catalogue {
  /** What is wrong with the files as they are now; empty when `mails` is what they say. */
  readonly problems: readonly Problem[]
}

/** Looks at the files at most this often, and only when it is asked for something. */
const checkEveryMs = 250

/** Throws like `loadCatalogue` at first. It needs no closing: it looks when it is used, which also works where no watcher does. */
export function liveCatalogue(options: CatalogueOptions, now: () => number = Date.now): LiveCatalogue {
  let current = loadCatalogue(options)
  let problems: readonly Problem[] = []
  let seen = fingerprint(options.dir)
  let looked = now()

  function look(): void {
    if (now() - looked < checkEveryMs) return
    looked = now()
    const print = fingerprint(options.dir)
    if (print === seen) return
    seen = print
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
      look()
      return current.mails
    },
    get problems() {
      look()
      return problems
    },
    find(app, kind, locale) {
      look()
      return current.find(app, kind, locale)
    },
  }
}

/** Name, size and time of every file on the two levels of a catalogue. A folder that is gone is a state like another. */
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
