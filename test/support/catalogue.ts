/** Owns the catalogues of the tests' apps: mails that do not change while a file runs are compiled once. */
import { resolve, sep } from 'node:path'
import { type Catalogue, type CatalogueOptions, loadCatalogue as compile } from '../../src/mails/catalogue.ts'

const unchanging = [resolve(import.meta.dirname, '../..') + sep]
const compiled = new Map<string, Catalogue>()

/** Says of a folder that it stays as it is. */
export function declareUnchanging(dir: string): void {
  unchanging.push(dir)
}

export function loadCatalogue(options: CatalogueOptions): Catalogue {
  if (!unchanging.some((dir) => options.dir.startsWith(dir))) return compile(options)
  const key = JSON.stringify(options)
  const catalogue = compiled.get(key) ?? compile(options)
  compiled.set(key, catalogue)
  return catalogue
}
