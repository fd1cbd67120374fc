/** Owns the examination of Resend: the key, and whether the sending domains are verified and leave links alone. */
import { z } from 'zod'
import type { ResendRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { apiTrouble, askApi, hostOf } from './relay-api.ts'

const domainsSchema = z.object({
  data: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      click_tracking: z.boolean().optional(),
      open_tracking: z.boolean().optional(),
    }),
  ),
})
const errorSchema = z.object({ name: z.string() })

export async function* resendSteps(
  relay: ResendRelayConfig,
  signal: AbortSignal,
  senders: readonly string[],
): AsyncGenerator<Finding> {
  const { ok, warn, bad } = about(`relay ${relay.name}`)
  const headers = { authorization: `Bearer ${relay.apiKey}` }
  const { status, body } = await askApi(relay, { path: '/domains', headers }, signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  if (errorSchema.safeParse(body).data?.name === 'restricted_api_key') {
    yield ok('the key may send mail, and nothing else: the domains are not known from here')
    return
  }
  if (status === 401 || status === 403)
    throw new CheckStopped(
      `the key is wrong or was deleted (${status})`,
      'Make an API key with "Sending access" and put it into RESEND_API_KEY.',
    )
  const known = domainsSchema.safeParse(body)
  if (status !== 200 || !known.success) throw apiTrouble(relay, status)
  yield ok('the key is good')
  for (const sender of senders) {
    const name = sender.slice(sender.lastIndexOf('@') + 1).toLowerCase()
    const domain = known.data.data.find((one) => one.name === name)
    if (domain?.status === 'verified') yield ok(`Resend may send for ${name}`)
    else
      yield bad(
        `${name} is not verified at Resend`,
        `Add ${name} at resend.com/domains with the records it shows.`,
      )
    if (domain?.click_tracking || domain?.open_tracking)
      yield warn(
        `Resend tracks the mails of ${name}`,
        'Turn off the tracking of clicks and opens of that domain.',
      )
  }
}
