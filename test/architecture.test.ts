/** Holds docs/architecture.md to the files: it names every file of src, and says what each folder imports. */
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mayImport } from '../imports.config.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const architecture = read('docs/architecture.md')
const [, folders = ''] = architecture.split('\n## The folders\n')
/** The text under the heading of each folder; that of src itself stands under two. */
const rooms = folders.split('\n### ').slice(1)

describe('docs/architecture.md', () => {
  test('names every file of src and of the client once, in the table of its folder', () => {
    const named = rooms.flatMap((room) =>
      [...room.matchAll(/^\| \[([^\]]+)\]\(\.\.\/((?:client\/)?src\/[^)]+)\) \| ./gm)].map(
        ([, name, path = '']) => {
          const [, folder = ''] = /^`([^`]+)\/`/.exec(room) ?? []
          return name === basename(path) &&
            dirname(path) === (folder.startsWith('client/') ? folder : join('src', folder))
            ? path
            : `misplaced: ${path}`
        },
      ),
    )
    const files = globSync(['src/**/*.*', 'client/src/*.*'], { cwd: root })
    expect(named.toSorted()).toEqual(files.toSorted())
  })

  test('says of each folder what imports.config.ts says', () => {
    const said = rooms.flatMap((room) => {
      const [, folder] = /^`([^`]+)\/`/.exec(room) ?? []
      const [, imports = ''] = /^Imports: (.+)\.$/m.exec(room) ?? []
      return folder === undefined || folder === 'client/src' ? [] : [[folder, imports] as const]
    })
    expect(Object.fromEntries(said)).toEqual(
      Object.fromEntries(
        Object.entries(mayImport).map(([folder, others]) => [
          folder,
          ['leaves', ...others.map((other) => `\`${other}/\``)].join(', '),
        ]),
      ),
    )
  })

  test('links names to files that have them', () => {
    const links = [...architecture.matchAll(/\[`(\w+)`\]\(\.\.\/(src\/[^)]+)\)/g)]
    const lost = links.filter(([, name = '', file = '']) => !new RegExp(`\\b${name}\\b`).test(read(file)))
    expect(links.length).toBeGreaterThan(10)
    expect(lost.map(([link]) => link)).toEqual([])
  })
})
