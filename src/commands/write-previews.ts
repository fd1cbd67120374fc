/**
 * Owns the gallery as files. index.html is the page of `/preview` with all of its data inside;
 * `<app>/<kind>.<locale>.html`, `.txt` and `.eml` are the parts and the bytes of each mail.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExitCode, Terminal } from './terminal.ts'
import type { MailTemplate } from '../mails/catalogue.ts'
import { mimeBuilder } from '../mime/mime.ts'
import { detailOf, galleryOf, type PreviewParts } from '../mails/preview.ts'
import { sampleClaims } from '../mails/sample.ts'
import { loadPage } from '../html-page.ts'
import { formatProblem } from '../mails/problem.ts'
import { mailsFolder, problemsFromHere, readMails } from './mail-folder.ts'

/** The page of `/preview`. */
const previewPage = new URL('../http/routes/preview.html', import.meta.url)

export interface WritePreviewsOptions {
  readonly out: string
  readonly mails?: string | undefined
  readonly appName?: string | undefined
  readonly json: boolean
}

/** 1 when the catalogue is broken (then no file is written), or when the samples of a mail are refused. */
export async function writePreviews(options: WritePreviewsOptions, terminal: Terminal): Promise<ExitCode> {
  const dir = mailsFolder(options.mails)
  const { catalogue, problems } = readMails({ dir, appName: options.appName })
  const date = new Date()
  const gallery = catalogue ? galleryOf(catalogue, date.getTime()) : []
  const refused = gallery.flatMap(({ file, fault }) =>
    fault ? [{ file, line: 1, message: `${fault.msg}. ${fault.hint}` }] : [],
  )
  const index = path.join(options.out, 'index.html')
  if (catalogue) {
    const parts = { buildMime: await mimeBuilder(), id: 'preview', date }
    const details = await writeMails(catalogue.mails, options.out, parts)
    writeFileSync(index, await indexPage({ mails: gallery, problems: [], details }))
  }
  const listed = [...problems, ...problemsFromHere(dir, refused)]
  for (const problem of options.json ? [] : listed) terminal.err(formatProblem(problem))
  if (options.json)
    terminal.out(JSON.stringify({ ok: listed.length === 0, index, mails: gallery.length, problems: listed }))
  else if (catalogue) terminal.out(`${gallery.length} mails: open ${index}`)
  return listed.length === 0 ? 0 : 1
}

async function writeMails(mails: readonly MailTemplate[], out: string, parts: PreviewParts) {
  const details: Record<string, object> = {}
  for (const mail of mails) {
    const { app, kind, locale } = mail
    const { preview, ...detail } = await detailOf(mail, sampleClaims(mail, parts.date.getTime()), parts)
    const file = `${app}/${kind}.${locale}`
    details[`${app}/${kind}/${locale}`] = {
      ...detail,
      preview: preview && { ...preview, html: '' },
      htmlFile: `${file}.html`,
    }
    mkdirSync(path.join(out, app), { recursive: true })
    if (!preview) continue
    writeFileSync(path.join(out, `${file}.html`), preview.html)
    writeFileSync(path.join(out, `${file}.txt`), preview.text)
    writeFileSync(path.join(out, `${file}.eml`), preview.source, 'latin1')
  }
  return details
}

/** Puts the data into a script block of type JSON; `<` is escaped, so that no text in the data can end the block. */
async function indexPage(gallery: object): Promise<string> {
  const { html, policy } = await loadPage(previewPage, ["frame-src 'self' file:", "form-action 'none'"])
  const data = JSON.stringify(gallery).replaceAll('<', '\\u003c')
  const meta = `<meta http-equiv="Content-Security-Policy" content="${policy}">`
  return html
    .replace('<meta charset="utf-8">', (charset) => `${charset}\n${meta}`)
    .replace('id="kept">null<', () => `id="kept">${data}<`)
}
