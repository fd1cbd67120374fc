/** Owns the question which public key of the environment verifies a token, or why none does. Key sets are fetched. */
import type { KeyObject } from 'node:crypto'
import { ConfigError } from '../config/config-error.ts'
import { readPublicKeys } from '../config/public-keys.ts'
import { publicKeyOfApp } from '../config/secret-names.ts'
import { MailerError } from '../errors.ts'
import { fetchKeySet } from '../remote-key-set.ts'
import { FetchError } from '../small-document.ts'
import { verifySignature } from '../token.ts'
import { algorithmsOf } from '../token-key.ts'
import { CommandError } from './terminal.ts'

export interface KeyVerdict {
  readonly signer: { readonly name: string; readonly key: KeyObject } | undefined
  /** Why each of the others does not. None when the environment has no public key. */
  readonly notes: readonly string[]
}

interface Candidate {
  readonly name: string
  readonly key: KeyObject
  readonly algorithms: readonly string[]
}

export async function publicKeyFor(
  token: string,
  { alg, kid }: { readonly alg: string; readonly kid?: string | undefined },
  env: NodeJS.ProcessEnv,
): Promise<KeyVerdict> {
  const notes: string[] = []
  for (const { name, key, algorithms } of await candidatesIn(env, kid, notes)) {
    if (!algorithms.includes(alg)) notes.push(`${name} is for ${algorithms.join(' or ')}, and alg is ${alg}`)
    else if (isSignedWith(token, key)) return { signer: { name, key }, notes: [] }
    else notes.push(`${name} does not verify the signature`)
  }
  return { signer: undefined, notes }
}

async function candidatesIn(
  env: NodeJS.ProcessEnv,
  kid: string | undefined,
  notes: string[],
): Promise<Candidate[]> {
  const { keys, keySets } = readKeys(env)
  const found = [...keys].flatMap(([app, own]) =>
    own.map((key) => ({ name: publicKeyOfApp(app), key, algorithms: algorithmsOf(key) })),
  )
  for (const [variable, url] of keySets) {
    try {
      const set = await fetchKeySet(url)
      const named = set.keys.filter((each) => kid === undefined || each.kid === kid)
      const others = set.keys.map((each) => each.kid ?? '(none)').join(', ') || 'none that is used'
      if (named.length === 0) notes.push(`${variable} has no key with this kid; it has: ${others}`)
      for (const each of named) found.push({ ...each, name: `${each.kid ?? 'a key'} of ${variable}` })
    } catch (error) {
      if (!(error instanceof FetchError)) throw error
      notes.push(`${variable} cannot be fetched: ${error.reason}`)
    }
  }
  return found
}

function readKeys(env: NodeJS.ProcessEnv): ReturnType<typeof readPublicKeys> {
  try {
    return readPublicKeys(env)
  } catch (error) {
    throw error instanceof ConfigError ? new CommandError(error.message) : error
  }
}

function isSignedWith(token: string, key: KeyObject): boolean {
  try {
    verifySignature(token, [key])
    return true
  } catch (error) {
    // everything else is judged behind the signature
    return error instanceof MailerError && !['token_signature', 'token_malformed'].includes(error.code)
  }
}
