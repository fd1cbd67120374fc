/** Owns the relays by HTTPS in the configuration: which variables describe each of them, and how they are written. */
import { isMailDomain } from '../address.ts'
import type {
  BrevoRelayConfig,
  MailgunRelayConfig,
  PostmarkRelayConfig,
  ResendRelayConfig,
  SendgridRelayConfig,
  SesRelayConfig,
} from '../relay-config.ts'
import { ConfigError } from './config-error.ts'
import type { Environment } from './environment.ts'

export type ApiVariables = Pick<
  Environment,
  | 'SENDGRID_API_KEY'
  | 'SENDGRID_API_URL'
  | 'SES_REGION'
  | 'SES_CONFIGURATION_SET'
  | 'SES_API_URL'
  | 'AWS_ACCESS_KEY_ID'
  | 'AWS_SECRET_ACCESS_KEY'
  | 'AWS_SESSION_TOKEN'
  | 'POSTMARK_SERVER_TOKEN'
  | 'POSTMARK_MESSAGE_STREAM'
  | 'POSTMARK_API_URL'
  | 'MAILGUN_API_KEY'
  | 'MAILGUN_DOMAIN'
  | 'MAILGUN_API_URL'
  | 'RESEND_API_KEY'
  | 'RESEND_API_URL'
  | 'BREVO_API_KEY'
  | 'BREVO_API_URL'
  | 'RELAY_CONNECTIONS'
>
type Variable = keyof ApiVariables
type AddressVariable = Extract<Variable, `${string}_API_URL`>

export function readSendgrid(values: ApiVariables): SendgridRelayConfig | undefined {
  if (!isConfigured(values, 'SENDGRID_API_KEY', ['SENDGRID_API_URL'])) return undefined
  return {
    ...placeOf('sendgrid', values, 'SENDGRID_API_URL', 'https://api.sendgrid.com'),
    apiKey: secretIn(values, 'SENDGRID_API_KEY'),
  }
}

/** Only SES_REGION says that SES is wanted: AWS_… are in many environments for other reasons. */
export function readSes(values: ApiVariables): SesRelayConfig | undefined {
  if (!isConfigured(values, 'SES_REGION', ['SES_CONFIGURATION_SET', 'SES_API_URL'])) return undefined
  const region = wordIn(
    values,
    'SES_REGION',
    /^[a-z]{2}(?:-[a-z]+)+-\d$/,
    'must be a region such as eu-central-1',
  )
  return {
    ...placeOf('ses', values, 'SES_API_URL', `https://email.${region}.amazonaws.com`),
    region,
    credentials: {
      accessKeyId: secretIn(values, 'AWS_ACCESS_KEY_ID', 'SES_REGION'),
      secretAccessKey: secretIn(values, 'AWS_SECRET_ACCESS_KEY', 'SES_REGION'),
      sessionToken: values.AWS_SESSION_TOKEN && secretIn(values, 'AWS_SESSION_TOKEN'),
    },
    configurationSet:
      values.SES_CONFIGURATION_SET &&
      wordIn(values, 'SES_CONFIGURATION_SET', /^[\w-]{1,64}$/, 'must be the name of a configuration set'),
  }
}

export function readPostmark(values: ApiVariables): PostmarkRelayConfig | undefined {
  const others = ['POSTMARK_MESSAGE_STREAM', 'POSTMARK_API_URL'] as const
  if (!isConfigured(values, 'POSTMARK_SERVER_TOKEN', others)) return undefined
  const { POSTMARK_MESSAGE_STREAM: messageStream = 'outbound' } = values
  const says = 'must be the id of a message stream such as outbound'
  return {
    ...placeOf('postmark', values, 'POSTMARK_API_URL', 'https://api.postmarkapp.com'),
    serverToken: secretIn(values, 'POSTMARK_SERVER_TOKEN'),
    messageStream: wordIn(
      { POSTMARK_MESSAGE_STREAM: messageStream },
      'POSTMARK_MESSAGE_STREAM',
      /^[\w-]{1,50}$/,
      says,
    ),
  }
}

