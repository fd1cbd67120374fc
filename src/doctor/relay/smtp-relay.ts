/** Owns the examination of one SMTP relay, step by step as a mail would pass through it; nothing is sent. */
import { lookup } from 'node:dns/promises'
import type { TLSSocket } from 'node:tls'
import { within } from '../../timers.ts'
import { about, CheckStopped, codeOf, type Finding, untilStopped } from '../finding.ts'
import { examineCertificate, tlsTrouble } from './certificate.ts'
import { connectTrouble, greetingTrouble, nameTrouble, quoteReply, senderTrouble } from './explain.ts'
import { hostAndPort, type SmtpRelay, todoToBegin, variableOf } from './operator-hints.ts'
import {
  type Connection,
  connectTo,
  type Dialogue,
  dialogueOver,
  encrypt,
  expectReply,
  type WaitLimits,
} from './smtp-dialogue.ts'
import { logIn, type LoginOptions } from './smtp-login.ts'

export interface SmtpRelayOptions extends LoginOptions {
  /** The addresses mails come from. */
  readonly senders: readonly string[]
  readonly signal: AbortSignal
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

  const mechanisms = extensions.get('AUTH')
  if (relay.auth) yield ok(`login accepted (${await logIn(dialogue, options, relay.auth, mechanisms ?? [])})`)
  else if (mechanisms)
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

/** Begins a mail and takes it back by RSET before it has a recipient. */
async function trySender(dialogue: Dialogue, sender: string, relay: SmtpRelay): Promise<void> {
  const reply = await expectReply(dialogue.send(`MAIL FROM:<${sender}>`), 'MAIL FROM')
  if (reply.code !== 250) throw senderTrouble(sender, relay, reply)
  await expectReply(dialogue.send('RSET'), 'RSET')
}
