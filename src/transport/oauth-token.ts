/**
 * Owns the access tokens with which a relay is logged in to by XOAUTH2: how one is asked for, how long it is kept, and
 * when it is renewed. All connections of a relay share one.
 *
 * Client credentials (RFC 6749 4.4) are what Microsoft 365 takes, the JWT bearer grant (RFC 7523) is what Google takes
 * from a service account.
 */
import type { IncomingMessage } from 'node:http'
import { request as requestByHttps } from 'node:https'
import jwt from 'jsonwebtoken'
import { z } from 'zod'
import { type SystemCode, systemCodeOf } from '../message.ts'
import type { OauthConfig } from '../relay-config.ts'
import { readBody } from './api-answer.ts'

export interface TokenSource {
  /** A token that should be good for some time yet. Rejects with an `OauthError`. */
  readonly current: () => Promise<string>
  /** Another token than this one, which the relay has refused. */
  readonly renew: (refused: string) => Promise<string>
}

/** No token. Its fields are named like those of nodemailer's errors, through which it passes. */
export class OauthError extends Error {
  override readonly name = 'OauthError'
  /** The HTTP status of the token endpoint, when it answered. Its text is never kept. */
  readonly responseCode: number | undefined
  readonly originalCode: SystemCode | undefined
  constructor(responseCode: number | undefined, cause?: SystemCode) {
    super('no access token')
    this.responseCode = responseCode
    this.originalCode = cause
  }
}

export interface TokenTimes {
  readonly now?: () => number
  /** For the whole answer; a connection to the relay has 10 s to be logged in. */
  readonly answerMs?: number
}

interface Held {
  readonly token: string
  readonly renewAt: number
  readonly goodUntil: number
}

/** RFC 6749 5.1. The bound keeps the line of AUTH within the 12,288 octets of RFC 4954. */
const answerSchema = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]{1,8000}$/),
  expires_in: z.coerce.number().min(1).max(1e9).default(300),
})

const mostLifeMs = 24 * 3_600_000
/** After a renewal that failed, while the old token is still good. */
const pauseMs = 30_000
/** Where the clocks differ, an assertion must not be of the future. */
const skewSeconds = 30

export function tokenSource(config: OauthConfig, user: string, times: TokenTimes = {}): TokenSource {
  const { now = () => performance.now(), answerMs = 4_000 } = times
  let held: Held | undefined
  let flight: Promise<string> | undefined
  let pausedUntil = -Infinity

  /** One request at a time, whoever waits for it. */
  function fetchToken(): Promise<string> {
    flight ??= askForToken(config, user, answerMs)
      .then(({ token, lifeMs }) => {
        const at = now()
        held = { token, renewAt: at + lifeMs * 0.75, goodUntil: at + lifeMs * 0.95 }
        return token
      })
      .finally(() => (flight = undefined))
    return flight
  }

  function current(): Promise<string> {
    const at = now()
    if (!held || at >= held.goodUntil) return fetchToken()
    if (at >= held.renewAt && at >= pausedUntil) fetchToken().catch(() => (pausedUntil = now() + pauseMs))
    return Promise.resolve(held.token)
  }

  function renew(refused: string): Promise<string> {
    // another connection may have renewed it meanwhile
    if (held?.token === refused) held = undefined
    return current()
  }

  return { current, renew }
}

async function askForToken(
  config: OauthConfig,
  user: string,
  answerMs: number,
): Promise<{ token: string; lifeMs: number }> {
  const { status, body } = await post(config.tokenUrl, formOf(config, user).toString(), answerMs)
  const answer = answerSchema.safeParse(body)
  if (status !== 200 || !answer.success) throw new OauthError(status)
  const { access_token: token, expires_in: seconds } = answer.data
  return { token, lifeMs: Math.min(seconds * 1_000, mostLifeMs) }
}

function formOf(config: OauthConfig, user: string): URLSearchParams {
  const { tokenUrl, scope } = config
  if (config.grant === 'client_credentials') {
    const { clientId, clientSecret } = config
    return new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
      scope,
    })
  }
  const { issuer, keyId, privateKey } = config
  const iat = Math.floor(Date.now() / 1_000) - skewSeconds
  const claims = { iss: issuer, sub: user, scope, aud: tokenUrl, iat, exp: iat + 600 }
  const assertion = jwt.sign(claims, privateKey, {
    algorithm: 'RS256',
    ...(keyId !== undefined && { keyid: keyId }),
  })
  return new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion })
}

/** node:https and not fetch, which would load 14 MB, as an import of node:http would. It follows no redirect, so no secret goes anywhere else. */
async function post(url: string, form: string, answerMs: number): Promise<{ status: number; body: unknown }> {
  const request = url.startsWith('https:') ? requestByHttps : process.getBuiltinModule('node:http').request
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers = {
    'user-agent': 'jwt-mailer',
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': Buffer.byteLength(form),
  }
  const late = AbortSignal.timeout(answerMs)
  const options = { method: 'POST', agent: false, signal: late, headers }
  const call = request(url, options, resolve)
  try {
    call.on('error', reject).end(form)
    const answer = await promise
    const { statusCode: status = 0 } = answer
    return { status, body: status === 200 ? await readBody(answer) : undefined }
  } catch (error) {
    throw new OauthError(undefined, late.aborted ? 'ETIMEDOUT' : systemCodeOf(error))
  } finally {
    call.destroy()
  }
}

/** How XOAUTH2 writes it: the argument of the command AUTH. */
export function xoauth2(user: string, token: string): string {
  return Buffer.from(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64')
}
