/** Owns the examination of one SMTP relay, step by step as a mail would pass through it; nothing is sent. */
import { createHmac } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import type { TLSSocket } from 'node:tls'
import type { OauthLogin, PasswordLogin } from '../../relay-config.ts'
import { within } from '../../timers.ts'
import { about, CheckStopped, codeOf, type Finding, untilStopped } from '../finding.ts'
import { examineCertificate, tlsTrouble } from './certificate.ts'
import {
  connectTrouble,
  greetingTrouble,
  loginTrouble,
  nameTrouble,
  quoteReply,
  senderTrouble,
  tokenLoginTrouble,
} from './explain.ts'
import { hostAndPort, type SmtpRelay, todoToBegin, variableOf } from './operator-hints.ts'
import {
  type Connection,
  connectTo,
  type Dialogue,
  dialogueOver,
  encrypt,
  type Reply,
  type WaitLimits,
} from './smtp-dialogue.ts'

export interface SmtpRelayOptions {
  readonly relay: SmtpRelay
  /** The addresses mails come from. */
  readonly senders: readonly string[]
  readonly signal: AbortSignal
  /** The argument of AUTH XOAUTH2, with a new access token. Rejects with a `CheckStopped`. */
  readonly answerXoauth2: (login: OauthLogin) => Promise<string>
  readonly stageMs?: number
  readonly clock?: () => number
}

/** Returns whether the relay would take a mail. */
export async function* examineSmtpRelay(options: SmtpRelayOptions): AsyncGenerator<Finding, boolean> {
  const { relay, signal, stageMs = 5000 } = options
  const connections: Connection[] = []
  try {
    const steps = examineSteps(options, { signal, stageMs }, connections)
    return yield* untilStopped(`relay ${relay.name}`, steps)
  } finally {
    for (const connection of connections) connection.close()
  }
}

/** `connections` takes what the caller has to close. */
async function* examineSteps(
  options: SmtpRelayOptions,
  limits: WaitLimits,
  connections: Connection[],
): AsyncGenerator<Finding> {
  const { relay, senders, clock = Date.now } = options
  const { ok, warn } = about(`relay ${relay.name}`)
  const addresses = await lookUpAddresses(relay, limits)
  const connection = await connectTo(relay, limits).catch((error: unknown) => {
    throw connectTrouble(relay, codeOf(error), limits.stageMs)
  })
  connections.push(connection)
  yield ok(`${hostAndPort(relay)} (${addresses}) takes connections`)

  let secured = relay.tls === 'implicit' ? await beginWithTls(connection, relay, limits) : undefined
  let dialogue = dialogueOver(connection.socket, limits)
  await expectGreeting(dialogue, relay, limits)
  let extensions = await readExtensions(dialogue, options)
  if (relay.tls === 'starttls') {
    secured = await startTls(dialogue, connection, relay, extensions, limits)
    dialogue = dialogueOver(connection.socket, limits)
  }
  // throws before anything confidential is sent over a connection with a bad certificate
  yield secured ? examineCertificate(secured, relay, clock()) : ok('no TLS, as asked for with tls=off')
  if (relay.tls === 'starttls') extensions = await readExtensions(dialogue, options)

  if (relay.auth) yield ok(`login accepted (${await logIn(dialogue, options, relay.auth, extensions)})`)
  else if (extensions.has('AUTH'))
    yield warn('offers a login, and none is configured', `Write user and password into ${variableOf(relay)}.`)
  for (const sender of senders) {
    await trySender(dialogue, sender, relay)
    yield ok(`takes mail from ${sender}`)
  }
  await dialogue.send('QUIT').catch(() => undefined)
}

/** Asks the system, `/etc/hosts` included, because the service does. */
async function lookUpAddresses({ host }: SmtpRelay, { stageMs }: WaitLimits): Promise<string> {
  const found = await within(stageMs, lookup(host, { all: true })).catch((error: unknown) => {
    throw nameTrouble(host, codeOf(error))
  })
  if (!found) throw nameTrouble(host, 'ETIMEDOUT')
  return found.map(({ address }) => address).join(', ')
}

async function beginWithTls(
  connection: Connection,
  relay: SmtpRelay,
  limits: WaitLimits,
): Promise<TLSSocket> {
  try {
    return await encrypt(connection, relay.host, limits)
  } catch (error) {
    if (!(await greetsInPlainText(relay, limits))) throw tlsTrouble(relay, codeOf(error))
    throw new CheckStopped(
      `port ${relay.port} begins in plain text and turns to TLS by STARTTLS, but is configured to begin with TLS`,
      todoToBegin('plain text', relay),
    )
  }
}

