/** Owns `token --as`: a signed call as another system would make it, as a curl line, for trying an adapter without that system. */
import { createHmac, randomUUID } from 'node:crypto'
import { type AdapterSettings, type System, systems } from '../adapter.ts'
import { adapterVariables, readAdapters } from '../config/adapters.ts'
import { ConfigError } from '../config/config-error.ts'
import { CommandError } from './terminal.ts'

export interface SampleCallOptions {
  readonly as: string
  readonly app: string
  readonly to: string | undefined
  readonly url: string
}

export interface SampleCall {
  readonly url: string
  readonly curl: string
}

/** Throws a `CommandError` that names the flag or the variable that is missing. */
export function sampleCall(options: SampleCallOptions, env: NodeJS.ProcessEnv): SampleCall {
  const { app, to } = options
  const system = systems.find((each) => each === options.as)
  if (!system) throw new CommandError(`--as knows ${systems.join(', ')}`)
  if (!to) throw new CommandError('the recipient is missing: give --to ADDRESS')
  const settings = settingsOf(system, app, env)
  const body = JSON.stringify(bodies[system](to, settings))
  const path = app === 'default' ? `/adapters/${system}` : `/adapters/${system}/${app}`
  const url = options.url.replace(/\/+$/, '') + path
  const secretName = variableOf(system, settings)
  return { url, curl: curlLine(url, body, calls[system](body, settings.secrets[0] ?? ''), secretName) }
}

function settingsOf(system: System, app: string, env: NodeJS.ProcessEnv): AdapterSettings {
  const { secret } = adapterVariables[system]
  try {
    // links over http are for the service to refuse
    const all = readAdapters(env, { localeKey: 'locale', ownTexts: false, allowHttp: true })
    const own = all.filter((each) => each.system === system)
    const found = own.find((each) => each.app === app) ?? own.find((each) => each.app === undefined)
    if (found) return found
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message)
    throw error
  }
  throw new CommandError(`set ${secret} to what the service has`)
}

const variableOf = (system: System, { app }: AdapterSettings) =>
  adapterVariables[system].secret + (app === undefined ? '' : `_${app.toUpperCase()}`)

const bodies: Record<System, (to: string, settings: AdapterSettings) => object> = {
  supabase: (to) => ({
    user: { email: to, user_metadata: {} },
    email_data: {
      email_action_type: 'signup',
      token: '493027',
      token_hash: `sample${randomUUID().replaceAll('-', '')}`,
      redirect_to: '',
    },
  }),
  kratos: (to) => ({
    recipient: to,
    template_type: 'recovery_code_valid',
    template_data: { to, recovery_code: sampleCode(), expires_in_minutes: 60 },
    message_type: 'email',
  }),
  zitadel: (to, { urls: [origin = 'https://login.example.com'] }) => ({
    contextInfo: { eventType: 'user.human.password.code.added', recipientEmailAddress: to },
    templateData: {
      title: 'Reset password',
      subject: 'Reset password',
      greeting: 'Hello,',
      text: 'Use the button to set a new password.',
      url: `${origin}/ui/login/password/init?code=${sampleCode()}`,
      buttonText: 'Reset password',
    },
    args: {},
  }),
  logto: (to) => ({ to, type: 'Test', payload: { code: '000000' } }),
}

/** Another one each time, or the call would be a repetition. */
const sampleCode = () => String(Math.floor(100_000 + Math.random() * 900_000))

type Headers = Readonly<Record<string, string>>

/** The headers of a signature; `undefined` where the secret itself is sent. */
const calls: Record<System, (body: string, secret: string) => Headers | undefined> = {
  supabase(body, secret) {
    const [id, time] = [`msg_${randomUUID()}`, nowS()]
    const key = Buffer.from(secret.slice(secret.indexOf('_') + 1), 'base64')
    const signature = createHmac('sha256', key).update(`${id}.${time}.${body}`).digest('base64')
    return { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': `v1,${signature}` }
  },
  zitadel(body, secret) {
    const time = nowS()
    const signature = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
    return { 'zitadel-signature': `t=${time},v1=${signature}` }
  },
  kratos: () => undefined,
  logto: () => undefined,
}

const nowS = () => String(Math.floor(Date.now() / 1000))

/** A secret goes through a pipe and by its name: the list of processes shows the arguments of curl, a terminal its line. */
function curlLine(url: string, body: string, signed: Headers | undefined, secretName: string): string {
  const pipe = signed ? '' : `printf 'header = "Authorization: Bearer %s"' "$${secretName}" | `
  const headers = Object.entries({ 'Content-Type': 'application/json', ...signed })
  const flags = headers.map(([name, value]) => `-H '${name}: ${value}'`).join(' ')
  const data = body.replaceAll("'", String.raw`'\''`)
  return `${pipe}curl ${signed ? '' : '-K - '}-i ${flags} --data-binary '${data}' ${url}`
}
