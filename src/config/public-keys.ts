/** Owns `JWT_MAILER_PUBLIC_KEY_<APP>`: the keys of apps that sign with a key of their own and share no secret. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { algorithmsOf } from '../token.ts'
import { ConfigError } from './config-error.ts'
import { appInVariable, publicKeyOfApp, secretOfApp } from './secret-names.ts'

const prefix = publicKeyOfApp('')
const pemBlock = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g
const leastRsaBits = 2048

/** The public keys of each app, by its name as variables write it. Throws a `ConfigError` that names the variable. */
export function readPublicKeys(env: NodeJS.ProcessEnv): ReadonlyMap<string, readonly KeyObject[]> {
  const keys = new Map<string, readonly KeyObject[]>()
  for (const [variable, value] of Object.entries(env)) {
    const upper = variable.toUpperCase()
    if (!upper.startsWith(prefix) || !value) continue
    const refuse = (says: string, todo: string) => new ConfigError({ variable, says, todo })
    if (variable !== upper || variable === prefix)
      throw refuse('is not read', `Write it in capitals, with the app behind it: ${publicKeyOfApp('shop')}.`)
    const app = variable.slice(prefix.length)
    if (env[secretOfApp(app)])
      throw refuse(`is set beside ${secretOfApp(app)}`, 'An app has one or the other: remove one of them.')
    keys.set(app, readPems(value, refuse))
  }
  return keys
}

/** Files and dashboards write the line breaks of a PEM as `\n`, too. */
function readPems(value: string, refuse: (says: string, todo: string) => ConfigError): KeyObject[] {
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
    const bits = key?.asymmetricKeyDetails?.modulusLength ?? leastRsaBits
    if (!key || algorithmsOf(key).length === 0 || bits < leastRsaBits)
      throw refuse(
        'holds a key of another kind',
        `It must be RSA of ${leastRsaBits} bits or more (RS256, PS256) or EC on P-256 (ES256).`,
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
