/**
 * Owns what `npm run test:unit` runs. A test file is a system test when it starts a process or a browser: when it, or a
 * file of tests or benchmarks that it imports, imports what does so. Of these, the store tests reach Postgres, and share
 * one server. Everything else is a unit test, so that no list has to be kept.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const root = join(import.meta.dirname, '../..')
const startsSomething = new Set(['node:child_process', 'playwright-core'])
const reachesPostgres = 'test/support/postgres.ts'

export interface Projects {
  readonly unit: readonly string[]
  readonly system: readonly string[]
  readonly stores: readonly string[]
}

/** Every test file, in the one project that runs it. */
export function testFilesByProject(): Projects {
  const projects = { unit: [] as string[], system: [] as string[], stores: [] as string[] }
  for (const file of globSync('test/**/*.test.ts', { cwd: root }).toSorted())
    projects[projectOf(importsOf(file))].push(file)
  return projects
}

function projectOf(imports: ReadonlySet<string>): keyof Projects {
  if (imports.has(reachesPostgres)) return 'stores'
  return [...imports].some((name) => startsSomething.has(name)) ? 'system' : 'unit'
}

/** Packages, and files of tests and benchmarks by their path; through files of `src` it does not look. */
export function importsOf(file: string, seen = new Set<string>()): ReadonlySet<string> {
  for (const name of importedBy(readFileSync(join(root, file), 'utf8'))) {
    const imported = name.startsWith('.') ? relative(root, join(root, dirname(file), name)) : name
    if (seen.has(imported)) continue
    seen.add(imported)
    if (/^(test|bench)\//.test(imported) && existsSync(join(root, imported))) importsOf(imported, seen)
  }
  return seen
}

const imports =
  /^\s*(?:import|export)\s(?!type\b)[^'"`;]*?from '([^']+)'|\bimport\(\s*'([^']+)'\s*\)|^import '([^']+)'/gm

function importedBy(source: string): string[] {
  return [...source.matchAll(imports)].flatMap((found) => found.slice(1).filter((name) => name !== undefined))
}
