/** Owns the check of adapters: which systems may ask for mails, of which apps, and where their links may lead. No network. */
import type { AdapterSettings } from '../adapter.ts'
import { adapterVariables, checkLinkOrigins } from '../config/adapters.ts'
import { ConfigError } from '../config/config-error.ts'
import type { Catalogue } from '../mails/catalogue.ts'
import { about, type Finding } from './finding.ts'

export function examineAdapters(
  adapters: readonly AdapterSettings[],
  { mails }: Pick<Catalogue, 'mails'>,
): Finding[] {
  const apps = [...new Set(mails.map(({ app }) => app))]
  const originsOf = (app: string) => mails.find((mail) => mail.app === app)?.linkRules.origins
  return adapters.flatMap((settings) => {
    const { system, app, urls } = settings
    const { ok, bad } = about(`adapter ${system}`)
    if (app !== undefined && !apps.includes(app)) {
      const variable = `${adapterVariables[system].secret}_${app.toUpperCase()}`
      return [
        bad(`${variable}: there is no app ${app}`, `There are: ${apps.join(', ')}. Rename it, or remove it.`),
      ]
    }
    try {
      checkLinkOrigins([settings], app === undefined ? unserved(settings, adapters, apps) : apps, originsOf)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ variable, says, todo = '' }) => bad(`${variable}: ${says}`, todo))
    }
    const place = app === undefined ? `/adapters/${system}` : `/adapters/${system}/${app}`
    const where = urls.length === 0 ? 'link_origins of the app' : urls.join(', ')
    return [
      ok(`${place} takes calls; their links lead to ${where}; try it with jwt-mailer token --as ${system}`),
    ]
  })
}

/** The apps that have no settings of their own for this system. */
function unserved(
  { system }: AdapterSettings,
  adapters: readonly AdapterSettings[],
  apps: readonly string[],
): string[] {
  return apps.filter((app) => !adapters.some((each) => each.system === system && each.app === app))
}
