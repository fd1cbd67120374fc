/**
 * Owns what lies in a folder of mails and is none of them: traces of editors, archives and other machines, templates of
 * other mailers, mails under a name that is not read. They are named, never mailed, and no reason to stop a service.
 */
import { appPattern } from '../contract.ts'
import { isLocale } from './locale.ts'
import type { Problem } from './problem.ts'

export interface Stray extends Problem {
  /** Its author wants it read: `check` fails. */
  readonly isMeant: boolean
}

const mailPattern = /^([a-z][a-z0-9_-]{0,63})\.([A-Za-z0-9-]{2,35})\.md$/

/** Kind and locale, from the name of a file; `undefined` when that is not the name of a mail. */
export function mailName(name: string): { kind: string; locale: string } | undefined {
  const [, kind = '', locale = ''] = mailPattern.exec(name) ?? []
  return kind !== '' && isLocale(locale) ? { kind, locale } : undefined
}

const naming = 'a mail is named <kind>.<locale>.md, such as reset.en.md or reset.pt-BR.md'
const traces: readonly (readonly [RegExp, string])[] = [
  [/^\._/, 'what macOS puts into archives is not read; delete it'],
  [
    /^(?:\.DS_Store|Thumbs\.db|desktop\.ini)$/i,
    'what the file manager of another machine leaves is not read',
  ],
  [
    /^\.#|^#.*#$|~$|^4913$|\.(?:sw[a-p]|bak|backup|orig|old|save|tmp|temp|rej)$/i,
    'the copy of an editor or a tool is not read; delete it',
  ],
  [
    /^Copy of | copy(?: \d+)?\.md$| - (?:Copy|Kopie)| \(\d+\)\.md$/i,
    'a copy is not read; delete it, or name it',
  ],
]
const otherTemplates =
  /\.(?:mjml|hbs|handlebars|mustache|liquid|njk|jinja2?|j2|erb|haml|slim|ejs|pug|twig|blade\.php|tmpl|gotmpl|gohtml|eml|html?|txt|ftl|cshtml)$/i

/** What is to be said of a file in the folder of an app that is no mail; nothing about what does no harm. */
export function strayFile(folder: string, name: string): Stray | undefined {
  const at = (message: string, isMeant: boolean) => ({ file: `${folder}/${name}`, line: 1, message, isMeant })
  const trace = traces.find(([pattern]) => pattern.test(name))
  if (trace) return at(trace[1], false)
  if (name.startsWith('.') || name.startsWith('_') || name === 'layout.html') return undefined
  if (otherTemplates.test(name))
    return at(`the template of another mailer is not read: ${naming}, and is Markdown`, true)
  if (!/\.md$/i.test(name) || /^(?:readme|changelog|license|notes|todo)\.md$/i.test(name)) return undefined
  const plain = name.normalize('NFC')
  if (/[^\x21-\x7e]/.test(plain)) return at(`${naming}, in ASCII without spaces; this one is not read`, true)
  const meant = [plain, plain.toLowerCase()].map(repairName).find((each) => mailName(each))
  return at(`${naming}; this one is not read${meant ? `; did you mean ${meant}?` : ''}`, true)
}

/** `Reset.EN.md`, `reset.en_US.md` and `reset_en.md` are names on other machines and of other mailers. */
function repairName(name: string): string {
  return name
    .replace(/\.md$/i, '.md')
    .replace(/^([^.]+)[_-]([a-z]{2})\.md$/, '$1.$2.md')
    .replace(
      /\.([a-z]{2})[-_]([a-z]{2})\.md$/i,
      (_, one: string, two: string) => `.${one.toLowerCase()}-${two.toUpperCase()}.md`,
    )
}

/** What is to be said of a folder beside the apps. `files` is what it holds. */
export function strayFolder(name: string, files: readonly string[]): Stray | undefined {
  const isMeant = files.some((file) => mailName(file))
  const isApp = isMeant || files.some((file) => file === 'layout.html' || /^_.+\.md$/.test(file))
  if (files.includes('app.json') || (appPattern.test(name) && isApp)) return undefined
  return {
    file: name,
    line: 1,
    message: isMeant
      ? 'an app is named by small letters and digits, because it stands in the route; this folder is not read'
      : 'a folder without app.json and without mails is no app, and is not read',
    isMeant,
  }
}

/** What is to be said of a file beside the apps. */
export function strayBeside(name: string): Stray | undefined {
  const trace = traces.find(([pattern]) => pattern.test(name))
  if (trace) return { file: name, line: 1, message: trace[1], isMeant: false }
  if (!mailName(name)) return undefined
  return {
    file: name,
    line: 1,
    message: `a mail lies in the folder of its app: default/${name}`,
    isMeant: true,
  }
}
