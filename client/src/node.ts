/**
 * `jwt-mailer/client`: the same for Node alone, where `mintToken` and `linkToken.sign` give their token at once and not as
 * a promise. Programs that were written for it go on working; new ones install `jwt-mailer-client`.
 */
import { createHmac } from 'node:crypto'
import {
  checkLength,
  linkClaims,
  linkToken as portable,
  type LinkTokenOptions,
  secretsOf,
} from './link-token.ts'
import { mailClaims, type MintOptions } from './mint.ts'
import { checkSecret, signingInput } from './sign.ts'

export * from './index.ts'

function signAtOnce(secret: string, claims: object): string {
  checkSecret(secret)
  const signed = signingInput({ alg: 'HS256', typ: 'JWT' }, claims)
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** The token for one mail: HS256, with `jti`, `iat` and `exp`. Throws a `TypeError` for what only a programmer can mend. */
export function mintToken({ secret, ...mail }: MintOptions & { readonly secret: string }): string {
  return signAtOnce(secret, mailClaims(mail))
}

function sign({ secret, ...options }: LinkTokenOptions): string {
  const [first = ''] = secretsOf(secret)
  return checkLength(signAtOnce(first, linkClaims(options)))
}

/** `sign` makes the token of a link; `verify` says what a link that came back is worth. */
export const linkToken = { sign, verify: portable.verify } as const
