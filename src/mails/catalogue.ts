/**
 * Owns which mails exist: app × kind × locale, from a folder that is read and checked once.
 *
 *   layout.html                  the frame of every HTML part
 *   <app>/app.json               name, colour, sender, defaults
 *   <app>/layout.html            optional: a frame of its own
 *   <app>/<kind>.<locale>.md     one mail
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { MailerError } from '../errors.ts'
import type { LinkRules } from '../link.ts'
import type { Mailbox } from '../message.ts'
import { appSchema, type AppSettings } from './app-settings.ts'
import { contractOf, type ClaimRule } from './claims.ts'
import { compileMail, type Program } from './compile.ts'
import { parseLayout, type Layout } from './layout.ts'
import { paletteOf, type Palette } from './palette.ts'
import { CatalogueError, parseSettings, problemList, type Problems } from './source.ts'

export { CatalogueError } from './source.ts'

/** One kind of one app in one locale, compiled. */
export interface Mail {
  readonly app: string
  readonly kind: string
  readonly locale: string
  readonly showsLink: boolean
  readonly showsKey: boolean
  /** What a caller has to send, in the order a reader expects it. */
  readonly contract: readonly ClaimRule[]
  /** Where it was read from, relative to the catalogue's folder. */
  readonly file: string
  readonly from: Mailbox
  readonly replyTo: string | undefined
  readonly linkRules: LinkRules
  readonly program: Program
  /** A point in time (epoch ms) in words of the mail's language, in UTC. */
  formatTime(time: number): string
}

export interface Catalogue {
  readonly mails: readonly Mail[]
  /**
   * The mail for this app and kind (`undefined`: the app's default kind), in the nearest locale: `it-IT`, `it`, the
   * app's default. Throws `mail_unknown`.
   */
  find(app: string, kind: string | undefined, locale: string | undefined): Mail
}

export interface CatalogueOptions {
  readonly dir: string
  /** Names the `default` app, whatever its app.json says. */
  readonly appName?: string | undefined
  readonly senderName: string
  readonly senderAddress: string
  readonly allowHttpLinks: boolean
}

const appPattern = /^[a-z][a-z0-9]{0,31}$/
const mailPattern = /^([a-z][a-z0-9_-]{0,63})\.([A-Za-z0-9-]{2,35})\.md$/

/** Throws one CatalogueError with everything that is wrong. */
export function loadCatalogue(options: CatalogueOptions): Catalogue {
  const problems = problemList()
  const layout = readLayout(options.dir, 'layout.html', problems)
  const apps = layout ? readApps(options, layout, problems) : []
  if (layout && apps.length === 0 && problems.found.length === 0)
    problems.add(
      options.dir,
      1,
      'there is no app in this folder: make <app>/app.json and <app>/<kind>.<locale>.md',
    )
  if (problems.found.length > 0) throw new CatalogueError(problems.found)
  return catalogueOf(apps)
}

interface App {
  readonly name: string
  readonly settings: AppSettings
  readonly mails: readonly Mail[]
}

function catalogueOf(apps: readonly App[]): Catalogue {
  const settings = new Map(apps.map((app) => [app.name, app.settings]))
  const mails = apps.flatMap((app) => app.mails)
  const index = new Map(mails.map((mail) => [`${mail.app}/${mail.kind}/${mail.locale.toLowerCase()}`, mail]))
  return {
    mails,
    find(app, kind, locale) {
      const { default_kind, default_locale } = settings.get(app) ?? {}
      const wanted = (locale ?? '').slice(0, 35).toLowerCase().replaceAll('_', '-')
      for (const candidate of [...shorterLocales(wanted), default_locale?.toLowerCase()]) {
        const mail = index.get(`${app}/${kind ?? default_kind}/${candidate}`)
        if (mail) return mail
      }
      throw new MailerError('mail_unknown')
    },
  }
}

/** `zh-hant-tw`, `zh-hant`, `zh`. */
function shorterLocales(locale: string): string[] {
  const parts = locale.split('-')
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('-'))
}

function readApps(options: CatalogueOptions, layout: Layout, problems: Problems): App[] {
  const folders = readdirSync(options.dir, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.'),
  )
  return folders.flatMap(({ name }) => readApp(name, options, layout, problems) ?? [])
}

function readApp(
  name: string,
  options: CatalogueOptions,
  shared: Layout,
  problems: Problems,
): App | undefined {
  const file = `${name}/app.json`
  if (!appPattern.test(name)) {
    problems.add(
      name,
      1,
      'an app is named by a lower-case letter, then letters and digits (it becomes part of the route)',
    )
    return undefined
  }
  const source = readText(options.dir, file, problems)
  const settings = source === undefined ? undefined : parseSettings(appSchema, source, file, 1, problems)
  if (!settings) return undefined
  const palette = paletteOf(settings.value.accent)
  if (typeof palette === 'string') {
    problems.add(file, settings.lineOf(['accent']), palette)
    return undefined
  }
  const own = existsSync(path.join(options.dir, name, 'layout.html'))
  const layout = own ? readLayout(options.dir, `${name}/layout.html`, problems) : shared
  if (!layout) return undefined
  const mails = readMails(name, settings.value, palette, layout, options, problems)
  return { name, settings: settings.value, mails }
}

