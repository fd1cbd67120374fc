/** Owns the part of the environment that says which secrets there are, and which app's tokens each of them opens. */
import { type KeyObject, randomBytes } from 'node:crypto'
import { ConfigError } from './config-error.ts'
import { tokenKey } from '../token.ts'

export interface Secrets {
  /** The keys that open an app's tokens, the current one first; without an app, every key there is. */
  readonly keysOf: (app?: string) => readonly KeyObject[]
  /** What seals the outbox, the current one first. */
  readonly sealSecrets: readonly string[]
  readonly warnings: readonly string[]
}

export interface SharedSecrets {
  readonly JWT_MAILER_SECRET?: string | undefined
  readonly JWT_MAILER_SECRET_PREVIOUS?: string | undefined
}

const advice = 'Set it to what your apps sign with; a new one: openssl rand -base64 32'

/** The name of an app as it stands in its variables. */
const inVariable = (app: string) => app.toUpperCase().replaceAll('-', '_')

/** The variable of the secret that this app may have of its own. */
export const secretOfApp = (app: string) => `JWT_MAILER_SECRET_${inVariable(app)}`

/** Throws a `ConfigError` with the first thing that is wrong. */
export function readSecrets(env: NodeJS.ProcessEnv, shared: SharedSecrets, production: boolean): Secrets {
  const { JWT_MAILER_SECRET: given, JWT_MAILER_SECRET_PREVIOUS: previous } = shared
  if (given === undefined) refuseWithout(previous, production)
  const current = given ?? randomBytes(32).toString('base64url')
  const warnings =
    given === undefined ? ['JWT_MAILER_SECRET is not set: one was made up, good until the next start.'] : []
  const keyOf = (name: string, secret: string) => {
    if (secret.trim() === '') throw new ConfigError([`${name}: is empty, so anybody could sign. ${advice}`])
    if (Buffer.byteLength(secret) < 32) warnings.push(`${name} is shorter than 32 bytes and can be guessed.`)
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
    keysOf: (app) => (app === undefined ? all : (keysOfApps.get(inVariable(app)) ?? sharedKeys)),
    sealSecrets: previous === undefined ? [current] : [current, previous],
    warnings,
  }
}

/** In development a secret is made up instead, but not beside one that somebody has set. */
function refuseWithout(previous: string | undefined, production: boolean): void {
  if (production) throw new ConfigError([`JWT_MAILER_SECRET: is missing. ${advice}`])
  if (previous === undefined) return
  throw new ConfigError([
    'JWT_MAILER_SECRET_PREVIOUS: is set without JWT_MAILER_SECRET. Set that to what your apps sign with now, or remove this one.',
  ])
}

const appSecret = /^JWT_MAILER_SECRET_([A-Z0-9_]+?)(_PREVIOUS)?$/

/** The name of the app as in its variables; the current secret of an app before its previous one. */
function* appSecrets(env: NodeJS.ProcessEnv): Generator<{ app: string; name: string; secret: string }> {
  for (const name of Object.keys(env).toSorted()) {
    const secret = env[name]
    if (secret === undefined || name === 'JWT_MAILER_SECRET_PREVIOUS') continue
    if (/^jwt_mailer_secret_/i.test(name) && name !== name.toUpperCase()) {
      throw new ConfigError([
        `${name}: is not read. Write the name of the app in capitals: ${name.toUpperCase()}.`,
      ])
    }
    const [, app, isPrevious] = appSecret.exec(name) ?? []
    if (!app) continue
    const currentName = secretOfApp(app)
    // alone it would lock the shared secret out of the app
    if (isPrevious && env[currentName] === undefined) {
      throw new ConfigError([
        `${name}: is set without ${currentName}. Set that to what the app signs with now, or remove this one: then JWT_MAILER_SECRET opens the app.`,
      ])
    }
    yield { app, name, secret }
  }
}
