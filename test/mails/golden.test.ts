import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import type { Claims } from '../../src/contract.ts'
import type { MailTemplate } from '../../src/mails/catalogue.ts'
import { sampleClaims } from '../../src/mails/sample.ts'
import { type ReadMessage, render, shippedMails, today } from './catalogues.ts'

const folder = path.resolve(import.meta.dirname, '../golden')
const updating = process.env.UPDATE_GOLDEN === '1'
const mails = shippedMails()

/** What a reader sees before opening it stands above the text. */
function textFile({ from, to, subject, text }: ReadMessage): string {
  return `From: ${from.name} <${from.address}>\nTo: ${to.name} <${to.address}>\nSubject: ${subject}\n\n${text}`
}

/** The sample claims that the mail cannot do without, and no expiry. */
function leastClaims(mail: MailTemplate): Claims {
  const { email_link_exp: _, ...samples } = sampleClaims(mail, today)
  const claims: Claims = { ...samples, email_link_token: 'opaque' }
  for (const { name, required } of mail.contract) if (!required) delete claims[name]
  return claims
}

/** The mail with all of its samples, and for a built-in mail also the text of its shortest form. */
function goldenFiles(name: string, mail: MailTemplate): Record<string, string> {
  const full = render(mail)
  const files = { [`${name}.txt`]: textFile(full), [`${name}.html`]: full.html }
  if (!name.startsWith('built-in/')) return files
  return { ...files, [`${name}.least.txt`]: textFile(render(mail, leastClaims(mail))) }
}

if (updating) rmSync(folder, { recursive: true, force: true })

test.each(mails)(
  '$name reads and looks as it was last approved (UPDATE_GOLDEN=1 approves)',
  ({ name, mail }) => {
    for (const [file, content] of Object.entries(goldenFiles(name, mail))) {
      const golden = path.join(folder, file)
      if (updating) {
        mkdirSync(path.dirname(golden), { recursive: true })
        writeFileSync(golden, content)
      }
      expect(content).toBe(readFileSync(golden, 'utf8'))
    }
  },
)

test('no golden file is left of a mail that is gone', () => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => path.extname(file) !== '',
  )
  const wanted = mails.flatMap(({ name, mail }) => Object.keys(goldenFiles(name, mail)))
  expect(files.toSorted()).toEqual(wanted.toSorted())
})
