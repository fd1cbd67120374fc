/** Owns the examination of Mailgun: key and region, and the state of the sending domain. */
import { z } from 'zod'
import type { MailgunRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { apiTrouble, askApi, hostOf } from './relay-api.ts'

const domainSchema = z.object({ domain: z.object({ state: z.string(), type: z.string().optional() }) })

export async function* mailgunSteps(relay: MailgunRelayConfig, signal: AbortSignal): AsyncGenerator<Finding> {
  const { ok, warn, bad } = about(`relay ${relay.name}`)
  const { domain, apiKey } = relay
  const headers = { authorization: `Basic ${Buffer.from(`api:${apiKey}`).toString('base64')}` }
  // a mail without recipient and text is refused, and nothing else may be asked with a sending key
  const path = `/v3/${domain}/messages.mime`
  const { status } = await askApi(relay, { path, method: 'POST', headers }, signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  if (status !== 400) throw keyTrouble(relay, status)
  yield ok(`the key may send for ${domain}`)
  const answer = await askApi(relay, { path: `/v4/domains/${domain}`, headers }, signal)
  const known = domainSchema.safeParse(answer.body)
  // a sending key may not ask
  if (answer.status !== 200 || !known.success) return
  const { state, type } = known.data.domain
  if (state === 'active') yield ok(`the domain ${domain} is verified`)
  else
    yield bad(
      `the domain ${domain} is ${state === 'disabled' ? 'disabled' : 'not verified'}`,
      'Open the domain at Mailgun and follow what it says there.',
    )
  if (type === 'sandbox')
    yield warn(
      `${domain} is a sandbox: it sends to authorized recipients only`,
      'Add a domain of your own at Mailgun.',
    )
}

function keyTrouble(relay: MailgunRelayConfig, status: number): CheckStopped {
  if (status === 401 || status === 403)
    return new CheckStopped(
      `the key is wrong, or not for this domain (${status})`,
      'Put an API key or a sending key of the domain into MAILGUN_API_KEY.',
    )
  if (status === 404)
    return new CheckStopped(
      `Mailgun does not know the domain ${relay.domain} here (404)`,
      'Check MAILGUN_DOMAIN, and the region: domains in the EU need MAILGUN_API_URL=https://api.eu.mailgun.net.',
    )
  return apiTrouble(relay, status)
}
