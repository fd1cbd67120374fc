/**
 * Owns the key sets that apps publish (`JWT_MAILER_JWKS_<APP>`): how one is fetched, how long it is kept, and which of
 * its keys may have signed a token. The address is the operator's, so it may be in a private network.
 */
import type { KeyObject } from 'node:crypto'
import { MailerError } from './errors.ts'
import { type KeySet, readKeySet } from './key-set.ts'
import type { Log } from './log.ts'
import type { FetchReason } from './message.ts'
import { fetchDocument, FetchError } from './small-document.ts'

type Keys = readonly KeyObject[]

/**
 * The keys that may have signed this token: the app's own, or of every app. At once, unless a set has to be fetched. Of
 * every app it leaves out the sets that cannot be fetched, unless `needsAll`: then it rejects with `keys_unavailable`.
 */
export type KeysFor = (app: string | undefined, token: string, needsAll?: boolean) => Keys | Promise<Keys>

export interface RemoteKeySet {
  /** Throws or rejects with `keys_unavailable` when the set cannot be fetched and none that is known has the key. */
  readonly keysFor: (token: string) => Keys | Promise<Keys>
  /** Fetches the set unless it was asked for a short time ago. Never rejects. */
  readonly refresh: () => Promise<void> | undefined
}

export interface RemoteKeySetOptions {
  readonly url: URL
  /** Names the set in the log. */
  readonly variable: string
  readonly log: Log
  readonly now?: () => number
  readonly fetchMs?: number
}

/** A key that its app has removed opens nothing after that time. */
const freshMs = 5 * 60_000
/** Between two questions, whatever `kid` tokens hold. */
const pauseMs = 60_000
/** The same, as long as there has been no set at all. */
const firstPauseMs = 5_000

export function remoteKeySet(options: RemoteKeySetOptions): RemoteKeySet {
  const { url, variable, log, now = () => performance.now(), fetchMs } = options
  let held: { set: KeySet; at: number } | undefined
  let flight: Promise<void> | undefined
  let askedAt = -Infinity
  let failure: FetchReason | undefined

  function refresh(): Promise<void> | undefined {
    if (flight || now() < askedAt + (held ? pauseMs : firstPauseMs)) return flight
    askedAt = now()
    flight = fetchKeySet(url, fetchMs)
      .then(hold, (error: unknown) => {
        failure = error instanceof FetchError ? error.reason : 'internal'
        log.warn({ variable, reason: failure, kept: held !== undefined }, 'the key set cannot be fetched')
      })
      .finally(() => (flight = undefined))
    return flight
  }

  function hold(set: KeySet): void {
    if (failure || !held) log.info({ variable, keys: set.keys.length }, 'the key set is fetched')
    const faults = [...new Set(set.faults.map(({ fault }) => fault))]
    if (faults.length > 0) log.warn({ variable, faults }, 'the key set holds keys that are not used')
    held = { set, at: now() }
    failure = undefined
  }

  function keysFor(token: string): Keys | Promise<Keys> {
    const wanted = hintsOf(token)
    const isKnown = held?.set.keys.some(({ kid }) => fits(wanted.kid, kid)) ?? false
    if (held && isKnown && now() < held.at + freshMs) return pick(wanted)
    const fetched = refresh()
    // while the set cannot be fetched, no request waits for what the old one has
    if (!fetched || (isKnown && failure)) return pick(wanted)
    return fetched.then(() => pick(wanted))
  }

  function pick({ kid: wantedKid, alg }: Hints): Keys {
    const named = held?.set.keys.filter(({ kid }) => fits(wantedKid, kid)) ?? []
    if (!held || (failure && named.length === 0))
      throw new MailerError('keys_unavailable', { reason: failure ?? 'unavailable' })
    return named.filter(({ algorithms }) => algorithms.some((each) => each === alg)).map(({ key }) => key)
  }

  return { keysFor, refresh }
}

/** `nameOf` is the name of an app's set. An app with a set has no other keys. */
export function keysWithSets(
  keysOf: (app?: string) => Keys,
  sets: ReadonlyMap<string, RemoteKeySet>,
  nameOf: (app: string) => string,
): KeysFor {
  if (sets.size === 0) return keysOf
  return (app, token, needsAll = false) => {
    if (app === undefined) return everyKey(token, needsAll)
    const set = sets.get(nameOf(app))
    return set ? set.keysFor(token) : keysOf(app)
  }

  async function everyKey(token: string, needsAll: boolean): Promise<Keys> {
    const found = await Promise.allSettled([...sets.values()].map(async (set) => set.keysFor(token)))
    const lacking = found.find((each) => each.status === 'rejected' && isUnavailable(each.reason))
    if (needsAll && lacking?.status === 'rejected') throw lacking.reason
    return [...keysOf(), ...found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))]
  }
}

const isUnavailable = (error: unknown) => error instanceof MailerError && error.code === 'keys_unavailable'

interface Hints {
  readonly kid: string | undefined
  readonly alg: string
}

/** A token without `kid` may be signed with each key. */
const fits = (wanted: string | undefined, kid: string | undefined) => wanted === undefined || wanted === kid

const setAlgorithms = new Set(['RS256', 'PS256', 'ES256', 'EdDSA'])

/** What chooses among the keys of one set, and nothing else. The verification reads the header again. */
function hintsOf(token: string): Hints {
  let header: unknown
  try {
    header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())
  } catch {
    throw new MailerError('token_malformed', { reason: 'malformed' })
  }
  const { alg, kid }: { alg?: unknown; kid?: unknown } = Object(header)
  if (typeof alg !== 'string' || !setAlgorithms.has(alg))
    throw new MailerError('token_signature', { reason: 'invalid algorithm' })
  if (kid !== undefined && typeof kid !== 'string')
    throw new MailerError('token_malformed', { reason: 'header' })
  return { alg, kid }
}

const maxBytes = 64 * 1024
const accept = 'application/jwk-set+json, application/json'

/** Rejects with a `FetchError`. */
export async function fetchKeySet(url: URL, timeoutMs = 5_000): Promise<KeySet> {
  const set = readKeySet(await fetchDocument(url, { maxBytes, timeoutMs, accept }))
  if (!set) throw new FetchError('body')
  return set
}
