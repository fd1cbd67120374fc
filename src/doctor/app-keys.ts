/** Owns the check of apps with keys of their own: which keys there are, for which algorithms; a published set is fetched. */
import type { Config } from '../config/config.ts'
import { publicKeyOfApp } from '../config/secret-names.ts'
import type { KeyFault, KeySet } from '../key-set.ts'
import { fetchKeySet } from '../remote-key-set.ts'
import { FetchError } from '../small-document.ts'
import { algorithmsOf } from '../token-key.ts'
import { about, type Check, type Finding } from './finding.ts'

const { ok, warn, bad } = about('app keys')

/** The keys that stand in the environment. */
export function examinePublicKeys({
  appVariables,
  keysOf,
}: Pick<Config, 'appVariables' | 'keysOf'>): Finding[] {
  const prefix = publicKeyOfApp('')
  return appVariables
    .filter((variable) => variable.startsWith(prefix))
    .map((variable) => {
      const keys = keysOf(variable.slice(prefix.length))
      return ok(`${variable}: ${keys.map((key) => algorithmsOf(key).join(' or ')).join(', ')}`)
    })
}

/** One check for each set that an app publishes. */
export function keySetChecks({ keySets }: Pick<Config, 'keySets'>): Check[] {
  return [...keySets].map(([variable, url]) => ({
    area: 'app keys',
    async *run() {
      try {
        yield* examineKeySet(variable, await fetchKeySet(url))
      } catch (error) {
        if (!(error instanceof FetchError)) throw error
        yield bad(
          `${variable}: the key set cannot be fetched (${inWords[error.reason] ?? error.reason})`,
          'Until it can, tokens of this app are answered 503 keys_unavailable. Ask the address with curl -v from this machine.',
        )
      }
    },
  }))
}

const inWords: Readonly<Record<string, string>> = {
  timeout: 'no whole answer within 5 s',
  redirect: 'it redirects, which is not followed: set the address that it leads to',
  status: 'the answer is not 200',
  size: 'it has more than 64 KiB',
  body: 'the answer is no key set, or one of more than 32 keys',
  connect: 'no connection',
}

function* examineKeySet(variable: string, { keys, faults }: KeySet): Generator<Finding> {
  const named = keys.map(({ kid, algorithms }) => `${nameOf(kid)} (${algorithms.join(' or ')})`)
  if (keys.length > 0) yield ok(`${variable}: ${named.join(', ')}`)
  else
    yield bad(
      `${variable}: the set has no key that is used`,
      'No token of this app is taken. Look at its set.',
    )
  for (const { kid, fault } of faults) {
    const { says, todo } = faultWords[fault]
    const finding = fault === 'private' ? bad : warn
    yield finding(`${variable}: ${nameOf(kid)} ${says}`, todo)
  }
  if (keys.length > 1 && keys.some(({ kid }) => kid === undefined))
    yield warn(
      `${variable}: a key has no kid`,
      'Give each key one, and let tokens name theirs: else a new key is not looked for when a token is signed with it.',
    )
}

/** The set is foreign text. */
const nameOf = (kid: string | undefined) =>
  kid === undefined ? 'a key without kid' : `key ${kid.slice(0, 80).replaceAll(/[^ -~]/g, '?')}`

const faultWords: Readonly<Record<KeyFault, { says: string; todo: string }>> = {
  symmetric: {
    says: 'is a secret, which is no secret any more, and is not used',
    todo: 'Remove it from the set, and sign with nothing that it opens.',
  },
  private: {
    says: 'is a private key: everybody who reads the set can sign with it, so it is not used',
    todo: 'Make a new pair, publish its public half, and remove this one.',
  },
  use: {
    says: 'is not meant for signatures (use, key_ops), and is not used',
    todo: 'Nothing, if that is so.',
  },
  alg: {
    says: 'has an alg that does not fit it or is not taken',
    todo: 'RS256 or PS256 go with RSA, ES256 with P-256, EdDSA with Ed25519.',
  },
  kind: {
    says: 'is of a kind that is not taken, or broken',
    todo: 'RSA of 2048 to 8192 bits, EC on P-256 and Ed25519 are.',
  },
}
