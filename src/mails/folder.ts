/**
 * Owns reading the folder of a catalogue:
 *
 *   layout.html                  the frame of every HTML part; absent: the built-in one
 *   <app>/app.json               name, colour, sender, defaults
 *   <app>/layout.html            a frame of its own, when the app has one
 *   <app>/<kind>.<locale>.md     one mail
 *   <app>/_<name>.<locale>.md    a partial, or _<name>.md in every language
 */
import { appPattern } from '../contract.ts'
import { isUtf8 } from 'node:buffer'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { builtInLayout } from './built-in.ts'
import { appSchema, type AppSettings } from './app-settings.ts'
import { logoFault, parseLayout, type Layout } from './compile/layout.ts'
import { paletteOf, type Palette } from './compile/palette.ts'
import type { Problems } from './problem.ts'
import { parseSettings } from './source.ts'
import { mailName, type Stray, strayBeside, strayFile, strayFolder } from './strays.ts'

/** One app, from its files. */
export interface AppFolder {
  readonly app: string
  readonly settings: AppSettings
  readonly palette: Palette
  readonly layout: Layout
  readonly files: readonly MailFile[]
}

export interface MailFile {
  readonly kind: string
  readonly locale: string
  /** Relative to the catalogue's folder; a built-in one that lies beneath it as a whole path. */
  readonly file: string
  readonly isBeneath: boolean
}

/** `beneath`: the built-in folder, of which `dir` adds or replaces single mails. */
export function readFolder(dir: string, problems: Problems, beneath?: string): AppFolder[] {
  const own = listApps(dir, problems).filter(
    (name) => strayFolder(name, listFolder(dir, name, problems)) === undefined,
  )
  const names = [...new Set([...own, ...(beneath === undefined ? [] : listApps(beneath, problems))])]
  const hasLayout = existsSync(path.join(dir, 'layout.html'))
  const layout = readLayout(dir, hasLayout ? 'layout.html' : builtInLayout, problems)
  if (own.length === 0 && problems.found.length === 0)
    problems.add(dir, 1, 'there is no app in this folder: write <app>/app.json')
  return layout ? names.flatMap((name) => readApp({ dir, beneath }, name, layout, problems) ?? []) : []
}

/** What lies in the folder and is none of its mails. */
export function findStrays(dir: string, problems: Problems): Stray[] {
  const beside = listFolder(dir, '', problems).filter((name) => !isFolder(dir, name))
  return [
    ...beside.flatMap((name) => strayBeside(name) ?? []),
    ...listApps(dir, problems).flatMap((folder) => {
      const names = listFolder(dir, folder, problems)
      const whole = strayFolder(folder, names)
      if (whole) return [whole]
      return names.flatMap((name) => (mailName(name) ? [] : (strayFile(folder, name) ?? [])))
    }),
  ]
}

interface Folders {
  readonly dir: string
  readonly beneath: string | undefined
}

function listApps(dir: string, problems: Problems): string[] {
  return listFolder(dir, '', problems).filter((name) => !name.startsWith('.') && isFolder(dir, name))
}

/** `undefined` when the file cannot be read; then a problem says so. */
export function readText(dir: string, file: string, problems: Problems): string | undefined {
  try {
    const bytes = readFileSync(path.resolve(dir, file))
    if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString('utf8')
    problems.add(file, lineOfBroken(bytes), 'is not UTF-8: save it as UTF-8')
    return undefined
  } catch (error) {
    problems.add(file, 1, explainReadError(error))
    return undefined
  }
}

/** The first line that is not UTF-8. */
function lineOfBroken(bytes: Buffer): number {
  let line = 1
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(10, start)
    const stop = end < 0 ? bytes.length : end
    const piece = bytes.subarray(start, stop)
    if (!isUtf8(piece) || piece.includes(0)) return line
    start = stop + 1
  }
  return 1
}

/** The partial of the app, else of the folder of the mail, in the mail's language, else in any. */
export function readPartial(
  dir: string,
  folders: readonly string[],
  name: string,
  locale: string,
  problems: Problems,
): { file: string; text: string } | undefined {
  const files = folders.flatMap((folder) => [`${folder}/_${name}.${locale}.md`, `${folder}/_${name}.md`])
  const file = files.find((each) => existsSync(path.resolve(dir, each)))
  const text = file === undefined ? undefined : readText(dir, file, problems)
  return file === undefined || text === undefined ? undefined : { file, text }
}

