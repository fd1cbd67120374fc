/** Holds the pages together: no link is dead, and each page says first what it is for. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { pages, project, readPage } from '../support/documents.ts'

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const headingsOf = (markdown: string) =>
  [...markdown.replaceAll(/^```[^]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    anchorOf(heading),
  )

test.each(pages)('%s has no dead link', (page) => {
  const links = [...readPage(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
  const dead = links.filter(([, path = '', anchor]) => {
    const target = path === '' ? page : join(dirname(page), path)
    if (!existsSync(join(project, target))) return true
    return anchor !== undefined && !headingsOf(readPage(target)).includes(anchor)
  })
  expect(dead.map(([link]) => link)).toEqual([])
})

const guides = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')

test.each(guides)('%s says below its title for whom it is', (page) => {
  expect(readPage(page)).toMatch(
    /^# .+\n\nFor (?:app developers|operators|authors of mails|maintainers)(?:(?:,| and) (?:app developers|operators|authors of mails|maintainers))*: /,
  )
})

test.each(guides)('%s is named in docs/README.md, where its reader looks', (page) => {
  const [, readers = ''] = /^# .+\n\nFor ([^:]+):/.exec(readPage(page)) ?? []
  const sections = readPage('docs/README.md').split(/^## /m)
  const of = (reader: string) => sections.find((section) => section.startsWith(reader)) ?? ''
  for (const reader of readers.split(/, | and /))
    expect(of(`For ${reader}`), `under "For ${reader}"`).toContain(`](${page.slice('docs/'.length)})`)
})
