/** Owns `SMTP_OAUTH_…`: where the access tokens of SMTP relays come from, and what they are asked for with. */
import { createPrivateKey } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { z } from 'zod'
import type { OauthConfig } from '../relay-config.ts'
import { ConfigError } from './config-error.ts'
import type { Environment } from './environment.ts'

export type OauthVariables = Pick<
  Environment,
  | 'SMTP_OAUTH_TOKEN_URL'
  | 'SMTP_OAUTH_CLIENT_ID'
  | 'SMTP_OAUTH_CLIENT_SECRET'
  | 'SMTP_OAUTH_SCOPE'
  | 'SMTP_OAUTH_SERVICE_ACCOUNT'
>
type Variable = keyof OauthVariables

const microsoftScope = 'https://outlook.office365.com/.default'
const googleScope = 'https://mail.google.com/'
const variables = [
  'SMTP_OAUTH_SERVICE_ACCOUNT',
  'SMTP_OAUTH_TOKEN_URL',
  'SMTP_OAUTH_CLIENT_ID',
  'SMTP_OAUTH_CLIENT_SECRET',
  'SMTP_OAUTH_SCOPE',
] as const satisfies Variable[]

/** What is wanted by a relay whose URL says `auth=xoauth2`. */
export function readOauth(values: OauthVariables): OauthConfig {
  const { SMTP_OAUTH_SERVICE_ACCOUNT: account } = values
  if (account === undefined) return readClient(values)
  const other = (['SMTP_OAUTH_CLIENT_ID', 'SMTP_OAUTH_CLIENT_SECRET', 'SMTP_OAUTH_TOKEN_URL'] as const).find(
    (variable) => values[variable] !== undefined,
  )
  if (other === undefined) return readAccount(account, scopeIn(values, googleScope))
  throw new ConfigError({
    variable: other,
    says: 'is set beside SMTP_OAUTH_SERVICE_ACCOUNT',
    todo: 'A service account is for Google, SMTP_OAUTH_TOKEN_URL, _CLIENT_ID and _CLIENT_SECRET for Microsoft: remove one of them.',
  })
}

/** The first of the variables that is set. */
export function oauthVariableIn(values: OauthVariables): Variable | undefined {
  return variables.find((variable) => values[variable] !== undefined)
}

function readClient(values: OauthVariables): OauthConfig {
  const tokenUrl = needed(values, 'SMTP_OAUTH_TOKEN_URL')
  if (!isTokenUrl(tokenUrl))
    throw new ConfigError({
      variable: 'SMTP_OAUTH_TOKEN_URL',
      says: 'must look like https://login.microsoftonline.com/<tenant>/oauth2/v2.0/token, always https but to this machine',
    })
  return {
    grant: 'client_credentials',
    tokenUrl,
    clientId: needed(values, 'SMTP_OAUTH_CLIENT_ID'),
    clientSecret: needed(values, 'SMTP_OAUTH_CLIENT_SECRET'),
    scope: scopeIn(values, microsoftScope),
  }
}

function needed(values: OauthVariables, variable: Variable): string {
  const value = values[variable]
  if (value === undefined)
    throw new ConfigError({
      variable,
      says: 'is missing, and an SMTP_URL says auth=xoauth2',
      todo: 'Set SMTP_OAUTH_TOKEN_URL, SMTP_OAUTH_CLIENT_ID and SMTP_OAUTH_CLIENT_SECRET, or SMTP_OAUTH_SERVICE_ACCOUNT.',
    })
  if (/^[\x21-\x7e]{1,1000}$/.test(value)) return value
  throw new ConfigError({ variable, says: 'must be the bare value, without spaces or quotes around it' })
}

/** Scopes stand side by side with single spaces (RFC 6749 3.3). */
function scopeIn({ SMTP_OAUTH_SCOPE: scope }: OauthVariables, usual: string): string {
  if (scope === undefined) return usual
  if (/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(scope) && scope.length <= 1_000) return scope
  throw new ConfigError({ variable: 'SMTP_OAUTH_SCOPE', says: `must look like ${usual}` })
}

/** Secrets travel there. */
function isTokenUrl(text: string): boolean {
  const url = URL.parse(text)
  if (!url || url.username !== '' || url.password !== '' || url.hash !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

export const isLoopback = (name: string) =>
  name === 'localhost' || name === '[::1]' || (isIPv4(name) && name.startsWith('127.'))

/** As Google's console writes it. */
const accountSchema = z.object({
  client_email: z.string().min(1).max(320),
  private_key: z.string().refine(isRsaKey),
  private_key_id: z.string().max(200).optional(),
  token_uri: z.string().refine(isTokenUrl).default('https://oauth2.googleapis.com/token'),
})

function readAccount(text: string, scope: string): OauthConfig {
  const account = accountSchema.safeParse(jsonIn(text))
  if (!account.success) {
    const field = account.error.issues[0]?.path.join('.')
    throw new ConfigError({
      variable: 'SMTP_OAUTH_SERVICE_ACCOUNT',
      says: `must be the JSON of a service account's key${field ? `, and its ${field} is none` : ''}`,
      todo: 'Make a key of the type JSON in the Google Cloud console and paste the whole file.',
    })
  }
  const { client_email: issuer, private_key: privateKey, private_key_id: keyId, token_uri } = account.data
  return { grant: 'jwt_bearer', tokenUrl: token_uri, issuer, keyId, privateKey, scope }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isRsaKey(pem: string): boolean {
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(pem)
    return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
  } catch {
    return false
  }
}
