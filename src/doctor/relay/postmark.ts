/** Owns the examination of Postmark: the server's token, whether it delivers, and the message stream. */
import { z } from 'zod'
import type { PostmarkRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { apiTrouble, askApi, hostOf } from './relay-api.ts'

const serverSchema = z.object({ DeliveryType: z.string().optional() })

/** Postmark tells about sender domains only whoever has the token of the account, which we do not need. */
export async function* postmarkSteps(
  relay: PostmarkRelayConfig,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { ok, warn, bad } = about(`relay ${relay.name}`)
  const headers = { 'x-postmark-server-token': relay.serverToken }
  const { status, body } = await askApi(relay, { path: '/server', headers }, signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  if (status === 401)
    throw new CheckStopped(
      'the token is wrong or was deleted (401)',
      'Copy a server API token (not the account token) into POSTMARK_SERVER_TOKEN.',
    )
  const server = serverSchema.safeParse(body)
  if (status !== 200 || !server.success) throw apiTrouble(relay, status)
  yield ok('the token opens a server')
  if (server.data.DeliveryType === 'Sandbox')
    yield warn(
      'the server is a sandbox: it takes mails and delivers none',
      'Use the token of a live server for real mails.',
    )
  const stream = await askApi(relay, { path: `/message-streams/${relay.messageStream}`, headers }, signal)
  if (stream.status === 200) yield ok(`the message stream ${relay.messageStream} exists`)
  else
    yield bad(
      `the server has no message stream ${relay.messageStream}`,
      'Set POSTMARK_MESSAGE_STREAM to the id that the stream has at Postmark, such as outbound.',
    )
}
