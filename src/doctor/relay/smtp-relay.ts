/** Owns the examination of one SMTP relay, in the order in which a mail would meet it; nothing is sent. */
import { createHmac } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import type { TLSSocket } from 'node:tls'
import { examineCertificate, tlsTrouble } from './certificate.ts'
import {
  connectTrouble,
  greetingTrouble,
  loginTrouble,
  nameTrouble,
  quote,
  senderTrouble,
} from './explain.ts'
import { about, Ailment, codeOf, type Finding } from '../finding.ts'
import { beginWith, placeOf, type SmtpRelay, variableOf } from './operator-hints.ts'
import {
  connectTo,
  type Dialogue,
  dialogueOver,
  encrypt,
  type Line,
  type Patience,
  type Reply,
} from './smtp-dialogue.ts'

export interface SmtpRelayOptions {
  readonly relay: SmtpRelay
  /** The addresses mails come from. */
  readonly senders: readonly string[]
  readonly signal: AbortSignal
  readonly stageMs?: number
  readonly clock?: () => number
}

export async function* examineSmtpRelay(options: SmtpRelayOptions): AsyncGenerator<Finding, boolean> {
  const { relay, signal, stageMs = 5000 } = options
  const { bad } = about(`relay ${relay.name}`)
  const lines: Line[] = []
  try {
    yield* walk(options, { signal, stageMs }, lines)
    return true
  } catch (error) {
    if (!(error instanceof Ailment)) throw error
    yield bad(error.message, error.todo)
    return false
  } finally {
    for (const line of lines) line.close()
  }
}

async function* walk(options: SmtpRelayOptions, patience: Patience, lines: Line[]): AsyncGenerator<Finding> {
  const { relay, senders, clock = Date.now } = options
  const { ok, warn } = about(`relay ${relay.name}`)
  const addresses = await addressesOf(relay, patience)
  const line = await connectTo(relay, patience).catch((error: unknown) => {
    throw connectTrouble(relay, codeOf(error), patience.stageMs)
  })
  lines.push(line)
  yield ok(`${placeOf(relay)} (${addresses}) takes connections`)

  let secured = relay.tls === 'implicit' ? await beginWithTls(line, relay, patience) : undefined
  let talk = dialogueOver(line.top, patience)
  await greeted(talk, relay, patience)
  let offers = await offersOf(talk, options)
  if (relay.tls === 'starttls') {
    secured = await startTls(talk, line, relay, offers, patience)
    talk = dialogueOver(line.top, patience)
  }
  // throws before anything confidential is said to somebody we do not know
  yield secured ? examineCertificate(secured, relay, clock()) : ok('no TLS, as asked for with tls=off')
  if (relay.tls === 'starttls') offers = await offersOf(talk, options)

  if (relay.auth) yield ok(`login accepted (${await logIn(talk, relay, relay.auth, offers)})`)
  else if (offers.has('AUTH'))
    yield warn('offers a login, and none is configured', `Write user and password into ${variableOf(relay)}.`)
  for (const sender of senders) {
    await offerSender(talk, sender, relay)
    yield ok(`mail from ${sender} is welcome`)
  }
  await talk.say('QUIT').catch(() => undefined)
}

/** Asked the way the service will ask: of the system, `/etc/hosts` included. */
async function addressesOf({ host }: SmtpRelay, { stageMs }: Patience): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(nameTrouble(host, 'ETIMEDOUT')), stageMs)
  })
  const asked = lookup(host, { all: true }).catch((error: unknown) => {
    throw nameTrouble(host, codeOf(error))
  })
  const found = await Promise.race([asked, late]).finally(() => clearTimeout(timer))
  return found.map(({ address }) => address).join(', ')
}

async function beginWithTls(line: Line, relay: SmtpRelay, patience: Patience): Promise<TLSSocket> {
  try {
    return await encrypt(line, relay.host, patience)
  } catch (error) {
    if (!(await speaksPlainly(relay, patience))) throw tlsTrouble(relay, codeOf(error))
    throw new Ailment(
      `port ${relay.port} begins in plain text and turns to TLS by STARTTLS, but is configured to begin with TLS`,
      beginWith('plain text', relay),
    )
  }
}

async function greeted(talk: Dialogue, relay: SmtpRelay, patience: Patience): Promise<void> {
  const greeting = await talk.hear().catch(async (error: unknown) => {
    const code = codeOf(error)
    if (relay.tls !== 'implicit' && (await speaksTls(relay, patience))) {
      throw new Ailment(
        `port ${relay.port} begins with TLS, but is configured to begin in plain text and turn to TLS by STARTTLS`,
        beginWith('tls', relay),
      )
    }
    throw greetingTrouble(relay, code)
  })
  if (greeting.code !== 220) throw greetingTrouble(relay, quote(greeting))
}

