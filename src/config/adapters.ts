/** Owns the variables of adapters: which other systems may ask for mails, of which apps, and where their links may lead. */
import { type AdapterSettings, type System, systems } from '../adapter.ts'
import { ConfigError, type ConfigProblem, problemCollector } from './config-error.ts'
import type { Environment } from './environment.ts'

interface SystemVariables {
  readonly secret: keyof Environment
  readonly url: keyof Environment
  /** What a secret looks like, and where the operator finds it. */
  readonly pattern: RegExp
  readonly says: string
  readonly todo: string
  /** Links are made here, so their base must be known; other systems send whole links. */
  readonly makesLinks?: boolean
  /** Between several secrets in one variable. */
  readonly separator?: string
}

/** A secret that the operator makes up. */
const bearer = {
  pattern: /^[\x21-\x7e]{16,}$/,
  says: 'must be 16 characters or more, without spaces',
  todo: 'A new one: openssl rand -hex 32',
}

export const adapterVariables: Record<System, SystemVariables> = {
  supabase: {
    secret: 'SUPABASE_HOOK_SECRET',
    url: 'SUPABASE_URL',
    pattern: /^v1,whsec_[A-Za-z0-9+/]{32,}={0,2}$/,
    says: 'must look like v1,whsec_<base64>',
    todo: 'Copy it from Authentication, Hooks, Send Email of your Supabase project.',
    makesLinks: true,
    separator: '|',
  },
  kratos: { secret: 'KRATOS_HOOK_SECRET', url: 'KRATOS_URL', ...bearer },
  zitadel: {
    secret: 'ZITADEL_SIGNING_KEY',
    url: 'ZITADEL_URL',
    ...bearer,
    todo: 'Zitadel answers with it when the HTTP provider is made.',
  },
  logto: { secret: 'LOGTO_HOOK_SECRET', url: 'LOGTO_URL', ...bearer },
}

export interface AdapterOptions {
  readonly localeKey: string
  /** Of Zitadel. */
  readonly ownTexts: boolean
  readonly allowHttp: boolean
}

/** Throws one `ConfigError` with everything that is wrong. */
export function readAdapters(env: NodeJS.ProcessEnv, options: AdapterOptions): AdapterSettings[] {
  const { problems, collect } = problemCollector()
  const read = systems.flatMap((system) => {
    const apps = collect(() => appsOf(env, adapterVariables[system].secret)) ?? []
    return apps.flatMap((app) => collect(() => readSettings(env, system, app, options)) ?? [])
  })
  if (problems.length > 0) throw new ConfigError(...problems)
  return read
}

/** The apps that have a secret of their own, and `undefined` for the shared one. */
function appsOf(env: NodeJS.ProcessEnv, secret: string): (string | undefined)[] {
  const apps = new Set<string | undefined>()
  for (const name of Object.keys(env).toSorted()) {
    const upper = name.toUpperCase()
    if ((upper !== secret && !upper.startsWith(`${secret}_`)) || !env[name]) continue
    if (name !== upper) {
      const todo = `Write it in capitals: ${upper}.`
      throw new ConfigError({ variable: name, says: 'is not read', todo })
    }
    const current = name.replace(/_PREVIOUS$/, '')
    if (!env[current]) {
      const todo = 'Set that to the secret in use now, or remove this one.'
      throw new ConfigError({ variable: name, says: `is set without ${current}`, todo })
    }
    apps.add(current === secret ? undefined : current.slice(secret.length + 1).toLowerCase())
  }
  return [...apps]
}

function readSettings(
  env: NodeJS.ProcessEnv,
  system: System,
  app: string | undefined,
  { localeKey, ownTexts, allowHttp }: AdapterOptions,
): AdapterSettings {
  const { secret, url, pattern, says, todo, makesLinks, separator } = adapterVariables[system]
  const suffix = app === undefined ? '' : `_${app.toUpperCase()}`
  const variables = [`${secret}${suffix}`, `${secret}${suffix}_PREVIOUS`]
  const secrets = variables.flatMap((variable) => {
    const value = env[variable] ?? ''
    const values = (separator === undefined ? [value] : value.split(separator)).filter((one) => one !== '')
    if (values.some((one) => !pattern.test(one))) throw new ConfigError({ variable, says, todo })
    return values
  })
  const urlVariable = env[`${url}${suffix}`] ? `${url}${suffix}` : url
  const urls = (env[urlVariable] ?? '').split(',').filter((one) => one.trim() !== '')
  const settings = { system, app, secrets, localeKey, ownTexts }
  if (!makesLinks)
    return { ...settings, urls: urls.map((one) => readUrl(urlVariable, one, allowHttp).origin) }
  if (urls.length !== 1) {
    const missing = urls.length === 0 ? 'is missing' : 'must be one address'
    throw new ConfigError({
      variable: `${url}${suffix}`,
      says: missing,
      todo: `The links of ${secret}${suffix} lead there: set it to https://<project>.supabase.co.`,
    })
  }
  return {
    ...settings,
    urls: urls.map((one) => readUrl(urlVariable, one, allowHttp).href.replace(/\/+$/, '')),
  }
}

/** Never repeats the value: it may hold a password. */
function readUrl(variable: string, value: string, allowHttp: boolean): URL {
  const url = URL.parse(value.trim())
  const isWeb = url !== null && /^https?:$/.test(url.protocol) && url.hostname !== ''
  if (!isWeb || url.username || url.password || url.search || url.hash)
    throw new ConfigError({ variable, says: 'must look like https://auth.example.com' })
  if (url.protocol === 'http:' && !allowHttp)
    throw new ConfigError({
      variable,
      says: 'must begin with https://',
      todo: 'For trying it out, ALLOW_HTTP_LINKS=on allows http:// too.',
    })
  return url
}

/**
 * Where an adapter's links may lead must be said: by its own variable, or by `link_origins` of the app's app.json. Both
 * are obeyed. `originsOf` answers `undefined` where an app has no `link_origins`.
 */
export function checkLinkOrigins(
  settings: readonly AdapterSettings[],
  apps: readonly string[],
  originsOf: (app: string) => readonly string[] | undefined,
): void {
  const problems = settings.flatMap(({ system, app, urls }): ConfigProblem[] => {
    const { url, secret } = adapterVariables[system]
    const own = settings.filter((each) => each.system === system && each.app !== undefined)
    const served = app === undefined ? apps.filter((name) => !own.some((each) => each.app === name)) : [app]
    return served.flatMap((name) => {
      const origins = originsOf(name)
      if (urls.length === 0 && !origins)
        return [
          {
            variable: url,
            says: `is missing, and the app ${name} has no link_origins, so ${secret} would let any link into its mails`,
            todo: 'Set it to the address that the links lead to; several with commas.',
          },
        ]
      const outside = origins && urls.find((one) => !origins.includes(new URL(one).origin))
      if (outside === undefined) return []
      return [
        {
          variable: url,
          says: `leads to none of the link_origins of the app ${name}`,
          todo: `Add ${new URL(outside).origin} to link_origins in its app.json.`,
        },
      ]
    })
  })
  if (problems.length > 0) throw new ConfigError(...problems)
}
