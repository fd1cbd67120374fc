/** The catalogues this repository ships, and small ones written for one test. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import type { Claims } from '../../src/contract.ts'
import type { Catalogue, CatalogueOptions, MailTemplate } from '../../src/mails/catalogue.ts'
import { CatalogueError, formatProblem } from '../../src/mails/problem.ts'
import { renderMail } from '../../src/mails/render.ts'
import { sampleClaims } from '../../src/mails/sample.ts'
import { joinBody, type Message } from '../../src/message.ts'
import { loadCatalogue } from '../support/catalogue.ts'

const root = path.resolve(import.meta.dirname, '../..')
export const builtInDir = path.join(root, 'mails')
export const varianceDir = path.join(root, 'examples/variance/mails')
export const sender = {
  senderName: 'The CatLoader team',
  senderAddress: 'noreply@mail.example.com',
  allowHttpLinks: false,
}

export function builtIn(): Catalogue {
  return loadCatalogue({ dir: builtInDir, appName: 'CatLoader', ...sender })
}

export function variance(): Catalogue {
  return loadCatalogue({ dir: varianceDir, ...sender, senderName: 'The Variance team' })
}

/** Both, each mail with a name for the titles of tests. */
export function shippedMails(): { name: string; mail: MailTemplate }[] {
  return [builtIn(), variance()].flatMap(({ mails }, index) =>
    mails.map((mail) => ({
      name: `${['built-in', 'variance'][index]}/${mail.app}.${mail.kind}.${mail.locale}`,
      mail,
    })),
  )
}

export const today = Date.UTC(2026, 8, 20, 14, 13)

/** A message whose HTML part is one text. */
export type ReadMessage = Omit<Message, 'html'> & { readonly html: string }

export function render(mail: MailTemplate, claims: Claims = sampleClaims(mail, today)): ReadMessage {
  const message = renderMail(mail, claims, { id: 'mail-1', date: new Date(today) })
  return { ...message, html: joinBody(message.html) }
}

/** A folder that is gone after the test. Without an `app.json` of its own, the app `default` gets a plain one. */
export function writeFolder(files: Record<string, string>): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'mails-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries({ 'default/app.json': '{}', ...files }))
    writeFile(dir, name, content)
  return dir
}

export function writeFile(dir: string, name: string, content: string): void {
  mkdirSync(path.dirname(path.join(dir, name)), { recursive: true })
  writeFileSync(path.join(dir, name), content)
}

/** A mail whose front matter and body are given; the rest is as short as it can be. */
export function mailSource(body: string, front = ''): string {
  return `---\nsubject: Subject\npreheader: Preheader\n${front}---\n# Title\n\n${body}\n`
}

export function load(files: Record<string, string>, options: Partial<CatalogueOptions> = {}): Catalogue {
  return loadCatalogue({ dir: writeFolder(files), ...sender, ...options })
}

/** One mail of the app `default`, from its body. */
export function mailOf(body: string, front = '', locale = 'en'): MailTemplate {
  const files = {
    'default/app.json': JSON.stringify({ default_locale: locale }),
    [`default/confirmation.${locale}.md`]: mailSource(body, front),
  }
  return load(files).find('default', undefined, undefined)
}

/** What a start would say about these files, each problem as a line. */
export function problemsOf(files: Record<string, string>): readonly string[] {
  return problemsIn(writeFolder(files))
}

export function problemsIn(dir: string): readonly string[] {
  try {
    loadCatalogue({ dir, ...sender })
    return []
  } catch (error) {
    if (error instanceof CatalogueError) return error.problems.map(formatProblem)
    throw error
  }
}
