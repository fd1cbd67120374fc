/** Owns the examination of Amazon SES: credentials and region, sandbox, quota, and whether the sending domains are verified. */
import { z } from 'zod'
import { signAws } from '../../aws-signature.ts'
import type { SesRelayConfig } from '../../relay-config.ts'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { type Answer, apiTrouble, askApi, hostOf } from './relay-api.ts'

const accountSchema = z.object({
  ProductionAccessEnabled: z.boolean(),
  SendingEnabled: z.boolean(),
  SendQuota: z.object({ Max24HourSend: z.number(), SentLast24Hours: z.number() }).optional(),
})
const identitySchema = z.object({ VerifiedForSendingStatus: z.boolean() })

export async function* sesSteps(
  relay: SesRelayConfig,
  signal: AbortSignal,
  senders: readonly string[],
): AsyncGenerator<Finding> {
  const { ok, warn } = about(`relay ${relay.name}`)
  const account = await askSes(relay, '/v2/email/account', signal)
  yield ok(`${hostOf(relay)} answers over TLS`)
  if (codeOf(account) === 'AccessDeniedException') {
    yield ok('AWS accepts the credentials')
    yield warn(
      'the credentials may not ask for the account: sandbox, quota and domains are not known from here',
      'Allow ses:GetAccount and ses:GetEmailIdentity as well, or look into the console of SES.',
    )
    return
  }
  const known = accountSchema.safeParse(account.body)
  if (account.status !== 200 || !known.success) throw credentialsTrouble(relay, account)
  yield ok('AWS accepts the credentials')
  yield* judgeAccount(relay, known.data)
  for (const sender of senders) yield await examineSender(relay, sender, signal)
}

async function askSes(relay: SesRelayConfig, path: string, signal: AbortSignal): Promise<Answer> {
  const { baseUrl, region, credentials } = relay
  const call = { method: 'GET', url: baseUrl + path, headers: {}, body: '', service: 'ses', region }
  return askApi(relay, { path, headers: signAws({ ...call, date: new Date() }, credentials) }, signal)
}

const codeOf = ({ headers }: Answer) => String(headers['x-amzn-errortype']).replace(/:.*$/, '')

function credentialsTrouble(relay: SesRelayConfig, answer: Answer): CheckStopped {
  const code = codeOf(answer)
  if (/^(?:InvalidSignatureException|SignatureDoesNotMatch|InvalidSignature)$/.test(code))
    return new CheckStopped(
      `AWS refuses the signature (${code})`,
      'AWS_SECRET_ACCESS_KEY is wrong or belongs to another AWS_ACCESS_KEY_ID, or the clock of this machine is off.',
    )
  if (/^(?:UnrecognizedClientException|InvalidClientTokenId)$/.test(code))
    return new CheckStopped(
      `AWS does not know the key (${code})`,
      'Correct AWS_ACCESS_KEY_ID; temporary credentials need AWS_SESSION_TOKEN too.',
    )
  if (code.startsWith('ExpiredToken'))
    return new CheckStopped('the temporary credentials have ended', 'Renew AWS_SESSION_TOKEN and its key.')
  if (answer.status === 403)
    return new CheckStopped('AWS refuses the credentials (403)', 'Check AWS_ACCESS_KEY_ID and its secret.')
  return apiTrouble(relay, answer.status)
}

function* judgeAccount(
  { name, region }: SesRelayConfig,
  account: z.infer<typeof accountSchema>,
): Generator<Finding> {
  const { ok, warn, bad } = about(`relay ${name}`)
  if (!account.SendingEnabled)
    yield bad(
      `SES has stopped the sending of this account in ${region}`,
      'Read the mails and the support cases of AWS.',
    )
  if (account.ProductionAccessEnabled) yield ok(`the account has production access in ${region}`)
  else
    yield warn(
      `the account is in the sandbox of ${region}: it sends to verified addresses only`,
      'Request production access in the console of SES.',
    )
  const { Max24HourSend: most = -1, SentLast24Hours: sent = 0 } = account.SendQuota ?? {}
  if (most > 0 && sent >= 0.9 * most)
    yield warn(
      `${sent} of ${most} mails of the last 24 hours are used`,
      'Request a higher quota in the console of SES.',
    )
}

/** SES asks for the address, its domain or a domain above it. */
async function examineSender(relay: SesRelayConfig, sender: string, signal: AbortSignal): Promise<Finding> {
  const { ok, bad } = about(`relay ${relay.name}`)
  const labels = sender
    .slice(sender.lastIndexOf('@') + 1)
    .toLowerCase()
    .split('.')
  const domains = labels.slice(0, -1).map((_, index) => labels.slice(index).join('.'))
  for (const identity of [...domains, sender]) {
    // SES signs the path as it is encoded once more, so an address is asked for only where it needs no encoding
    if (!/^[\w.-]+$/.test(identity)) continue
    const { body } = await askSes(relay, `/v2/email/identities/${identity}`, signal)
    if (identitySchema.safeParse(body).data?.VerifiedForSendingStatus)
      return ok(`SES may send for ${identity}`)
  }
  const domain = domains[0] ?? sender
  return bad(
    `neither ${domain} nor a domain above it is verified in ${relay.region}`,
    `Verify ${domain} there and add the DKIM records that SES shows, unless the address itself is verified.`,
  )
}