export function readMailgun(values: ApiVariables): MailgunRelayConfig | undefined {
  if (!isConfigured(values, 'MAILGUN_API_KEY', ['MAILGUN_DOMAIN', 'MAILGUN_API_URL'])) return undefined
  const { MAILGUN_DOMAIN: domain = '' } = values
  if (!isMailDomain(domain)) {
    const says =
      domain === '' ? 'is missing, and MAILGUN_API_KEY is set' : 'must be a domain such as mg.example.com'
    throw new ConfigError({
      variable: 'MAILGUN_DOMAIN',
      says,
      todo: 'Write the sending domain as Mailgun shows it.',
    })
  }
  return {
    ...placeOf('mailgun', values, 'MAILGUN_API_URL', 'https://api.mailgun.net'),
    apiKey: secretIn(values, 'MAILGUN_API_KEY'),
    domain,
  }
}

export function readResend(values: ApiVariables): ResendRelayConfig | undefined {
  if (!isConfigured(values, 'RESEND_API_KEY', ['RESEND_API_URL'])) return undefined
  return {
    ...placeOf('resend', values, 'RESEND_API_URL', 'https://api.resend.com'),
    apiKey: secretIn(values, 'RESEND_API_KEY'),
  }
}

export function readBrevo(values: ApiVariables): BrevoRelayConfig | undefined {
  if (!isConfigured(values, 'BREVO_API_KEY', ['BREVO_API_URL'])) return undefined
  return {
    ...placeOf('brevo', values, 'BREVO_API_URL', 'https://api.brevo.com'),
    apiKey: secretIn(values, 'BREVO_API_KEY'),
  }
}

/** `setBy` says that the relay is wanted; one of the others without it is a slip. */
function isConfigured(values: ApiVariables, setBy: Variable, others: readonly Variable[]): boolean {
  if (values[setBy] !== undefined) return true
  const lone = others.find((variable) => values[variable] !== undefined)
  if (lone === undefined) return false
  throw new ConfigError({
    variable: setBy,
    says: `is missing, and ${lone} is set`,
    todo: 'Set both, or none.',
  })
}

/** What is sent in a header. `neededBy`: the variable that makes this one necessary. */
function secretIn(values: ApiVariables, variable: Variable, neededBy?: Variable): string {
  const value = values[variable]
  if (value === undefined) {
    const says = `is missing, and ${neededBy} is set`
    throw new ConfigError({ variable, says, todo: 'Set both, or none.' })
  }
  if (typeof value === 'string' && /^[\x21-\x7e]{1,4000}$/.test(value)) return value
  throw new ConfigError({ variable, says: 'must be the key alone, without spaces or quotes around it' })
}

function wordIn(values: Partial<ApiVariables>, variable: Variable, pattern: RegExp, says: string): string {
  const value = values[variable]
  if (typeof value === 'string' && pattern.test(value)) return value
  throw new ConfigError({ variable, says })
}

function placeOf<Name extends string>(
  name: Name,
  values: ApiVariables,
  variable: AddressVariable,
  usual: string,
) {
  return {
    kind: name,
    name,
    baseUrl: addressIn(values, variable, usual),
    connections: values.RELAY_CONNECTIONS,
  }
}

/** Scheme and host alone: the rest of an address belongs to the API. SendGrid's may be that of a gateway of your own. */
function addressIn(values: ApiVariables, variable: AddressVariable, usual: string): string {
  const url = URL.parse(values[variable] ?? usual)
  const isPlain = url && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  const hasPath = url?.pathname !== '/' && variable !== 'SENDGRID_API_URL'
  if (url?.protocol === 'https:' && isPlain && !hasPath) return url.href.replace(/\/+$/, '')
  throw new ConfigError({ variable, says: `must look like ${usual}, always https` })
}