/** Does the port greet without TLS? */
function speaksPlainly(relay: SmtpRelay, patience: Patience): Promise<boolean> {
  return probe(relay, patience, (line) => dialogueOver(line.top, patience).hear())
}

function speaksTls(relay: SmtpRelay, patience: Patience): Promise<boolean> {
  return probe(relay, patience, (line) => encrypt(line, relay.host, patience))
}

async function probe(
  relay: SmtpRelay,
  patience: Patience,
  ask: (line: Line) => Promise<unknown>,
): Promise<boolean> {
  const line = await connectTo(relay, patience).catch(() => undefined)
  try {
    if (line) await ask(line)
    return line !== undefined
  } catch {
    return false
  } finally {
    line?.close()
  }
}

/** The extensions of EHLO with their parameters, in capitals. */
async function offersOf(talk: Dialogue, { senders }: SmtpRelayOptions): Promise<Map<string, string[]>> {
  const domain = senders[0]?.split('@')[1] ?? 'localhost'
  const reply = await answer(talk.say(`EHLO ${domain}`), 'EHLO')
  if (reply.code !== 250)
    throw new Ailment(
      `the relay refuses EHLO ${domain}: ${quote(reply)}`,
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
  talk: Dialogue,
  line: Line,
  relay: SmtpRelay,
  offers: Map<string, string[]>,
  patience: Patience,
): Promise<TLSSocket> {
  if (!offers.has('STARTTLS')) {
    throw new Ailment(
      `the relay does not offer STARTTLS on port ${relay.port}, so passwords and mails would travel in the open`,
      'Use its port 587 or, with smtps://, 465. When it offers STARTTLS elsewhere, something on the way strips it here.',
    )
  }
  const reply = await answer(talk.say('STARTTLS'), 'STARTTLS')
  if (reply.code !== 220)
    throw new Ailment(`the relay refuses STARTTLS: ${quote(reply)}`, 'Ask the operator of the relay why.')
  talk.leave()
  return encrypt(line, relay.host, patience).catch((error: unknown) => {
    throw tlsTrouble(relay, codeOf(error))
  })
}

/** The mechanisms the transport knows, in its order of preference. */
const mechanisms = ['PLAIN', 'LOGIN', 'CRAM-MD5'] as const
type Auth = NonNullable<SmtpRelay['auth']>

/** The mechanism that was taken. */
async function logIn(
  talk: Dialogue,
  relay: SmtpRelay,
  auth: Auth,
  offers: Map<string, string[]>,
): Promise<string> {
  const offered = offers.get('AUTH') ?? []
  const mechanism = mechanisms.find((name) => offered.includes(name))
  if (!mechanism) {
    const what = offered.length > 0 ? `only ${offered.join(', ')}` : 'no login at all'
    throw new Ailment(
      `a login is configured, but the relay offers ${what}`,
      `Use the relay's submission port (587 or 465), or take the login out of ${variableOf(relay)} when it needs none.`,
    )
  }
  const reply = await answer(sayLogin(talk, mechanism, auth), 'AUTH')
  if (reply.code !== 235) throw loginTrouble(variableOf(relay), reply)
  return mechanism
}

async function sayLogin(talk: Dialogue, mechanism: (typeof mechanisms)[number], auth: Auth): Promise<Reply> {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  if (mechanism === 'PLAIN') return talk.say(`AUTH PLAIN ${base64(`\0${auth.user}\0${auth.pass}`)}`)
  const challenge = await talk.say(`AUTH ${mechanism}`)
  if (challenge.code !== 334) return challenge
  if (mechanism === 'CRAM-MD5') {
    const nonce = Buffer.from(challenge.lines[0] ?? '', 'base64')
    return talk.say(base64(`${auth.user} ${createHmac('md5', auth.pass).update(nonce).digest('hex')}`))
  }
  const next = await talk.say(base64(auth.user))
  return next.code === 334 ? talk.say(base64(auth.pass)) : next
}

/** RSET takes it back at once: the relay has heard of a mail and gets none. */
async function offerSender(talk: Dialogue, sender: string, relay: SmtpRelay): Promise<void> {
  const reply = await answer(talk.say(`MAIL FROM:<${sender}>`), 'MAIL FROM')
  if (reply.code !== 250) throw senderTrouble(sender, relay, reply)
  await answer(talk.say('RSET'), 'RSET')
}

async function answer(reply: Promise<Reply>, command: string): Promise<Reply> {
  try {
    return await reply
  } catch (error) {
    const what = codeOf(error) === 'SILENCE' ? 'does not answer' : 'closes the connection at'
    throw new Ailment(`the relay ${what} ${command}`, 'Try again; if it stays so, ask its operator.')
  }
}
