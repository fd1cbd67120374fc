/** Owns the secrets of tokens: which there are, which app's tokens each of them opens, and what seals the outbox. */
import { type KeyObject, randomBytes } from 'node:crypto'
import { tokenKey } from '../token-key.ts'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import type { Environment } from './environment.ts'
import { weaknessOf } from './key-strength.ts'
import { appInVariable, jwksOfApp, publicKeyOfApp, secretOfApp } from './secret-names.ts'

export interface Secrets {
  /** The keys that open an app's tokens, the current one first; without an app, every key there is. */
  readonly keysOf: (app?: string) => readonly KeyObject[]
  /** What seals the outbox, the current one first. */
  readonly sealSecrets: readonly string[]
  /** The apps that have a secret of their own, by the name of its variable. */
  readonly appVariables: readonly string[]
  readonly warnings: readonly ConfigProblem[]
}

type SharedSecrets = Pick<Environment, 'JWT_MAILER_SECRET' | 'JWT_MAILER_SECRET_PREVIOUS'>

const newSecret = 'openssl rand -base64 32'
const makeNew = `A new one: ${newSecret}`
const setIt = `Set it to what your apps sign with; a new one: ${newSecret}`

/** Throws a `ConfigError` with the first thing that is wrong. */
export function readSecrets(env: NodeJS.ProcessEnv, shared: SharedSecrets, production: boolean): Secrets {
  const { JWT_MAILER_SECRET: given, JWT_MAILER_SECRET_PREVIOUS: previous } = shared
  if (given === undefined) checkMayMakeUp(previous, production)
  const current = given ?? randomBytes(32).toString('base64url')
  const warnings: ConfigProblem[] = given === undefined ? [madeUp] : []
  const keyOf = (variable: string, secret: string) => {
    if (secret.trim() === '')
      throw new ConfigError({ variable, says: 'is empty, so anybody could sign', todo: setIt })
    const weakness = weaknessOf(secret)
    // a weak one can only be replaced while it is still accepted as the previous one
    if (weakness?.isGuessable && production && !variable.endsWith('_PREVIOUS'))
      throw new ConfigError({ variable, says: weakness.says, todo: makeNew })
    if (weakness) warnings.push({ variable, says: weakness.says, todo: makeNew })
    return tokenKey(secret)
  }
  const sharedKeys = [keyOf('JWT_MAILER_SECRET', current)]
  if (previous !== undefined) sharedKeys.push(keyOf('JWT_MAILER_SECRET_PREVIOUS', previous))
  const keysOfApps = new Map<string, KeyObject[]>()
  for (const { app, name, secret } of appSecrets(env)) {
    keysOfApps.set(app, [...(keysOfApps.get(app) ?? []), keyOf(name, secret)])
  }
  const all = [...sharedKeys, ...[...keysOfApps.values()].flat()]
  return {
    keysOf: (app) => (app === undefined ? all : (keysOfApps.get(appInVariable(app)) ?? sharedKeys)),
    sealSecrets: previous === undefined ? [current] : [current, previous],
    appVariables: [...keysOfApps.keys()].map(secretOfApp),
    warnings,
  }
}

/** A secret for an app that does not exist leaves the app that was meant open to the shared secret. */
export function strangeAppSecrets(appVariables: readonly string[], apps: readonly string[]): ConfigProblem[] {
  const known = new Set(apps.map(secretOfApp))
  const publicKeys = new Set(apps.flatMap((app) => [publicKeyOfApp(app), jwksOfApp(app)]))
  return appVariables
    .filter((variable) => !known.has(variable) && !publicKeys.has(variable))
    .map((variable) => ({
      variable,
      says: 'belongs to no app of the mails, so it opens nothing',
      todo: `There are: ${[...known].join(', ')}. Rename it, or remove it.`,
    }))
}

const madeUp: ConfigProblem = {
  variable: 'JWT_MAILER_SECRET',
  says: 'is not set, so one was made up, good until the next start',
  todo: setIt,
}

/** In development a secret is made up instead, but not when the previous one is set. */
function checkMayMakeUp(previous: string | undefined, production: boolean): void {
  if (production) throw new ConfigError({ variable: 'JWT_MAILER_SECRET', says: 'is missing', todo: setIt })
  if (previous === undefined) return
  throw new ConfigError({
    variable: 'JWT_MAILER_SECRET_PREVIOUS',
    says: 'is set without JWT_MAILER_SECRET',
    todo: 'Set that to what your apps sign with now, or remove this one.',
  })
}

const appSecret = /^JWT_MAILER_SECRET_([A-Z0-9_]+?)(_PREVIOUS)?$/

/** The name of the app as in its variables; the current secret of an app before its previous one. */
function* appSecrets(env: NodeJS.ProcessEnv): Generator<{ app: string; name: string; secret: string }> {
  for (const name of Object.keys(env).toSorted()) {
    const secret = env[name]
    if (secret === undefined || name === 'JWT_MAILER_SECRET_PREVIOUS') continue
    if (/^jwt_mailer_secret_/i.test(name) && name !== name.toUpperCase()) {
      throw new ConfigError({
        variable: name,
        says: 'is not read',
        todo: `Write the name of the app in capitals: ${name.toUpperCase()}.`,
      })
    }
    const [, app, isPrevious] = appSecret.exec(name) ?? []
    if (!app) continue
    const currentName = secretOfApp(app)
    // alone it would lock the shared secret out of the app
    if (isPrevious && env[currentName] === undefined) {
      throw new ConfigError({
        variable: name,
        says: `is set without ${currentName}`,
        todo: 'Set that to what the app signs with now, or remove this one: then JWT_MAILER_SECRET opens the app.',
      })
    }
    yield { app, name, secret }
  }
}