async function expectGreeting(dialogue: Dialogue, relay: SmtpRelay, limits: WaitLimits): Promise<void> {
  const greeting = await dialogue.readReply().catch(async (error: unknown) => {
    const code = codeOf(error)
    if (relay.tls !== 'implicit' && (await answersTls(relay, limits))) {
      throw new CheckStopped(
        `port ${relay.port} begins with TLS, but is configured to begin in plain text and turn to TLS by STARTTLS`,
        todoToBegin('tls', relay),
      )
    }
    throw greetingTrouble(relay, code)
  })
  if (greeting.code !== 220) throw greetingTrouble(relay, quoteReply(greeting))
}

function greetsInPlainText(relay: SmtpRelay, limits: WaitLimits): Promise<boolean> {
  return succeedsOverConnection(relay, limits, ({ socket }) => dialogueOver(socket, limits).readReply())
}

function answersTls(relay: SmtpRelay, limits: WaitLimits): Promise<boolean> {
  return succeedsOverConnection(relay, limits, (connection) => encrypt(connection, relay.host, limits))
}

/** Tries `ask` over a new connection. */
async function succeedsOverConnection(
  relay: SmtpRelay,
  limits: WaitLimits,
  ask: (connection: Connection) => Promise<unknown>,
): Promise<boolean> {
  const connection = await connectTo(relay, limits).catch(() => undefined)
  try {
    if (connection) await ask(connection)
    return connection !== undefined
  } catch {
    return false
  } finally {
    connection?.close()
  }
}

type Extensions = ReadonlyMap<string, readonly string[]>

/** The extensions that EHLO lists, with their parameters, in capitals. */
async function readExtensions(dialogue: Dialogue, { senders }: SmtpRelayOptions): Promise<Extensions> {
  const domain = senders[0]?.split('@')[1] ?? 'localhost'
  const reply = await expectReply(dialogue.send(`EHLO ${domain}`), 'EHLO')
  if (reply.code !== 250)
    throw new CheckStopped(
      `the relay refuses EHLO ${domain}: ${quoteReply(reply)}`,
      'Ask the operator of the relay why.',
    )
  return new Map(
    reply.lines.slice(1).map((line) => {
      const [name = '', ...parameters] = line
        .toUpperCase()
        .replace(/^AUTH=/, 'AUTH ')
        .split(/\s+/)
      return [name, parameters]
    }),
  )
}

async function startTls(
  dialogue: Dialogue,
  connection: Connection,
  relay: SmtpRelay,
  extensions: Extensions,
  limits: WaitLimits,
): Promise<TLSSocket> {
  if (!extensions.has('STARTTLS')) {
    throw new CheckStopped(
      `the relay does not offer STARTTLS on port ${relay.port}, so passwords and mails would travel unencrypted`,
      'Use its port 587 or, with smtps://, 465. When it offers STARTTLS elsewhere, something on the way strips it here.',
    )
  }
  const reply = await expectReply(dialogue.send('STARTTLS'), 'STARTTLS')
  if (reply.code !== 220)
    throw new CheckStopped(
      `the relay refuses STARTTLS: ${quoteReply(reply)}`,
      'Ask the operator of the relay why.',
    )
  dialogue.detach()
  return encrypt(connection, relay.host, limits).catch((error: unknown) => {
    throw tlsTrouble(relay, codeOf(error))
  })
}

/** The mechanisms of a password that the transport knows, in its order of preference. */
const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5'] as const
type Mechanism = (typeof mechanisms)[number]
type Auth = NonNullable<SmtpRelay['auth']>

/** Returns the mechanism that the relay accepted. */
async function logIn(
  dialogue: Dialogue,
  { relay, answerXoauth2 }: SmtpRelayOptions,
  auth: Auth,
  extensions: Extensions,
): Promise<Mechanism | 'XOAUTH2'> {
  const offered = extensions.get('AUTH') ?? []
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

/** Begins a mail and takes it back by RSET before it has a recipient. */
async function trySender(dialogue: Dialogue, sender: string, relay: SmtpRelay): Promise<void> {
  const reply = await expectReply(dialogue.send(`MAIL FROM:<${sender}>`), 'MAIL FROM')
  if (reply.code !== 250) throw senderTrouble(sender, relay, reply)
  await expectReply(dialogue.send('RSET'), 'RSET')
}

async function expectReply(reply: Promise<Reply>, command: string): Promise<Reply> {
  try {
    return await reply
  } catch (error) {
    const what = codeOf(error) === 'SILENCE' ? 'does not answer' : 'closes the connection at'
    throw new CheckStopped(`the relay ${what} ${command}`, 'Try again; if it stays so, ask its operator.')
  }
}
