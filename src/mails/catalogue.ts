/** Owns the templates of all mails, by app, kind and locale: read and checked once (folder.ts, compile.ts), then only looked up. */
import path from 'node:path'
import { MailerError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import type { LinkRules } from '../link.ts'
import type { Mailbox } from '../message.ts'
import { builtInMails } from './built-in.ts'
import type { ClaimRule } from './claims.ts'
import { contractOf } from './declared.ts'
import { formatsOf } from './formats.ts'
import { compileMail, type Program } from './compile/compile.ts'
import { findStrays, readFolder, readPartial, readText, type AppFolder, type MailFile } from './folder.ts'
import { directionOf, localeCandidates } from './locale.ts'
import { CatalogueError, problemList, type Problems } from './problem.ts'
import type { Stray } from './strays.ts'

/** A mail of one app, kind and locale, compiled. */
export interface MailTemplate {
  readonly app: string
  readonly kind: string
  readonly locale: string
  readonly showsLink: boolean
  readonly showsKey: boolean
  /** The claims that a caller has to send, in the order in which a reader expects them. */
  readonly contract: readonly ClaimRule[]
  /** Relative to the catalogue's folder. */
  readonly file: string
  readonly from: Mailbox
  readonly replyTo: string | undefined
  readonly linkRules: LinkRules
  readonly program: Program
  /** A point in time (epoch ms) in words of the mail's language, in UTC. */
  formatTime(time: number): string
}

export interface Catalogue {
  readonly mails: readonly MailTemplate[]
  /** What lies in the folder and is none of its mails. */
  readonly strays: readonly Stray[]
  /**
   * The mail for this app and kind (`undefined`: the app's default kind), in the nearest locale: `it-IT`, `it`, the
   * app's default. Throws `mail_unknown`.
   */
  find(app: string, kind: string | undefined, locale: string | undefined): MailTemplate
}

export interface CatalogueOptions {
  readonly dir: string
  /** The folder of which `dir` adds or replaces single mails: the built-in one. */
  readonly beneath?: string | undefined
  /** Names the `default` app when its app.json does not. */
  readonly appName?: string | undefined
  readonly senderName: string
  readonly senderAddress: string
  readonly allowHttpLinks: boolean
}

/** What the service's configuration says about its mails. */
export interface CatalogueConfig {
  readonly mailsDir: string | undefined
  readonly appName: string | undefined
  readonly sender: Mailbox
  readonly allowHttpLinks: boolean
}

export function catalogueOptions(config: CatalogueConfig): CatalogueOptions {
  const { mailsDir = builtInMails, appName, sender, allowHttpLinks } = config
  const beneath = mailsDir === builtInMails ? undefined : builtInMails
  return {
    dir: mailsDir,
    beneath,
    appName,
    senderName: sender.name,
    senderAddress: sender.address,
    allowHttpLinks,
  }
}

/** Throws one CatalogueError with everything that is wrong. */
export function loadCatalogue(options: CatalogueOptions): Catalogue {
  const problems = problemList()
  const folders = readFolder(options.dir, problems, options.beneath)
  const mails = folders.flatMap((folder) => compileApp(folder, options, problems))
  if (problems.found.length > 0) throw new CatalogueError(problems.found)
  const settings = new Map(folders.map((folder) => [folder.app, folder.settings]))
  const index = new Map(mails.map((mail) => [indexKey(mail.app, mail.kind, mail.locale), mail]))
  return {
    mails,
    strays: findStrays(options.dir, problems),
    find(app, kind, locale) {
      const { default_kind, default_locale } = settings.get(app) ?? {}
      for (const candidate of [...localeCandidates(locale ?? ''), default_locale ?? '', builtInLocale]) {
        const mail = index.get(indexKey(app, kind ?? default_kind ?? '', candidate))
        if (mail) return mail
      }
      throw new MailerError('mail_unknown', { hint: whatThereIs(mails, app, kind) })
    },
  }
}

const maxNamed = 50

/** Only for those who hold a secret: nothing is looked up before the signature. The words of the caller are not repeated. */
function whatThereIs(mails: readonly MailTemplate[], app: string, kind: string | undefined): string {
  const kinds = [...new Set(mails.filter((mail) => mail.app === app).map((mail) => mail.kind))]
  const [what, names, wanted] =
    kinds.length > 0
      ? ['kinds of this app', kinds, kind ?? '']
      : ['apps', [...new Set(mails.map((mail) => mail.app))], app]
  const meant = nearest(wanted, names)
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  const list = names.toSorted().slice(0, maxNamed).join(', ')
  return `the ${what} are ${list}${more}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** Every built-in mail is there in it. */
const builtInLocale = 'en'

function indexKey(app: string, kind: string, locale: string): string {
  return `${app}/${kind}/${locale.toLowerCase()}`
}

function compileApp(folder: AppFolder, options: CatalogueOptions, problems: Problems): MailTemplate[] {
  const mails = folder.files.flatMap((file) => compileFile(folder, file, options, problems) ?? [])
  const { default_locale: locale } = folder.settings
  const beneath = new Set(folder.files.filter((file) => file.isBeneath).map(({ file }) => file))
  const outgrown = new Set<MailTemplate>()
  for (const mail of mails) {
    const model = mails.find((other) => other.kind === mail.kind && other.locale === locale)
    const different = model && differentClaim(mail.contract, model.contract)
    // the mail that replaces its sister asks for something else
    if (different && beneath.has(mail.file)) outgrown.add(mail)
    else if (different)
      problems.add(
        mail.file,
        1,
        `\`${different}\` is not declared as in ${model.file}: a kind asks the same of its callers in every language`,
      )
  }
  return mails.filter((mail) => !outgrown.has(mail))
}

