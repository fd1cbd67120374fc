/** Owns the three lines that the service prints on the machine of a developer. */
import type { KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'

/** The address under which this machine reaches a service that listens on `host`. */
export function localUrl(host: string, port: number): string {
  const name = ['0.0.0.0', '::', ''].includes(host) ? 'localhost' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** A command that sends one sample mail, with a token signed now; `jti` makes each a mail of its own. */
export function sampleCommand(url: string, key: KeyObject, now = Date.now()): string {
  const claims = {
    user_email: 'ada@example.com',
    user_name: 'Ada',
    user_aut_key: '7hK2pQ',
    email_link_url: `${url}/inbox?confirmed=`,
    email_link_token: jwt.sign({ uid: 7 }, key, { noTimestamp: true }),
    jti: now.toString(36),
  }
  return `curl ${url}/emailservice/${jwt.sign(claims, key)}`
}

export function banner(url: string, key: KeyObject): string {
  return [
    `jwt-mailer listens on ${url}`,
    `Send a first mail:  ${sampleCommand(url, key)}`,
    `and read it here:   ${url}/inbox  (all mails: ${url}/preview)`,
  ].join('\n')
}