function readMails(
  app: string,
  settings: AppSettings,
  palette: Palette,
  layout: Layout,
  options: CatalogueOptions,
  problems: Problems,
): Mail[] {
  const files = readdirSync(path.join(options.dir, app))
    .filter((file) => file.endsWith('.md'))
    .toSorted()
  const kinds = new Map<string, Set<string>>()
  const mails = files.flatMap((name): Mail[] => {
    const file = `${app}/${name}`
    const [, kind = '', locale = ''] = mailPattern.exec(name) ?? []
    if (kind === '' || canonicalLocale(locale) !== locale) {
      problems.add(file, 1, 'a mail is named <kind>.<locale>.md, such as reset.en.md or reset.pt-BR.md')
      return []
    }
    kinds.set(kind, (kinds.get(kind) ?? new Set()).add(locale))
    const mail = readMail({ app, kind, locale, file }, settings, palette, layout, options, problems)
    return mail ? [mail] : []
  })
  checkKinds(app, settings, kinds, problems)
  return mails
}

function checkKinds(
  app: string,
  settings: AppSettings,
  kinds: Map<string, Set<string>>,
  problems: Problems,
): void {
  const file = `${app}/app.json`
  if (!kinds.has(settings.default_kind))
    problems.add(
      file,
      1,
      `the default kind \`${settings.default_kind}\` has no file ${settings.default_kind}.${settings.default_locale}.md`,
    )
  for (const [kind, locales] of kinds) {
    if (!locales.has(settings.default_locale))
      problems.add(
        file,
        1,
        `\`${kind}\` lacks the default locale: write ${kind}.${settings.default_locale}.md`,
      )
  }
}

function readMail(
  identity: { app: string; kind: string; locale: string; file: string },
  settings: AppSettings,
  palette: Palette,
  layout: Layout,
  options: CatalogueOptions,
  problems: Problems,
): Mail | undefined {
  const { app, locale, file } = identity
  const from = {
    name: settings.from.name ?? options.senderName,
    address: settings.from.address ?? options.senderAddress,
  }
  const appName = (app === 'default' ? options.appName : undefined) ?? settings.name ?? options.senderName
  const direction = directionOf(locale)
  const source = readText(options.dir, file, problems)
  if (source === undefined) return undefined
  const setting = {
    appName,
    senderName: from.name,
    toName: settings.to_name,
    palette,
    layout,
    locale,
    direction,
  } as const
  const program = compileMail(source, file, setting, problems)
  if (!program) return undefined
  const uses = (kind: string) =>
    program.expressions.some(({ source: index }) => program.sources[index]!.kind === kind)
  const shows = { link: uses('link'), key: uses('key') }
  // spelled like this, English readers of every country agree on the order of day and month
  const time = new Intl.DateTimeFormat(locale === 'en' ? 'en-GB' : locale, {
    dateStyle: 'long',
    timeStyle: 'short',
    timeZone: 'UTC',
  })
  return {
    ...identity,
    showsLink: shows.link,
    showsKey: shows.key,
    contract: contractOf(program.sources, shows),
    from,
    replyTo: settings.reply_to,
    linkRules: { allowHttp: options.allowHttpLinks, origins: settings.link_origins },
    program,
    formatTime: (epochMs) => `${time.format(epochMs)} UTC`,
  }
}

function readLayout(dir: string, file: string, problems: Problems): Layout | undefined {
  const html = readText(dir, file, problems)
  return html === undefined ? undefined : parseLayout(html, file, problems)
}

function readText(dir: string, file: string, problems: Problems): string | undefined {
  try {
    return readFileSync(path.join(dir, file), 'utf8')
  } catch (error) {
    problems.add(
      file,
      1,
      `cannot be read: ${error instanceof Error ? error.message.split(',')[0] : 'unknown'}`,
    )
    return undefined
  }
}

function canonicalLocale(locale: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(locale)[0]
  } catch {
    return undefined
  }
}

const rightToLeftScripts = new Set(['Arab', 'Hebr', 'Thaa', 'Syrc', 'Nkoo', 'Adlm', 'Rohg'])

function directionOf(locale: string): 'ltr' | 'rtl' {
  return rightToLeftScripts.has(new Intl.Locale(locale).maximize().script ?? '') ? 'rtl' : 'ltr'
}
