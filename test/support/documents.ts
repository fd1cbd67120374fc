/** Owns the pages that people read: which there are, their headings, links and code blocks. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const project = resolve(import.meta.dirname, '../..')
export const pages = globSync(['*.md', 'docs/**/*.md', 'bench/*.md', 'client/*.md', 'examples/*/README.md'], {
  cwd: project,
}).toSorted()

export const readPage = (page: string) => readFileSync(join(project, page), 'utf8')

export interface CodeBlock {
  readonly page: string
  /** Of its first line of code. */
  readonly line: number
  readonly language: string
  readonly code: string
  /** What `<!-- not run: … -->` above it gives as the reason. */
  readonly notRun: string | undefined
}

const fence = /(?:^ *<!-- not run: (.+) -->\n)?^( *)```(.*)\n([^]*?)^\2```$/gm

export function codeBlocks(page: string): CodeBlock[] {
  const text = readPage(page)
  return [...text.matchAll(fence)].map(
    ([whole, notRun, indent = '', language = '', code = ''], index, all) => ({
      page,
      line: text.slice(0, (all[index]?.index ?? 0) + whole.indexOf('```')).split('\n').length + 1,
      language,
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      notRun,
    }),
  )
}
