/** Owns the variables of callbacks: which apps are called back, where, and with which secrets the calls are signed. */
import { type Webhook, webhookSecretPrefix } from '../webhook.ts'
import { ConfigError, type ConfigProblem, problemCollector } from './config-error.ts'
import { weaknessOf } from './key-strength.ts'
import { appInVariable } from './secret-names.ts'

export interface Webhooks {
  readonly webhookOf: (app: string) => Webhook | undefined
  /** Every app is called back. */
  readonly isShared: boolean
  /** The variables of apps that have a webhook of their own. */
  readonly variables: readonly string[]
  readonly warnings: readonly ConfigProblem[]
}

export interface WebhookOptions {
  readonly production: boolean
  readonly allowPrivate: boolean
}

export const webhookVariable = 'JWT_MAILER_WEBHOOK'
const secretVariable = `${webhookVariable}_SECRET`
const makeNew = 'A new one: echo "whsec_$(openssl rand -base64 32)"'

export const webhookOfApp = (app: string) => `${webhookVariable}_${appInVariable(app)}`

/** Throws one `ConfigError` with everything that is wrong. */
export function readWebhooks(env: NodeJS.ProcessEnv, options: WebhookOptions): Webhooks {
  const { problems, collect } = problemCollector()
  const warnings: ConfigProblem[] = []
  const hooks = new Map<string, Webhook>()
  const names = Object.keys(env).filter((name) => name.toUpperCase().startsWith(webhookVariable) && env[name])
  for (const name of names.toSorted()) {
    collect(() => checkCapitals(name))
    if (name.startsWith(secretVariable)) collect(() => checkNeeded(name, env))
    else collect(() => hooks.set(name, readWebhook(name, env, options, warnings)))
  }
  if (problems.length > 0) throw new ConfigError(...problems)
  const shared = hooks.get(webhookVariable)
  return {
    webhookOf: (app) => hooks.get(webhookOfApp(app)) ?? shared,
    isShared: shared !== undefined,
    variables: [...hooks.keys()].filter((name) => name !== webhookVariable),
    warnings,
  }
}

/** A webhook of an app that does not exist leaves the app that was meant without one. */
export function strangeWebhooks(variables: readonly string[], apps: readonly string[]): ConfigProblem[] {
  const known = apps.map(webhookOfApp)
  return variables
    .filter((variable) => !known.includes(variable))
    .map((variable) => ({
      variable,
      says: 'belongs to no app of the mails, so nobody is called back',
      todo: `There are: ${known.join(', ')}. Rename it, or remove it.`,
    }))
}

function checkCapitals(variable: string): void {
  const upper = variable.toUpperCase()
  if (variable === upper) return
  throw new ConfigError({ variable, says: 'is not read', todo: `Write it in capitals: ${upper}.` })
}

/** A secret that signs nothing was meant for a webhook whose name is misspelt or missing. */
function checkNeeded(variable: string, env: NodeJS.ProcessEnv): void {
  const current = variable.replace(/_PREVIOUS$/, '')
  if (!env[current]) {
    const todo = 'Set that to the secret in use now, or remove this one.'
    throw new ConfigError({ variable, says: `is set without ${current}`, todo })
  }
  const hook = `${webhookVariable}${current.slice(secretVariable.length)}`
  const isUsed =
    env[hook] ||
    (current === secretVariable && Object.keys(env).some((name) => isWebhookName(name) && env[name]))
  if (isUsed) return
  throw new ConfigError({ variable, says: `is set without ${hook}`, todo: 'Set both, or remove this one.' })
}

const isWebhookName = (name: string) => name.startsWith(webhookVariable) && !name.startsWith(secretVariable)

function readWebhook(
  variable: string,
  env: NodeJS.ProcessEnv,
  options: WebhookOptions,
  warnings: ConfigProblem[],
): Webhook {
  const url = readUrl(variable, env[variable] ?? '', options)
  const own = `${secretVariable}${variable.slice(webhookVariable.length)}`
  const current = env[own] ? own : secretVariable
  if (!env[current])
    throw new ConfigError({
      variable: own,
      says: `is missing, and without it nobody could tell the calls of ${variable} from forged ones`,
      todo: makeNew,
    })
  const secrets = [current, `${current}_PREVIOUS`].flatMap((name) => {
    const value = env[name]
    return value ? [readSecret(name, value, options, warnings)] : []
  })
  const isOwnMachine = !options.production && localHosts.has(url.hostname)
  return { url: url.href, secrets, allowPrivate: options.allowPrivate || isOwnMachine }
}

const localHosts = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Never repeats the value: its path may be a secret. */
function readUrl(variable: string, value: string, { production }: WebhookOptions): URL {
  const url = URL.parse(value)
  if (url === null || !/^https?:$/.test(url.protocol) || value !== value.trim())
    throw new ConfigError({ variable, says: 'must look like https://app.example.com/mail-events' })
  if (url.username || url.password || url.hash)
    throw new ConfigError({ variable, says: 'must hold no user, no password and no #' })
  if (url.protocol === 'https:' || (!production && localHosts.has(url.hostname))) return url
  throw new ConfigError({
    variable,
    says: production ? 'must begin with https://' : 'must begin with https://, or with http://localhost',
  })
}

function readSecret(
  variable: string,
  value: string,
  { production }: WebhookOptions,
  warnings: ConfigProblem[],
): string {
  const text = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/.exec(value)?.[1]
  const bytes = Buffer.from(text ?? '', 'base64').length
  if (text === undefined || bytes < 24 || bytes > 64) {
    const says = `must be ${webhookSecretPrefix} and 24 to 64 bytes in Base64`
    throw new ConfigError({ variable, says, todo: makeNew })
  }
  const weakness = weaknessOf(text)
  // a weak one can only be replaced while it still signs as the previous one
  if (weakness?.isGuessable && production && !variable.endsWith('_PREVIOUS'))
    throw new ConfigError({ variable, says: weakness.says, todo: makeNew })
  if (weakness?.isGuessable) warnings.push({ variable, says: weakness.says, todo: makeNew })
  return value
}
