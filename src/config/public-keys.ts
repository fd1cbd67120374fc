/** Owns `JWT_MAILER_PUBLIC_KEY_<APP>` and `JWT_MAILER_JWKS_<APP>`: apps that sign with a key of their own and share no secret. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { algorithmsOf } from '../token-key.ts'
import { ConfigError } from './config-error.ts'
import { appInVariable, jwksOfApp, publicKeyOfApp, secretOfApp } from './secret-names.ts'

export interface PublicKeys {
  /** The keys of each such app, by its name as variables write it. None where its key set has to be fetched. */
  readonly keys: ReadonlyMap<string, readonly KeyObject[]>
  /** Where to fetch the others, by the name of the variable. */
  readonly keySets: ReadonlyMap<string, URL>
  readonly variables: readonly string[]
}

type Refuse = (says: string, todo: string) => ConfigError

const pemBlock = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g

/** Throws a `ConfigError` that names the variable. */
export function readPublicKeys(env: NodeJS.ProcessEnv): PublicKeys {
  const keys = new Map<string, readonly KeyObject[]>()
  const keySets = new Map<string, URL>()
  const variables: string[] = []
  for (const nameOf of [publicKeyOfApp, jwksOfApp]) {
    for (const { app, variable, value, refuse } of variablesOfApps(env, nameOf)) {
      const other = [secretOfApp(app), ...(nameOf === jwksOfApp ? [publicKeyOfApp(app)] : [])]
      const beside = other.find((name) => env[name])
      if (beside !== undefined)
        throw refuse(`is set beside ${beside}`, 'An app has one or the other: remove one of them.')
      variables.push(variable)
      keys.set(app, nameOf === jwksOfApp ? [] : readPems(value, refuse))
      if (nameOf === jwksOfApp) keySets.set(variable, readAddress(value, refuse))
    }
  }
  return { keys, keySets, variables }
}

function* variablesOfApps(env: NodeJS.ProcessEnv, nameOf: (app: string) => string) {
  const prefix = nameOf('')
  for (const [variable, value] of Object.entries(env)) {
    const upper = variable.toUpperCase()
    if (!upper.startsWith(prefix) || !value) continue
    const refuse: Refuse = (says, todo) => new ConfigError({ variable, says, todo })
    if (variable !== upper || variable === prefix)
      throw refuse('is not read', `Write it in capitals, with the app behind it: ${nameOf('shop')}.`)
    yield { app: variable.slice(prefix.length), variable, value, refuse }
  }
}

const thisMachine = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/

function readAddress(value: string, refuse: Refuse): URL {
  const url = URL.parse(value)
  const isMeant = url?.protocol === 'https:' || (url?.protocol === 'http:' && thisMachine.test(url.hostname))
  if (!url || !isMeant || url.username !== '' || url.password !== '')
    throw refuse(
      'is no address of a key set',
      'It must be https://, without a login: https://app.example.com/.well-known/jwks.json; http:// to this machine only.',
    )
  return url
}

/** Files and dashboards write the line breaks of a PEM as `\n`, too. */
function readPems(value: string, refuse: Refuse): KeyObject[] {
  const blocks = [...value.replaceAll('\\n', '\n').matchAll(pemBlock)]
  if (blocks.length === 0)
    throw refuse('holds no PEM', 'It begins with -----BEGIN PUBLIC KEY-----; several may follow each other.')
  return blocks.map(([pem, label]) => {
    if (label !== 'PUBLIC KEY' && label !== 'RSA PUBLIC KEY')
      throw refuse(
        `holds a ${label}`,
        'Set it to the public key: openssl pkey -in key.pem -pubout. A private key that was here is no longer private.',
      )
    const key = readPem(pem)
    if (!key || algorithmsOf(key).length === 0)
      throw refuse(
        'holds a key of another kind',
        'It must be RSA of 2048 to 8192 bits (RS256, PS256), EC on P-256 (ES256) or Ed25519 (EdDSA).',
      )
    return key
  })
}

function readPem(pem: string): KeyObject | undefined {
  try {
    return createPublicKey(pem)
  } catch {
    // its message could quote the key
    return undefined
  }
}

/** An app with a public key is closed to every secret; the others are as they were. */
export function withPublicKeys(
  keysOf: (app?: string) => readonly KeyObject[],
  publicKeys: ReadonlyMap<string, readonly KeyObject[]>,
): (app?: string) => readonly KeyObject[] {
  if (publicKeys.size === 0) return keysOf
  const all = [...keysOf(), ...[...publicKeys.values()].flat()]
  return (app) => (app === undefined ? all : (publicKeys.get(appInVariable(app)) ?? keysOf(app)))
}
