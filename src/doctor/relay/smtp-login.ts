/** Owns the login of an SMTP relay: by the mechanisms that the transport knows, and what each refusal means. */
import { createHmac } from 'node:crypto'
import type { OauthLogin, PasswordLogin } from '../../relay-config.ts'
import { CheckStopped } from '../finding.ts'
import { loginTrouble, tokenLoginTrouble } from './explain.ts'
import { type SmtpRelay, variableOf } from './operator-hints.ts'
import { type Dialogue, expectReply, type Reply } from './smtp-dialogue.ts'

/** The mechanisms of a password that the transport knows, in its order of preference. */
const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5'] as const
type Mechanism = (typeof mechanisms)[number]
type Auth = NonNullable<SmtpRelay['auth']>

export interface LoginOptions {
  readonly relay: SmtpRelay
  /** The argument of AUTH XOAUTH2, with a new access token. Rejects with a `CheckStopped`. */
  readonly answerXoauth2: (login: OauthLogin) => Promise<string>
}

/** Returns the mechanism that the relay accepted, of those that it offers. */
export async function logIn(
  dialogue: Dialogue,
  { relay, answerXoauth2 }: LoginOptions,
  auth: Auth,
  offered: readonly string[],
): Promise<Mechanism | 'XOAUTH2'> {
  if ('oauth' in auth) {
    if (!offered.includes('XOAUTH2')) throw notOffered('a login by XOAUTH2', offered, relay)
    const answer = await answerXoauth2(auth)
    const reply = await expectReply(sendToken(dialogue, answer), 'AUTH')
    if (reply.code !== 235) throw tokenLoginTrouble(variableOf(relay), reply)
    return 'XOAUTH2'
  }
  const mechanism = mechanisms.find((name) => offered.includes(name))
  if (!mechanism) throw notOffered('a login', offered, relay)
  const reply = await expectReply(sendLogin(dialogue, mechanism, auth), 'AUTH')
  if (reply.code !== 235) throw loginTrouble(variableOf(relay), reply)
  return mechanism
}

function notOffered(login: string, offered: readonly string[], relay: SmtpRelay): CheckStopped {
  const what = offered.length > 0 ? `only ${offered.join(', ')}` : 'no login at all'
  return new CheckStopped(
    `${login} is configured, but the relay offers ${what}`,
    `Use the relay's submission port (587 or 465), or take the login out of ${variableOf(relay)} when the relay needs none.`,
  )
}

/** The challenge says why, the reply to an empty answer that it is a refusal. */
async function sendToken(dialogue: Dialogue, answer: string): Promise<Reply> {
  const reply = await dialogue.send(`AUTH XOAUTH2 ${answer}`)
  return reply.code === 334 ? dialogue.send('') : reply
}

async function sendLogin(dialogue: Dialogue, mechanism: Mechanism, auth: PasswordLogin): Promise<Reply> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  if (mechanism === 'PLAIN') return dialogue.send(`AUTH PLAIN ${base64(`\0${auth.user}\0${auth.pass}`)}`)
  const challenge = await dialogue.send(`AUTH ${mechanism}`)
  if (challenge.code !== 334) return challenge
  if (mechanism === 'CRAM-MD5') {
    const nonce = Buffer.from(challenge.lines[0] ?? '', 'base64')
    return dialogue.send(base64(`${auth.user} ${createHmac('md5', auth.pass).update(nonce).digest('hex')}`))
  }
  const next = await dialogue.send(base64(auth.user))
  return next.code === 334 ? dialogue.send(base64(auth.pass)) : next
}
