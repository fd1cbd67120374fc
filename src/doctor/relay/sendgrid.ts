/** Owns the examination of SendGrid's Web API: whether it can be reached, and whether our key may send mail. */
import { z } from 'zod'
import type { SendgridRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { apiTrouble, askApi, hostOf } from './relay-api.ts'

const scopesSchema = z.object({ scopes: z.array(z.string()) })

export async function* sendgridSteps(
  relay: SendgridRelayConfig,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { ok } = about(`relay ${relay.name}`)
  const headers = { authorization: `Bearer ${relay.apiKey}` }
  const { status, body } = await askApi(relay, { path: '/v3/scopes', headers }, signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  const scopes = scopesSchema.safeParse(body)
  const maySend = status === 200 && scopes.data?.scopes.includes('mail.send') === true
  if (!maySend) throw keyTrouble(relay, status, scopes.success)
  yield ok('the key may send mail')
}

function keyTrouble(relay: SendgridRelayConfig, status: number, listed: boolean): CheckStopped {
  const newKey = 'Make an API key with the permission "Mail Send" and put it into SENDGRID_API_KEY.'
  if (status === 200 && listed)
    return new CheckStopped('the key may not send mail (mail.send is not among its scopes)', newKey)
  if (status === 401) return new CheckStopped('the key is wrong or was deleted (401)', newKey)
  if (status === 403)
    return new CheckStopped(
      'the key is refused (403)',
      'Look at IP Access Management and the state of the account at SendGrid, and at the region: EU accounts use https://api.eu.sendgrid.com.',
    )
  return apiTrouble(relay, status)
}
