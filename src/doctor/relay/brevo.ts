/** Owns the examination of Brevo: the key, and whether the sending domains are authenticated. */
import { z } from 'zod'
import type { BrevoRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { apiTrouble, askApi, hostOf } from './relay-api.ts'

const domainsSchema = z.object({
  domains: z.array(z.object({ domain_name: z.string(), authenticated: z.boolean() })),
})

export async function* brevoSteps(
  relay: BrevoRelayConfig,
  signal: AbortSignal,
  senders: readonly string[],
): AsyncGenerator<Finding> {
  const { ok, warn } = about(`relay ${relay.name}`)
  const headers = { 'api-key': relay.apiKey }
  const { status } = await askApi(relay, { path: '/v3/account', headers }, signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  if (status === 401)
    throw new CheckStopped(
      'the key is refused (401)',
      'Put an API key (not an SMTP key) into BREVO_API_KEY, and add our address to the authorised IPs if Brevo asks for it.',
    )
  if (status !== 200) throw apiTrouble(relay, status)
  yield ok('the key is good')
  const answer = await askApi(relay, { path: '/v3/senders/domains', headers }, signal)
  const known = domainsSchema.safeParse(answer.body)
  if (!known.success) return
  for (const sender of senders) {
    const name = sender.slice(sender.lastIndexOf('@') + 1).toLowerCase()
    const isOurs = known.data.domains.some((one) => one.domain_name === name && one.authenticated)
    if (isOurs) yield ok(`Brevo has authenticated ${name}`)
    // a single verified address may send as well
    else
      yield warn(
        `${name} is not authenticated at Brevo`,
        `Authenticate ${name} at Brevo with the records it shows.`,
      )
  }
}
