/** Owns the explanation of a token: what it says, which secret or public key it is signed with, what the service would answer. Masks what is private. */
import { createSecretKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import jwt from 'jsonwebtoken'
import { alterationOf } from '../config/altered-values.ts'
import { isSecretName } from '../config/secret-names.ts'
import { failureAnswer } from '../contract.ts'
import { invalidClaims, MailerError } from '../errors.ts'
import { verifyToken } from '../token.ts'
import { tokenKey } from '../token-key.ts'
import { publicKeyFor } from './explain-key.ts'
import { CommandError, type CommandIo, type ExitCode } from './terminal.ts'

const masked = new Set([
  'user_email',
  'user_aut_key',
  'user_aut_key_or_otp',
  'email_link',
  'email_link_token',
])
const times = new Set(['iat', 'nbf', 'exp', 'email_link_exp'])

/** `given` is the token, or `-` for standard input. 1 when the service would refuse it, or no secret is set. */
export async function explainToken(
  given: string,
  json: boolean,
  { terminal, env }: Pick<CommandIo, 'terminal' | 'env'>,
): Promise<ExitCode> {
  const token = (given === '-' ? readFileSync(0, 'utf8') : given).trim()
  const decoded = jwt.decode(token, { complete: true })
  if (!decoded || typeof decoded.payload === 'string')
    throw new CommandError('this is no token: three parts with dots between them, the first two JSON')
  const claims = Object.entries(decoded.payload).map(([name, value]) => [name, shown(name, value)] as const)
  const secrets = secretsIn(env)
  const secret = secrets.find(([, each]) => opens(token, each))
  const byKey = secret ? noPublicKey : await publicKeyFor(token, decoded.header, env)
  const signer = secret?.[0] ?? byKey.signer?.name
  const isKeyless = signer === undefined && secrets.length === 0 && byKey.notes.length === 0
  const keys = byKey.signer ? [byKey.signer.key] : secrets.map(([, each]) => tokenKey(each))
  const verdict = isKeyless ? undefined : verdictOn(token, keys, env)
  if (json) {
    const { header } = decoded
    terminal.out(
      JSON.stringify({
        header,
        claims: Object.fromEntries(claims),
        signer: signer ?? null,
        notes: byKey.notes,
        ...verdict,
      }),
    )
  } else {
    terminal.out(`${terminal.paint('bold', 'header')}  ${harmless(JSON.stringify(decoded.header))}`)
    for (const claim of claims) terminal.out(claim.map(harmless).join(': '))
    terminal.out(harmless(signer ? `signed with ${signer}` : signerMissing(token, secrets, byKey.notes)))
    for (const note of byKey.notes) terminal.out(harmless(note))
    if (verdict) terminal.out(terminal.paint(verdict.code === 'ok' ? 'green' : 'red', verdict.says))
  }
  return verdict?.code === 'ok' ? 0 : 1
}

// oxlint-disable-next-line no-control-regex -- this pattern removes control characters
const controls = /[\x00-\x1f\x7f-\x9f]/g

/** Escapes control characters: a token is foreign text and could carry commands for the terminal. */
function harmless(text: string): string {
  return text.replace(controls, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

const noPublicKey = { signer: undefined, notes: [] }

function signerMissing(token: string, secrets: readonly NamedSecret[], notes: readonly string[]): string {
  if (secrets.length === 0 && notes.length === 0)
    return 'not verified: set JWT_MAILER_SECRET, or JWT_MAILER_SECRET_<APP>'
  for (const [name, secret] of secrets) {
    const found = nearMisses.find(({ of }) => opens(token, of(secret)))
    if (found) return `signed with ${name} ${found.as}: the app and the service must have the same characters`
  }
  return `signed with none of the ${notes.length === 0 ? 'secrets' : 'secrets and keys'} in the environment`
}

const bare = (value: string): string => {
  const alteration = alterationOf(value)
  return alteration ? bare(alteration.undo(value)) : value
}

/** What an app may have made of a secret, or what was made of it on its way to the service. */
const nearMisses: readonly { as: string; of: (secret: string) => string | Buffer }[] = [
  { as: 'as it is without the line breaks, white space or quotes around it', of: bare },
  { as: 'and a line break behind it', of: (secret) => `${bare(secret)}\n` },
  { as: 'and a line break behind it', of: (secret) => `${bare(secret)}\r\n` },
  { as: 'in double quotes', of: (secret) => `"${bare(secret)}"` },
  { as: 'in single quotes', of: (secret) => `'${bare(secret)}'` },
  { as: 'decoded from base64', of: (secret) => Buffer.from(bare(secret), 'base64') },
  { as: 'decoded from hexadecimal', of: (secret) => Buffer.from(bare(secret), 'hex') },
  { as: 'encoded in base64', of: (secret) => Buffer.from(bare(secret)).toString('base64') },
]

type NamedSecret = readonly [name: string, secret: string]

/** Each secret of the environment with the name of its variable. */
function secretsIn(env: NodeJS.ProcessEnv): NamedSecret[] {
  return Object.entries(env).flatMap(([name, value]) => (isSecretName(name) && value ? [[name, value]] : []))
}

function opens(token: string, secret: string | Buffer): boolean {
  try {
    const key = typeof secret === 'string' ? tokenKey(secret) : createSecretKey(secret)
    if (key.symmetricKeySize === 0) return false
    jwt.verify(token, key, {
      algorithms: ['HS256'],
      ignoreExpiration: true,
      ignoreNotBefore: true,
    })
    return true
  } catch {
    return false
  }
}

/** What the service would answer from the token alone, before it reads the mail template. */
function verdictOn(token: string, keys: readonly KeyObject[], env: NodeJS.ProcessEnv) {
  try {
    const audience = env['JWT_MAILER_AUDIENCE'] || undefined
    const { faults } = verifyToken(token, keys, Date.now(), audience)
    if (faults.length > 0) throw invalidClaims(faults)
    return { code: 'ok', says: 'good: the service would go on to the mail' }
  } catch (error) {
    if (!(error instanceof MailerError)) throw error
    const { answer } = failureAnswer(error)
    const why = error.reason === 'audience' ? ', because aud does not hold JWT_MAILER_AUDIENCE' : ''
    return { code: answer.code, says: `the service would answer ${answer.code}: ${answer.msg}${why}` }
  }
}

function shown(name: string, value: unknown): string {
  if (times.has(name) && typeof value === 'number') return `${value} (${inWords(value * 1000, Date.now())})`
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (!masked.has(name)) return text
  const at = text.lastIndexOf('@')
  return name === 'user_email' && at > 0
    ? `${text[0]}***${text.slice(at)}`
    : `*** (${text.length} characters)`
}

const units = [
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
] as const

function inWords(time: number, now: number): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return 'no time at all'
  const seconds = Math.round(Math.abs(time - now) / 1000)
  const [size, unit] = units.find(([each]) => seconds >= each) ?? [1, 'second']
  const count = Math.floor(seconds / size)
  const span = `${count} ${unit}${count === 1 ? '' : 's'}`
  return `${date.toISOString().replace('.000', '')}, ${time > now ? `in ${span}` : `${span} ago`}`
}