function differentClaim(contract: readonly ClaimRule[], model: readonly ClaimRule[]): string | undefined {
  const [here, there] = [demands(contract), demands(model)]
  return [...here.keys(), ...there.keys()].find((name) => here.get(name) !== there.get(name))
}

function demands(contract: readonly ClaimRule[]): Map<string, string> {
  return new Map(contract.map((rule) => [rule.name, demandOf(rule)]))
}

function demandOf({ type, required, max, fields = [] }: ClaimRule): string {
  const inside = fields.map((field) => `${field.name} ${demandOf(field)}`).toSorted()
  return [type, required, max, ...inside].join(' ')
}

function compileFile(
  folder: AppFolder,
  { kind, locale, file }: MailFile,
  options: CatalogueOptions,
  problems: Problems,
): MailTemplate | undefined {
  const { app, settings, palette, layout } = folder
  const source = readText(options.dir, file, problems)
  if (source === undefined) return undefined
  const appName =
    settings.name ??
    (app === 'default' ? options.appName : undefined) ??
    (options.senderName || (options.appName ?? ''))
  const from = {
    name: settings.from.name ?? (options.senderName || appName),
    address: settings.from.address ?? options.senderAddress,
  }
  const formats = formatsOf({ locale, timeZone: settings.time_zone, money: settings.money })
  const program = compileMail(
    source,
    file,
    {
      appName,
      senderName: from.name,
      app: settings,
      palette,
      layout,
      locale,
      direction: directionOf(locale),
      formats,
      partial: (name) => readPartial(options.dir, [app, path.dirname(file)], name, locale, problems),
    },
    problems,
  )
  if (!program) return undefined
  const shown = new Set(
    program.expressions.flatMap(({ uses }) => uses.map((index) => program.sources[index]!.kind)),
  )
  return {
    app,
    kind,
    locale,
    file,
    showsLink: shown.has('link'),
    showsKey: shown.has('key'),
    contract: contractOf(program.sources, { link: shown.has('link'), key: shown.has('key') }),
    from,
    replyTo: settings.reply_to,
    linkRules: { allowHttp: options.allowHttpLinks, origins: settings.link_origins },
    program,
    formatTime: (time) => formats.moment(time),
  }
}
