/** Owns Amazon SES, API v2, as a relay: our own MIME in a signed request, and what an answer means. */
import { signAws } from '../aws-signature.ts'
import type { Message, Transport } from '../message.ts'
import type { BuildMime } from '../mime/mime.ts'
import type { SesRelayConfig } from '../relay-config.ts'
import { type ApiAnswer, meaningBy, type MeaningRow } from './api-answer.ts'
import { type ApiRequest, httpsRelay, type HttpsRelayOptions } from './https-relay.ts'

export interface SesOptions
  extends HttpsRelayOptions,
    Pick<SesRelayConfig, 'region' | 'credentials' | 'configurationSet'> {
  readonly buildMime: BuildMime
}

/**
 * Sources: [S] "SendEmail" in the API reference of SES v2, [C] "Common Errors" there, [Q] "Errors related to the sending
 * quotas" and [M] "Amazon SES email sending errors" in the developer guide. The code is in `x-amzn-errortype`.
 */
const rows: readonly MeaningRow[] = [
  { status: 200, means: ['sent', 'accepted'] }, // [S]
  { code: 'MailFromDomainNotVerifiedException', means: ['refused', 'sender'] }, // [S] 400
  { code: 'MessageRejected', says: /not verified/i, means: ['refused', 'sender'] }, // [M] 400; in the sandbox also the recipient
  { code: 'MessageRejected', means: ['refused', 'message'] }, // [S] 400: invalid content
  { code: 'AccountSuspendedException', means: ['deferred', 'policy'] }, // [S] 400
  { code: 'SendingPausedException', means: ['deferred', 'policy'] }, // [S] 400
  { code: 'LimitExceededException', means: ['deferred', 'quota'] }, // [S] 400
  { code: 'NotFoundException', means: ['deferred', 'policy'] }, // [S] 404: there is no such configuration set
  { says: /Daily message quota exceeded/i, means: ['deferred', 'quota'] }, // [Q] 429
  { code: 'TooManyRequestsException', means: ['deferred', 'too_many'] }, // [S] 429: the rate of a second
  { code: 'ThrottlingException', means: ['deferred', 'too_many'] }, // [C] 400
  { code: 'ExpiredTokenException', means: ['deferred', 'login'] }, // [C] 403
  { code: 'IncompleteSignature', means: ['deferred', 'login'] }, // [C] 400
  { code: 'UnrecognizedClientException', means: ['deferred', 'login'] }, // [C] 403
  { code: 'BadRequestException', says: /length/i, means: ['refused', 'size'] }, // [M] 400: more than 10 or 40 MB
  { code: 'BadRequestException', means: ['refused', 'message'] }, // [S] 400
  { code: 'ServiceUnavailable', means: ['deferred', 'unavailable'] }, // [C] 503
  { code: 'InternalFailure', means: ['unknown', 'unavailable'] }, // [C] 500
]

export function sesTransport(options: SesOptions): Transport {
  const { baseUrl, region, credentials, configurationSet, buildMime, epoch = Date.now } = options
  const path = '/v2/email/outbound-emails'

  function signed(method: 'GET' | 'POST', where: string, body: string): ApiRequest {
    const headers = { 'content-type': 'application/json' }
    const request = { method, url: baseUrl + where, headers, body, service: 'ses', region }
    return { headers: signAws({ ...request, date: new Date(epoch()) }, credentials), body }
  }

  /** Our id travels as a tag: SES puts a Message-ID of its own in the place of ours. */
  const mailOf = (message: Message) => ({
    FromEmailAddress: message.from.address,
    Destination: { ToAddresses: [message.to.address] },
    Content: { Raw: { Data: buildMime(message).toString('base64') } },
    EmailTags: [{ Name: 'mail', Value: message.id }],
    ...(configurationSet !== undefined && { ConfigurationSetName: configurationSet }),
  })

  return httpsRelay(
    {
      path,
      write: (message) => signed('POST', path, JSON.stringify(mailOf(message))),
      meaningOf: (answer) => meaningBy(rows, answer, codeOf(answer)),
      question: () => ({
        method: 'GET',
        path: '/v2/email/account',
        ...signed('GET', '/v2/email/account', ''),
      }),
      troubleIn(answer) {
        // the signature was right, only this question is not allowed: a user may be allowed to send and nothing else
        if (answer.status === 200 || codeOf(answer) === 'AccessDeniedException') return undefined
        const { reason } = meaningBy(rows, answer, codeOf(answer))
        return reason === 'too_many' ? undefined : reason
      },
    },
    options,
  )
}

/** The name may be followed by `:` and an address. */
function codeOf({ headers }: ApiAnswer): string {
  return String(headers['x-amzn-errortype']).replace(/:.*$/, '')
}
