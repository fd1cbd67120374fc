import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { type ReadMessage, render, shippedMails } from './catalogues.ts'

const folder = path.resolve(import.meta.dirname, '../golden')
const updating = process.env.UPDATE_GOLDEN === '1'
const mails = shippedMails()

/** What a reader sees before opening it stands above the text. */
function goldenFiles(message: ReadMessage): Record<string, string> {
  const { from, to, subject, text, html } = message
  const head = `From: ${from.name} <${from.address}>\nTo: ${to.name} <${to.address}>\nSubject: ${subject}\n`
  return { txt: `${head}\n${text}`, html }
}

if (updating) rmSync(folder, { recursive: true, force: true })

test.each(mails)(
  '$name reads and looks as it was last approved (UPDATE_GOLDEN=1 approves)',
  ({ name, mail }) => {
    for (const [extension, content] of Object.entries(goldenFiles(render(mail)))) {
      const file = path.join(folder, `${name}.${extension}`)
      if (updating) {
        mkdirSync(path.dirname(file), { recursive: true })
        writeFileSync(file, content)
      }
      expect(content).toBe(readFileSync(file, 'utf8'))
    }
  },
)

test('no golden file is left of a mail that is gone', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => path.extname(file) !== '',
  )
  const wanted = mails.flatMap(({ name }) => [`${name}.html`, `${name}.txt`])
  expect(files.toSorted()).toEqual(wanted.toSorted())
})