function readApp(folders: Folders, app: string, shared: Layout, problems: Problems): AppFolder | undefined {
  const { dir, beneath } = folders
  if (!appPattern.test(app)) {
    problems.add(app, 1, 'an app is named by small letters and digits, because it stands in the route')
    return undefined
  }
  const own = `${app}/app.json`
  const builtIn = beneath === undefined ? own : path.join(beneath, own)
  const file = !existsSync(path.join(dir, own)) && existsSync(builtIn) ? builtIn : own
  const source = readText(dir, file, problems)
  const appJson = source === undefined ? undefined : parseSettings(appSchema, source, file, 1, problems)
  if (!appJson) return undefined
  const settings = appJson.value
  const palette = paletteOf(settings.accent)
  if (typeof palette === 'string') problems.add(file, appJson.lineOf(['accent']), palette)
  const hasLayout = existsSync(path.join(dir, app, 'layout.html'))
  const layout = hasLayout ? readLayout(dir, `${app}/layout.html`, problems) : shared
  const fault = layout && logoFault(layout, settings.logo)
  if (fault !== undefined) problems.add(file, appJson.lineOf(['logo']), `\`logo\`: ${fault}`)
  const files = mailFiles(folders, app, settings, problems)
  checkKinds(files, settings, (setting, message) => problems.add(file, appJson.lineOf([setting]), message))
  return typeof palette === 'string' || !layout ? undefined : { app, settings, palette, layout, files }
}

/** The app's own mails, and those kinds of `mails_from` that it does not write itself; without that, the built-in mails beneath. */
function mailFiles(
  { dir, beneath }: Folders,
  app: string,
  settings: AppSettings,
  problems: Problems,
): MailFile[] {
  const ofApp = (name: string) => [
    ...(isFolder(dir, name) ? listMails(dir, name, problems) : []),
    ...(beneath !== undefined && isFolder(beneath, name) ? listBeneath(beneath, name, problems) : []),
  ]
  const lender = settings.mails_from
  if (lender === undefined) return firstOfEach(ofApp(app))
  const own = listMails(dir, app, problems)
  if (lender === 'none') return own
  const lent = appPattern.test(lender) ? firstOfEach(ofApp(lender)) : []
  if (lent.length === 0) {
    problems.add(`${app}/app.json`, 1, `\`mails_from\`: there is no app \`${lender}\` beside this one`)
    return own
  }
  const kinds = new Set(own.map(({ kind }) => kind))
  return [...own, ...lent.filter(({ kind }) => !kinds.has(kind))]
}

/** Own mails come first, so that each replaces the built-in one of its kind and locale. */
function firstOfEach(files: readonly MailFile[]): MailFile[] {
  const names = new Set<string>()
  return files.filter(({ kind, locale }) => names.size < names.add(`${kind}.${locale}`).size)
}

function listBeneath(dir: string, app: string, problems: Problems): MailFile[] {
  return listMails(dir, app, problems).map((mail) => ({
    ...mail,
    file: path.join(dir, mail.file),
    isBeneath: true,
  }))
}

function listMails(dir: string, app: string, problems: Problems): MailFile[] {
  return listFolder(dir, app, problems).flatMap((name) => {
    const mail = mailName(name)
    return mail ? [{ ...mail, file: `${app}/${name}`, isBeneath: false }] : []
  })
}

function checkKinds(
  files: readonly MailFile[],
  settings: AppSettings,
  report: (setting: string, message: string) => void,
): void {
  const { default_kind: kind, default_locale: locale } = settings
  const kinds = new Set(files.map((file) => file.kind))
  if (!kinds.has(kind))
    report('default_kind', `the default kind \`${kind}\` is missing: write ${kind}.${locale}.md`)
  for (const each of kinds) {
    const ofKind = files.filter((file) => file.kind === each)
    const isBuiltIn = ofKind.some((file) => file.isBeneath)
    if (!isBuiltIn && !ofKind.some((file) => file.locale === locale))
      report('default_locale', `\`${each}\` is missing in the default locale: write ${each}.${locale}.md`)
  }
}

function readLayout(dir: string, file: string, problems: Problems): Layout | undefined {
  const html = readText(dir, file, problems)
  return html === undefined ? undefined : parseLayout(html, file, problems)
}

/** `name` is a folder in `dir`; `''` is `dir` itself. */
function listFolder(dir: string, name: string, problems: Problems): string[] {
  try {
    return readdirSync(path.join(dir, name)).toSorted()
  } catch (error) {
    problems.add(name || dir, 1, explainReadError(error))
    return []
  }
}

function isFolder(dir: string, name: string): boolean {
  return statSync(path.join(dir, name), { throwIfNoEntry: false })?.isDirectory() ?? false
}

function explainReadError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOENT' ? 'is missing' : `cannot be read (${String(code)})`
}
