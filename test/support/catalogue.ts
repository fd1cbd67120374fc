/** Owns the catalogues of the tests' apps: mails of the repository do not change, so each is compiled once a file. */
import { resolve, sep } from 'node:path'
import { type Catalogue, type CatalogueOptions, loadCatalogue as compile } from '../../src/mails/catalogue.ts'

const root = resolve(import.meta.dirname, '../..') + sep
const compiled = new Map<string, Catalogue>()

export function loadCatalogue(options: CatalogueOptions): Catalogue {
  if (!options.dir.startsWith(root)) return compile(options)
  const key = JSON.stringify(options)
  const catalogue = compiled.get(key) ?? compile(options)
  compiled.set(key, catalogue)
  return catalogue
}
