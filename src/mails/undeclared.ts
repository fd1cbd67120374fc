/** Owns the advice on claims that a mail does not declare: they are ignored, and in development their sender is told. */
import { type Claims, claimsSchema } from '../contract.ts'
import { nearest } from '../nearest.ts'
import type { MailTemplate } from './catalogue.ts'

const known = new Set([...Object.keys(claimsSchema.shape), 'exp', 'nbf', 'iat', 'iss', 'aud', 'sub'])
const maxNamed = 20

/** `inviterName: not declared; did you mean inviter_name?` for each, from the names alone. */
export function undeclaredClaims({ contract }: MailTemplate, claims: Claims): string[] {
  const declared = contract.map(({ name }) => name)
  const free = Object.keys(claims).filter((name) => !known.has(name) && !declared.includes(name))
  return free.slice(0, maxNamed).map((name) => {
    const meant = nearest(
      name,
      declared.filter((each) => !Object.hasOwn(claims, each)),
    )
    const shown = JSON.stringify(name.slice(0, 64)).slice(1, -1)
    return `${shown}: not declared${meant === undefined ? '' : `; did you mean ${meant}?`}`
  })
}
