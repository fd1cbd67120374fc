/** Owns the lines that the service prints on the machine of a developer. */
import type { KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'

/** The address under which this machine reaches a service that listens on `host`. */
export function localUrl(host: string, port: number): string {
  const name = ['0.0.0.0', '::', ''].includes(host) ? 'localhost' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** A mail of the catalogue at hand, and the key its token is signed with. */
export interface FirstMail {
  readonly app: string
  readonly kind: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly key: KeyObject
}

/** A command that sends this mail, with a token signed now; `jti` makes each a mail of its own. */
export function sampleCommand(url: string, { app, kind, claims, key }: FirstMail, now = Date.now()): string {
  const route = `${url}/emailservice${app === 'default' ? '' : `-${app}`}/${kind}`
  return `curl ${route}/${jwt.sign({ ...claims, jti: now.toString(36) }, key)}`
}

export function banner(url: string, command: string, outbox: string): string {
  return [
    `jwt-mailer listens on ${url}`,
    ...(command === '' ? [] : [`Send a first mail:  ${command}`]),
    `and read it here:   ${url}/inbox  (all mails: ${url}/preview)`,
    `The outbox:         ${outbox}`,
  ].join('\n')
}
